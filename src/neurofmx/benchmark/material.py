"""What all models are asked on one dataset: the same windows, the same hidden channels, the same shuffled answers.

Nothing here depends on a model or its seed, so that two models differ in nothing but themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from zlib import crc32

import numpy as np

from neurofmx.benchmark.settings import BenchmarkOptions
from neurofmx.foundation.roles import BY_MODALITY
from neurofmx.parts import TEST, TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.windows import Fold, Windows

WHOLE = 1e-3  # how far from a whole number a count may lie, as the square of a root in float32


@dataclass(frozen=True, eq=False)
class Material:
    """One dataset as the benchmark asks about it.

    Args:
        name: Of the dataset.
        windows: All its windows.
        options: How much is asked.
    """

    name: str
    windows: Windows
    options: BenchmarkOptions

    @property
    def folds(self) -> range:
        """Folds that states are read on."""
        tested = (self.windows.split == TEST).sum(1).cumsum()
        enough = int(np.searchsorted(tested, self.options.test_windows)) + 1
        least = self.options.folds or self.windows.folds
        return range(min(self.windows.folds, max(least, enough)))

    @property
    def read(self) -> str:
        """Why no states are read of it; empty where they are."""
        if self.windows.tokens:
            return "a text is asked token by token, so only answers are scored"
        if self.windows.beside is not None:
            return "readouts would read the windows without what is beside them, so only answers are scored"
        bare = [fold for fold in self.folds if not len(self.windows.fold(fold).validation)]
        return f"fold {bare[0]} has no validation window, on which readouts choose their penalty" if bare else ""

    @property
    def neural(self) -> bool:
        """Whether it was recorded from nerves or muscles."""
        return BY_MODALITY[self.windows.modality] == "neural"

    @cached_property
    def parts(self) -> tuple[Fold, ...]:
        """Windows of each fold that are read, in order of time; a large part is thinned at random."""
        return tuple(self._part(fold) for fold in self.folds)

    @cached_property
    def tested(self) -> np.ndarray:
        """The test windows of all read folds, one fold after the other."""
        return np.concatenate([part.test for part in self.parts])

    @cached_property
    def hidden(self) -> np.ndarray:
        """Channels that are hidden and read back, `(channels,)`, bool: some of those that all recordings have and
        that change in them."""
        windows, here = self.windows, self._varying()
        count = max(1, round(self.options.held_out * len(here)))
        chosen = self.generator("hidden").permutation(here)[:count]
        return np.isin(np.arange(windows.x.shape[2]), chosen)

    @cached_property
    def shuffled(self) -> Windows:
        """The same windows with each other's answers; whoever answers them above chance has seen the answers."""
        order = self.generator("shuffled").permutation(len(self.windows.y))
        return replace(self.windows, y=self.windows.y[order])

    @cached_property
    def counts(self) -> np.ndarray | None:
        """Counts of spikes `(windows, T, C)` where windows hold them, as they are or as square roots; else None."""
        if self.windows.modality != "spikes":
            return None
        x = np.asarray(self.windows.x, np.float64)
        for counts in (x, x**2):
            whole = np.round(counts)
            if x.min() >= 0 and np.abs(counts - whole).max() < WHOLE:
                return whole
        return None

    @property
    def rooted(self) -> bool:
        """Whether windows hold the square roots of counts."""
        return self.counts is not None and float(np.abs(self.windows.x - self.counts).max()) >= WHOLE

    def recordings(self, fold: int) -> list[np.ndarray]:
        """Whose channels each training, validation and test window of a fold has; one for all where they share them."""
        own = self.windows.montage == "own"
        return [self.windows.group[index] if own else np.zeros(len(index), int) for index in self.parts[fold]]

    def generator(self, what: str, *numbers: int) -> np.random.Generator:
        """Draws for one purpose, the same in every run and on every machine."""
        return np.random.default_rng([crc32(f"{self.name}/{what}".encode()), *numbers])

    def _varying(self) -> np.ndarray:
        windows = self.windows
        scale = windows.std if windows.montage == "same" else windows.std.min(1)
        return np.flatnonzero(windows.present.all(0) & (scale > 0).all(0) & (np.ptp(windows.x, axis=(0, 1)) > 0))

    def _part(self, fold: int) -> Fold:
        whole, most = self.windows.fold(fold), self.options.train_windows
        sizes = {"train": most, "validation": max(20, most // 4), "test": self.options.test_windows}
        return Fold(
            **{
                name: self._thinned(getattr(whole, name), size, self.generator(name, fold))
                for name, size in sizes.items()
            }
        )

    @staticmethod
    def _thinned(index: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
        return index if len(index) <= size else np.sort(generator.permutation(index)[:size])

    def narrowed(self, fold: int, train: np.ndarray, validation: np.ndarray, windows: Windows | None = None) -> Windows:
        """The windows with no others to learn from and those of `parts` to be tested on.

        Args:
            fold: The only fold that is left with windows, number 0 of the result.
            train: Windows to learn from.
            validation: Windows to choose on.
            windows: Others in their place, such as `shuffled`.
        """
        windows = windows or self.windows
        split = np.full((1, len(windows.y)), -1, windows.split.dtype)
        for index, part in ((train, TRAIN), (validation, VALIDATION), (self.parts[fold].test, TEST)):
            split[0, index] = part
        return replace(windows, split=split, mean=windows.mean[[fold]], std=windows.std[[fold]])
