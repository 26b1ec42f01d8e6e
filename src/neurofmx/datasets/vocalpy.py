"""Songs and calls of four animals: the example sounds of the vocalpy package."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.distribution import fetch_distribution_members
from neurofmx.datasets.formats.wav import read_wav
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Source, Trials
from neurofmx.recordings.task import Task

SHA256 = {
    "BM003.wav": "5fe922bc8bede71708a22261bc3df1c70f2939563d93b98dc8775b07cfbed77b",
    "bl26lb16.wav": "2f5bec32931b22f8d205b13791d22d6b6eecc78ded0c99f1c7e87481ed3aa4f5",
    "deermouse-go.wav": "a0b388af0987c43188ec8142a78102db073018b13832ce90b7e65b8e1661393b",
    "fruitfly-song-multichannel.wav": "4228d1f716ae8f87151017b7f1475e00c0196a6feadf016f20c99aab6a969b1a",
}
ANIMALS = {
    "BM003.wav": "mouse",
    "bl26lb16.wav": "finch",
    "deermouse-go.wav": "deer mouse",
    "fruitfly-song-multichannel.wav": "fly",
}
RATES = (300e3, 32e3, 250e3, 10e3)  # Hz, in the order of the files
CHANNELS = (1, 1, 1, 3)


@final
class Vocalpy(Dataset):
    """Four sounds of 0.4 to 5.8 s at 10, 32, 250 and 300 kHz: a test of formats.

    Signal `audio` is `(time, 1)` in shares of full scale, `(time, 3)` for the fly, which three microphones heard. The
    one trial of a recording is the whole of it, with the animal as `label`. As each animal was recorded once, with a
    microphone and rate of its own, what tells them apart is as much the recording as the animal: a good score here
    says that the features arrive, not that animals are recognised.

    Source: Nicholson, vocalpy 0.10.3; the sounds by Goffinet et al. 2021, Nicholson et al. 2017, Jourjine et al. 2023
    and Clemens 2021.
    """

    name: ClassVar[str] = "vocalpy"
    modalities: ClassVar[tuple[Modality, ...]] = ("vocalization",)
    species: ClassVar[str] = "mouse, deer mouse, Bengalese finch and fruit fly"
    licence: ClassVar[str] = "BSD-3-Clause (the package); CC0 1.0 (mouse); as stated at the sources (the others)"
    citation: ClassVar[str] = (
        "Goffinet et al. 2021, doi:10.7924/r4gq6zn8w; Nicholson et al. 2017, doi:10.6084/m9.figshare.4805749; "
        "Jourjine et al. 2023, doi:10.5061/dryad.g79cnp5ts; Clemens 2021, doi:10.25625/8KAKHJ"
    )
    homepage: ClassVar[str] = "https://vocalpy.readthedocs.io"
    source: ClassVar[str] = "distribution vocalpy-0.10.3-py3-none-any.whl, vocalpy/examples"

    @property
    def task(self) -> Task:
        """Which animal sings."""
        return Task("classification", "label", tuple(ANIMALS.values()))

    @property
    def split(self) -> Split:
        """A quarter of each recording is left out at a time: with one recording an animal, none can be left out."""
        return Split("blocks-4fold-v1", kind="blocks", folds=4, validation="tail", gap=0.02, block=0.1)

    @property
    def expected(self) -> Expected:
        """Four recordings, each at a rate of its own."""
        return Expected("audio", recordings=len(ANIMALS), channels=CHANNELS, rate=RATES)

    def checksums(self) -> dict[str, str]:
        """One file an animal."""
        return dict(SHA256)

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the sounds out of vocalpy's wheel."""
        fetch_distribution_members(
            "vocalpy",
            "vocalpy-0.10.3-py3-none-any.whl",
            sha256="352941c057d3be712fe772db9d5851c5660eb93d962b97b5ffc42b685b97b224",
            members={f"vocalpy/examples/{name}": SHA256[name] for name in names},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording an animal."""
        return [self._recording(folder / name, animal, sources[name]) for name, animal in ANIMALS.items()]

    def _recording(self, path: Path, animal: str, source: Source) -> Recording:
        """One sound file."""
        sound = read_wav(path, name=path.name)
        trial = Trials(np.array([0.0]), np.array([sound.duration]), {"label": np.array([animal])})
        return Recording(animal, path.stem, {"audio": sound}, trials=trial, sources=(source,))
