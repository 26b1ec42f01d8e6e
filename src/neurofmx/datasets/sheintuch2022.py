"""One-photon calcium events of hippocampal cells in mice that run to and fro on a track (Ziv laboratory)."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, ClassVar, Literal, final

import numpy as np
from pydantic import AfterValidator, Field

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.matfile import read_mat, require_rows
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

Mouse = Literal["C5M1", "C24M4"]
REGION: dict[Mouse, str] = {"C5M1": "CA1", "C24M4": "CA3"}
CHECKSUMS = {
    "C5M1_spike_train.mat": "f23b38d71c3e838d06487adba6f9414218913910cdc2a47196acde84d79d0288",
    "C5M1_stimulus_trace.mat": "27b01d01281073904f565a7fed96a8a9d82926b447467a4d80e80ba00d5acc76",
    "C24M4_spike_train.mat": "4efa0f95308ee1e768e9c2c3408b3e8afe07832701fc6592d63b3eece882fa2f",
    "C24M4_stimulus_trace.mat": "a1b27505c774c507b9eb0cd069b945a12f743a39305ed79fd5f550451d1e5cf4",
}
RATE = 20.0  # Hz
# cells by mouse, track and session; both directions of a session have the same
CELLS: dict[Mouse, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "C5M1": ((569, 551, 502, 480), (473, 323, 435, 444)),
    "C24M4": ((501, 481, 491, 418), (529, 388, 471, 501)),
}


def _distinct(chosen: tuple) -> tuple:
    """What is taken twice would stand in training and test."""
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"must differ from one another, got {chosen}")
    return chosen


Pair = Annotated[tuple[Literal[0, 1], ...], Field(min_length=1), AfterValidator(_distinct)]
Sessions = Annotated[tuple[Literal[0, 1, 2, 3], ...], Field(min_length=1), AfterValidator(_distinct)]


@final
class Sheintuch2022(Dataset):
    """Deconvolved events of 320 to 570 cells at 20 Hz, and the place on the track in 20 bins.

    A recording is one direction of running in one session on one track: `C5M1/track-0-session-0-direction-0`. Signal
    `calcium` holds the amplitude of events, 0 where there is none, and `position` the number of the place, 3 to 22.
    The source keeps running alone, bout after bout, so time is that spent running. Cells are found anew in every
    session: `track-0-session-0-cell-7` is no cell of another session.

    Args:
        mice: Which mice, default both: C5M1 (CA1) and C24M4 (CA3).
        tracks: 0 straight, 1 L-shaped; default 0.
        sessions: 0 to 3, default the first two.
        directions: 0 and 1, default 0.

    Source: Sheintuch, Rubin and Ziv, Bias-free estimation of information content in temporally sparse neuronal
    activity, PLoS Computational Biology 18 (2022).
    """

    name: ClassVar[str] = "sheintuch2022"
    modalities: ClassVar[tuple[Modality, ...]] = ("calcium",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "none stated"
    citation: ClassVar[str] = "Sheintuch, Rubin and Ziv 2022, PLoS Computational Biology 18:e1009832"
    homepage: ClassVar[str] = "https://github.com/zivlab/unbiased_information_estimation"
    source: ClassVar[str] = "repository zivlab/unbiased_information_estimation, Real data/Full data set"

    mice: Annotated[tuple[Mouse, ...], Field(min_length=1), AfterValidator(_distinct)] = ("C5M1", "C24M4")
    tracks: Pair = (0,)
    sessions: Sessions = (0, 1)
    directions: Pair = (0,)

    @property
    def task(self) -> Task:
        """Where on the track the mouse is."""
        return Task("regression", "position", ("position",))

    @property
    def split(self) -> Split:
        """A fifth of each recording is left out at a time, with a second of running on each side; a lap takes 3 s."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=1.0, block=10.0)

    @property
    def expected(self) -> Expected:
        """As many recordings as are chosen, each with its session's cells."""
        cells = tuple(CELLS[mouse][track][session] for mouse, track, session, _ in self._chosen)
        return Expected("calcium", recordings=len(cells), channels=cells, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """Events and places of each mouse."""
        return {name: sha256 for name, sha256 in CHECKSUMS.items() if name.split("_")[0] in self.mice}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the files from the authors' repository."""
        regions = {name: REGION["C5M1" if name.startswith("C5M1") else "C24M4"] for name in names}
        fetch_repository_files(
            "zivlab/unbiased_information_estimation",
            "35695a1a9b189f12596299190396f30a2b4c855c",
            paths={name: f"Real data/Full data set/{regions[name]}/{name}" for name in names},
            checksums=CHECKSUMS,
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """All chosen recordings, mouse by mouse."""
        found: list[Recording] = []
        for mouse in self.mice:
            files = (f"{mouse}_spike_train.mat", f"{mouse}_stimulus_trace.mat")
            (events,) = read_mat(folder / files[0], cells=("spike_train",)).values()
            (places,) = read_mat(folder / files[1], cells=("stimulus_trace",)).values()
            origin = tuple(sources[name] for name in files)
            chosen = (rest for name, *rest in self._chosen if name == mouse)
            found += [_read(folder / files[0], mouse, events, places, tuple(cell), origin) for cell in chosen]
        return found

    @property
    def _chosen(self) -> list[tuple[Mouse, int, int, int]]:
        """Mouse, track, session and direction of each recording."""
        return list(product(self.mice, self.tracks, self.sessions, self.directions))


def _read(
    path: Path,
    mouse: Mouse,
    events: np.ndarray,
    places: np.ndarray,
    cell: tuple[int, ...],
    sources: tuple[Source, ...],
) -> Recording:
    """One entry of the cell arrays (track, session, direction)."""
    if events.shape != places.shape or any(i >= n for i, n in zip(cell, events.shape, strict=True)):
        raise ValueError(
            f"{path.name}: holds {events.shape} tracks, sessions and directions of events and {places.shape} of "
            f"places, asked for {cell}; choose others in options"
        )
    track, session, direction = cell
    amplitude, place = events[cell], places[cell].ravel().astype(np.float64)
    require_rows(path, {"events": amplitude, "places": place})
    where = f"track-{track}-session-{session}"
    cells = tuple(f"{mouse}-{where}-cell-{i}" for i in range(amplitude.shape[1]))
    signals = {
        "calcium": Signal(amplitude.astype(np.float32), RATE, "a.u.", cells),
        "position": Signal(place, RATE, "bin", ("position",)),
    }
    return Recording(mouse, f"{where}-direction-{direction}", signals, sources=sources)
