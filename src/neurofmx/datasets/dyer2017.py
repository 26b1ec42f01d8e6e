"""Motor cortex of a macaque that reaches from the centre to targets, and the velocity of its hand."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.matfile import read_mat, require_rows
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

FILE = "chewie_demo.mat"
SHA256 = "170c7db01cfa790de9e8700dfbdf3050b23c5f907131fdcfa3ae99e1c3ed3d32"
RATE = 5.0  # Hz: bins of 200 ms
HALVES = ("te", "tr")
UNITS = 71


@final
class Dyer2017(Dataset):
    """Spike counts of 71 units in bins of 200 ms beside the hand's velocity, in two parts of 1818 and 1200 bins.

    Signals are `spikes` (counts), `velocity` (x and y, unit not stated) and `target` (number of the target). The parts,
    `te` and `tr` in the file, are two recordings; whether they share their units is not stated, so each is taken to
    have its own. Reaches follow each other without the time between them. The width of a bin is that of the authors'
    scripts, the file does not name it.

    Source: Dyer et al., A cryptography-based approach for movement decoding, Nature Biomedical Engineering 1 (2017).
    """

    name: ClassVar[str] = "dyer2017"
    modalities: ClassVar[tuple[Modality, ...]] = ("spikes",)
    species: ClassVar[str] = "rhesus macaque"
    licence: ClassVar[str] = "none stated; the source asks to cite the paper"
    citation: ClassVar[str] = "Dyer et al. 2017, Nature Biomedical Engineering 1:967-976"
    homepage: ClassVar[str] = "https://github.com/KordingLab/DAD"
    source: ClassVar[str] = "repository KordingLab/DAD, data/demo/chewie_demo.mat"

    @property
    def task(self) -> Task:
        """How fast the hand moves, in two directions."""
        return Task("regression", "velocity", ("vx", "vy"))

    @property
    def split(self) -> Split:
        """A fifth of each part is left out at a time, with three bins on each side of it; a reach takes about 2 s."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=0.6, block=2.0)

    @property
    def expected(self) -> Expected:
        """Two parts."""
        return Expected("spikes", recordings=2, channels=UNITS, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """One MATLAB file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the file from the authors' repository."""
        fetch_repository_files(
            "KordingLab/DAD",
            "2f2059798cf599df5839a704682a18958811e13b",
            paths={FILE: f"data/demo/{FILE}"},
            checksums=self.checksums(),
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """Both parts."""
        return [_read(folder / FILE, half, tuple(sources.values())) for half in HALVES]


def _read(path: Path, half: str, sources: tuple[Source, ...]) -> Recording:
    """One part: counts `Y`, velocity `X`, target `T`."""
    counts, velocity, target = read_mat(path, f"Y{half}", f"X{half}", f"T{half}").values()
    require_rows(path, {"counts": counts, "velocity": velocity, "target": target})
    units = tuple(f"{half}-unit-{i}" for i in range(counts.shape[1]))
    signals = {
        "spikes": Signal(counts.astype(np.float32), RATE, "spikes", units),
        "velocity": Signal(velocity, RATE, "not stated", ("vx", "vy")),
        "target": Signal(target.ravel(), RATE, "number", ("target",)),
    }
    return Recording("chewie", half, signals, sources=sources)
