"""Handwritten digits, the vision control of the suite (UCI optical recognition, test set)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.atomic import atomic
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

FILE = "digits.csv.gz"
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"


@final
class Digits(Dataset):
    """1797 images of 8 by 8 pixels, grey values 0 to 16, written by 13 people one after the other.

    The one recording shows one image a second, by convention: signal `image` is `(images, 8, 8)`, and trial `i` lasts
    from `i` to `i + 1` s with the digit as `label`; array `range` holds the lowest and highest grey value. The file
    keeps the writers in order but does not name them, so contiguous blocks are the honest split: a shuffled one puts
    every writer on both sides.

    Source: Alpaydin and Kaynak, Cascading classifiers, Kybernetika 34 (1998), as shipped with scikit-learn.
    """

    name: ClassVar[str] = "digits"
    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
    species: ClassVar[str] = "none (handwriting of 13 people)"
    licence: ClassVar[str] = "CC BY 4.0 (UCI repository); shipped with scikit-learn, BSD-3-Clause"
    citation: ClassVar[str] = "Alpaydin and Kaynak 1998, Kybernetika 34:369-374"
    homepage: ClassVar[str] = "https://archive.ics.uci.edu/dataset/80"
    source: ClassVar[str] = "installed scikit-learn, sklearn/datasets/data"

    @property
    def task(self) -> Task:
        """Which digit was written."""
        return Task("classification", "label", tuple("0123456789"))

    @property
    def split(self) -> Split:
        """A fifth of the images in their order is left out at a time, and so about a fifth of the writers.

        A writer drew some 40 images in a row, so that many are left out between parts, and make one independent block.
        """
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=40.0, block=40.0)

    @property
    def expected(self) -> Expected:
        """One recording of 64 pixels."""
        return Expected("image", recordings=1, channels=64, rate=1.0)

    def checksums(self) -> dict[str, str]:
        """One table, a row per image."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Copy the table out of the installed scikit-learn: nothing is downloaded."""
        import sklearn  # imported here: only this dataset needs it

        with atomic(folder / FILE) as part:
            shutil.copyfile(Path(sklearn.__file__).parent / "datasets" / "data" / FILE, part)
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """All images, one a second."""
        table = np.loadtxt(folder / FILE, delimiter=",", dtype=np.float32)
        second = np.arange(len(table), dtype=np.float64)
        return [
            Recording(
                subject="writers",
                session="all",
                signals={"image": Signal(table[:, :-1].reshape(-1, 8, 8), 1.0, "grey value", ())},
                trials=Trials(second, second + 1, {"label": table[:, -1].astype(int).astype(str)}),
                sources=tuple(sources.values()),
                arrays={"range": np.array([0.0, 16.0])},
            )
        ]
