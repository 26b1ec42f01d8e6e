"""Cortical grids of people in hospital who reach when they like (AJILE12, University of Washington)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, final

import h5py
import numpy as np
from pydantic import Field

from neurofmx.datasets.formats.nwb_series import (
    electrode_names,
    electrode_positions,
    electrode_table,
    item,
    read_intervals,
    read_series,
)
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.dandiset import Dandiset, Patterns, Version, entities
from neurofmx.recordings.recording import Recording, Trials
from neurofmx.recordings.task import Task

RATE = 500.0  # Hz
MILLIMETRE = 1e-3  # m


@final
class Ajile12(Dandiset):
    """ECoG at 500 Hz over hours of natural behaviour; was a reach of the wrist about to happen, or rest?

    Signal `ecog (time, electrodes)` in V without the electrodes that the archive calls bad, array `ecog_positions` in
    m. Trials are of equal length: `reach` from `before` ahead of its onset, and as many `rest` that are at least
    `distance` away from every reach, as evenly spread over the stretch as there is room. A day is a file of 15 GB; only
    `start` to `stop` is fetched (s from midnight).

    Args:
        before: Start of a trial ahead of the reach, s.
        length: Length of a trial, s.
        distance: How far rest is from any reach, s.

    Source: Peterson et al., AJILE12: Long-term naturalistic human intracranial neural recordings and pose, Scientific
    Data 9 (2022).
    """

    name: ClassVar[str] = "ajile12"
    modalities: ClassVar[tuple[Modality, ...]] = ("ecog",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "stated on the dandiset's page"
    citation: ClassVar[str] = "Peterson et al. 2022, Scientific Data 9:184, DANDI:000055/0.220127.0436"
    homepage: ClassVar[str] = "https://dandiarchive.org/dandiset/000055/0.220127.0436"
    source: ClassVar[str] = "DANDI 000055, AJILE12"
    dandiset: ClassVar[str] = "000055"

    version: Version = "0.220127.0436"
    assets: Patterns = ("sub-01/sub-01_ses-3_behavior+ecephys.nwb",)
    start: float = 43200.0  # noon
    stop: float | None = 46800.0
    before: float = Field(default=0.5, ge=0, description="start of a trial ahead of the reach, s")
    length: float = Field(default=2.0, gt=0, description="length of a trial, s")
    distance: float = Field(default=5.0, ge=0, description="how far rest is from any reach, s")

    @property
    def task(self) -> Task:
        """Reach or rest."""
        return Task("classification", "label", ("reach", "rest"))

    @property
    def split(self) -> Split:
        """A fifth of each day's stretch is left out at a time."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=5.0)

    @property
    def expected(self) -> Expected | None:
        """Unknown: nobody here has seen which electrodes of the default file are good."""
        return None

    def extract(self, path: str, files: Mapping[str, h5py.File]) -> list[Recording]:
        """One day's stretch."""
        file, who = files[path], entities(path)
        series = item(file, "acquisition/ElectricalSeries")
        rows = series["electrodes"][:]
        good = np.asarray(electrode_table(file)["good"][:], bool)[rows]
        span = {"start": self.start, "stop": self.stop}
        signal = read_series(series, channels=electrode_names(file, rows), rate=RATE, keep=good, **span)
        reaches = read_intervals(item(file, "intervals/reaches"), columns=(), start=0.0, stop=None)
        placed = electrode_positions(file, rows, metre=MILLIMETRE)
        return [
            Recording(
                who["sub"],
                who["ses"],
                {"ecog": signal},
                trials=self._trials(reaches.start, begin=signal.start, end=signal.stop),
                arrays={f"ecog_{name}": array[good] for name, array in placed.items()},
            )
        ]

    def _trials(self, reaches: np.ndarray, *, begin: float, end: float) -> Trials:
        """Reaches, and as many stretches of rest, in order of time."""
        moved = reaches - self.before
        moved = moved[(moved >= begin) & (moved + self.length <= end)]
        rest = quiet(reaches, begin=begin, end=end, length=self.length, distance=self.distance)
        rest = rest[np.linspace(0, len(rest) - 1, min(len(rest), len(moved))).round().astype(int)]
        start = np.concatenate([moved, rest])
        label = np.repeat(np.array(["reach", "rest"]), [len(moved), len(rest)])
        order = np.argsort(start, kind="stable")
        return Trials(start[order], start[order] + self.length, {"label": label[order]})


def quiet(events: np.ndarray, *, begin: float, end: float, length: float, distance: float) -> np.ndarray:
    """Starts of stretches, one behind the other, that keep away from all events.

    Args:
        events: Times of events, s.
        begin: First time of the recording, s.
        end: Last time of it, s.
        length: Length of a stretch, s.
        distance: Least time between a stretch and an event, s.

    Returns:
        Starts `(stretches,)`, s, in order; no two stretches overlap.

    Example:
        >>> quiet(np.array([10.0]), begin=0.0, end=20.0, length=3.0, distance=2.0).tolist()
        [0.0, 3.0, 12.0, 15.0]
    """
    near = np.sort(events[(events > begin - distance) & (events < end + distance)])
    edges = np.concatenate([[begin - distance], near, [end + distance]])
    starts = [
        first + distance + length * np.arange(max(0, int((last - first - 2 * distance) / length + 1e-9)))
        for first, last in pairwise(edges)
    ]
    return np.concatenate(starts)
