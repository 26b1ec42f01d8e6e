"""Local field potentials of the rat hippocampus and entorhinal cortex, the examples of bycycle."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

COMMIT = "7a7ccdd0242e6c12663532c665e05ff07368d3d6"
RATE = 1250.0  # Hz, of the package's examples; the files name none
SECONDS = 60
REGIONS = ("ca1", "ec3")
SHA256 = {
    "ca1.npy": "e022b75b9dbfd4206ac6aaec9b38e33b746b4ab8831fe6324517508cb4ac93b2",
    "ec3.npy": "3d507619b2ca477ee981145d4961198a502e24f3febba22a31c3054bcf57eb49",
}


@final
class BycycleLfp(Dataset):
    """One channel of CA1 and one of layer 3 of the entorhinal cortex, 60 s each: two recordings of one rat.

    Signal `lfp` is `(time, 1)` in the files' own unit, strong in theta; trials are stretches of 1 s with the region as
    `region`. A fold leaves the same seconds of both regions out, as they may have been recorded together.

    Source: Cole and Voytek, Cycle-by-cycle analysis of neural oscillations, J Neurophysiol 122 (2019).
    """

    name: ClassVar[str] = "bycycle_lfp"
    modalities: ClassVar[tuple[Modality, ...]] = ("lfp",)
    species: ClassVar[str] = "rat"
    licence: ClassVar[str] = "Apache-2.0 (repository); none stated for the recordings"
    citation: ClassVar[str] = "Cole and Voytek 2019, J Neurophysiol 122:849-861"
    homepage: ClassVar[str] = "https://bycycle-tools.github.io/bycycle"
    source: ClassVar[str] = f"repository bycycle-tools/bycycle at {COMMIT[:12]}, data"

    @property
    def task(self) -> Task:
        """Where the second was recorded."""
        return Task("classification", "region", REGIONS)

    @property
    def split(self) -> Split:
        """12 s of both regions are left out at a time, and a second on each side."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=1.0)

    @property
    def expected(self) -> Expected:
        """Two recordings of one channel."""
        return Expected("lfp", recordings=2, channels=1, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """A file a region."""
        return SHA256

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the files at the commit."""
        paths = {name: f"data/{name}" for name in names}
        fetch_repository_files(
            "bycycle-tools/bycycle", COMMIT, paths=paths, checksums=SHA256, folder=folder, cache=cache
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a region."""
        return [_region(folder / f"{region}.npy", region, sources[f"{region}.npy"]) for region in REGIONS]


def _region(path: Path, region: str, source: Source) -> Recording:
    """Read one vector."""
    values = np.load(path, allow_pickle=False)
    if values.shape != (int(SECONDS * RATE),):
        raise ValueError(f"{path.name}: must hold {int(SECONDS * RATE)} samples, got shape {values.shape}")
    second = np.arange(SECONDS, dtype=np.float64)
    return Recording(
        subject="rat",
        session=region,
        signals={"lfp": Signal(values[:, None], RATE, "a.u.", ("lfp",))},
        trials=Trials(second, second + 1, {"region": np.full(SECONDS, region)}),
        sources=(source,),
    )
