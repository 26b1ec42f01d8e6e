"""Two-photon calcium imaging of a mouse's CA1 while it runs on a treadmill, lap by lap."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.matfile import read_mat, require_rows
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

CHECKSUMS = {
    "Position4DecodingOLE.mat": "440cc1fad21354d74973771b0c2d1bdf38a5338935550ec19b27d7ab7b1b9a65",
    "Raw_DF_F_Two_Photon.mat": "531055f5f334e642cbff2df92a4562f34eaa3c58b0a377acc932e2d2e75f8333",
}
RATE = 2.0  # Hz: bins of 0.5 s
CELLS, LAPS, LAP_BINS = 79, 10, 42


@final
class Tu2020(Dataset):
    """dF/F of 79 cells over 10 laps of 42 bins; signal `position` is where on the belt the mouse is, as an angle.

    The source resampled every lap to 42 bins of equal length and calls them 0.5 s, so time is that of a mean lap: a bin
    is a place, and the same in all laps. The belt is 108 cm long and closed; its start is angle 0, its end 2 pi.

    Source: Tu et al., Efficient position decoding methods based on fluorescence calcium imaging in the mouse
    hippocampus, Neural Computation 32 (2020).
    """

    name: ClassVar[str] = "tu2020"
    modalities: ClassVar[tuple[Modality, ...]] = ("calcium",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "none stated"
    citation: ClassVar[str] = "Tu et al. 2020, Neural Computation 32:1144-1167"
    homepage: ClassVar[str] = (
        "https://github.com/Mengyu-TU/Position-Decoding-Methods-Based-on-Fluorescence-Calcium-Imaging"
    )
    source: ClassVar[str] = "repository of the authors, Calcium_Demo/data"

    @property
    def task(self) -> Task:
        """Where on the belt the mouse is."""
        return Task("circular", "position", ("position",))

    @property
    def split(self) -> Split:
        """One lap is left out at a time, with three bins, 7.9 cm, of its neighbours.

        Laps are independent runs over the same places. The gap only keeps the slow indicator of one lap's end out of
        the next one's start; it is in the time of a resampled lap, which is all that the source gives.
        """
        return Split("laps-10fold-v1", kind="blocks", folds=LAPS, validation="tail", gap=1.5, block=LAP_BINS / RATE)

    @property
    def expected(self) -> Expected:
        """One session."""
        return Expected("calcium", recordings=1, channels=CELLS, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """dF/F and position."""
        return CHECKSUMS

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the files from the authors' repository."""
        fetch_repository_files(
            "Mengyu-TU/Position-Decoding-Methods-Based-on-Fluorescence-Calcium-Imaging",
            "ce93633440cec2f09e2e7fded1ca70e2f36f4993",
            paths={name: f"Calcium_Demo/data/{name}" for name in names},
            checksums=CHECKSUMS,
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The session."""
        (change,) = read_mat(folder / "Raw_DF_F_Two_Photon.mat", "RawDF_F").values()
        position, length = read_mat(folder / "Position4DecodingOLE.mat", "position", "trackLen").values()
        require_rows(folder / "Raw_DF_F_Two_Photon.mat", {"dff": change.T, "position": position})
        angle = 2 * np.pi * position.ravel() / float(length.item())
        signals = {
            "calcium": Signal(change.T, RATE, "dF/F", tuple(f"cell-{i}" for i in range(len(change)))),
            "position": Signal(angle, RATE, "rad", ("position",)),
        }
        return [Recording("mouse", "two-photon", signals, sources=tuple(sources.values()))]
