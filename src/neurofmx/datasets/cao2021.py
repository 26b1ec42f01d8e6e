"""Hippocampus of a rat on a track: units and the amplitude of field potentials, recorded at once (Chen laboratory)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.matfile import read_mat, require_rows
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

FILE = "rat_b_Figure_supplement_5_source_data_wake.mat"
SHA256 = "4da6bae4ffa3f5de95c7fff6a3cc8f37af11736d560f99f8e31bcf92cb276f4c"
RATE = 8.0  # Hz
SLOW = 0.05  # m/s: the authors decode above this speed
UNITS, CHANNELS = 79, 128


@final
class Cao2021(Dataset):
    """Counts of 79 units and the amplitude of 128 ultra-high-frequency field potentials, in 2347 bins on a 3.2 m track.

    Signals `spikes` (counts) and `lfp` (amplitudes, unit not stated) share one clock with `position`, the place on the
    track as an angle (0 at one end, 2 pi at the other), and `speed` (m/s). Position is NaN, so not asked, where the rat
    runs at 0.05 m/s or less; where the source has no speed it is taken to run, as the source's own scores do. The width
    of a bin is not stated: how far the rat comes in one, over its speed, gives about 0.12 s, and 8 Hz is taken.

    Source: Cao, Varga and Chen, Uncovering spatial representations from spatiotemporal patterns of rodent hippocampal
    field potentials, Cell Reports Methods 1 (2021), source data of figure 2, supplement 5.
    """

    name: ClassVar[str] = "cao2021"
    modalities: ClassVar[tuple[Modality, ...]] = ("spikes", "lfp")
    species: ClassVar[str] = "rat"
    licence: ClassVar[str] = "none stated"
    citation: ClassVar[str] = "Cao, Varga and Chen 2021, Cell Reports Methods 1:100101"
    homepage: ClassVar[str] = (
        "https://github.com/lcaopcn/Spatiotemporal-patterns-of-rodent-hippocampal-field-potentials-uncover-spatial-"
        "representations"
    )
    source: ClassVar[str] = "repository of the authors, Figure2_source_data/Figure_supplement_5_source_data_wake.mat"

    @property
    def task(self) -> Task:
        """Where on the track the rat is."""
        return Task("circular", "position", ("position",))

    @property
    def split(self) -> Split:
        """A fifth of the session is left out at a time, with ten bins on each side of it."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=10 / RATE)

    @property
    def expected(self) -> Expected:
        """One session."""
        return Expected("spikes", recordings=1, channels=UNITS, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """One MATLAB file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the file from the authors' repository."""
        fetch_repository_files(
            "lcaopcn/Spatiotemporal-patterns-of-rodent-hippocampal-field-potentials-uncover-spatial-representations",
            "d784869853640587c6dc46ae31f115f19947bd2c",
            paths={FILE: "Figure2_source_data/Figure_supplement_5_source_data_wake.mat"},
            checksums=self.checksums(),
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The session."""
        counts, amplitude, position, speed, length = read_mat(
            folder / FILE, "Spikes", "FPAuhf", "Position", "Speed", "trackLen"
        ).values()
        require_rows(folder / FILE, {"spikes": counts, "lfp": amplitude, "position": position, "speed": speed})
        angle = 2 * np.pi * position.ravel() / (float(length.item()) / 100)  # the track's length is in cm
        running = np.isnan(speed.ravel()) | (speed.ravel() > SLOW)
        signals = {
            "spikes": Signal(counts.astype(np.float32), RATE, "spikes", _numbered("unit", counts)),
            "lfp": Signal(amplitude.astype(np.float32), RATE, "not stated", _numbered("channel", amplitude)),
            "position": Signal(np.where(running, angle, np.nan), RATE, "rad", ("position",)),
            "speed": Signal(speed.ravel(), RATE, "m/s", ("speed",)),
        }
        return [Recording("rat-b", "wake", signals, sources=tuple(sources.values()))]


def _numbered(what: str, columns: np.ndarray) -> tuple[str, ...]:
    """Names of columns that the source only counts."""
    return tuple(f"{what}-{i}" for i in range(columns.shape[1]))
