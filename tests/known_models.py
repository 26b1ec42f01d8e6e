"""Models and windows whose benchmark is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurofmx.benchmark.material import Material
from neurofmx.benchmark.settings import BenchmarkOptions
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from synthetic import synthetic_windows

SMALL = BenchmarkOptions(
    folds=1,
    test_windows=40,
    n_train=(20,),
    shots=(1, 3),
    queries=3,
    episodes=20,
    strengths=(1.0, 100.0),
    stream_windows=2,
    draws=100,
)


class Plain:
    """The samples themselves; draws nothing."""

    seeds = (0,)

    def __call__(self, tokens: Sample) -> np.ndarray:
        return tokens.x.numpy()


class Leaking(Plain):
    """Looks the answers up, also those of the test windows."""

    def prepare(self, windows: Windows, *, fold: int, seed: int) -> Leaking:
        scaled = windows.scaled(fold, np.arange(len(windows.y))).astype(np.float32)
        self._known = {x.tobytes(): float(y) for x, y in zip(scaled, windows.y, strict=True)}
        return self

    def __call__(self, tokens: Sample) -> np.ndarray:
        return np.array([self._known.get(x.tobytes(), 0.0) for x in tokens.x.numpy()])[:, None, None]


class Backwards(Plain):
    """Each state is the mean of all samples from its own to the end of the window."""

    def __call__(self, tokens: Sample) -> np.ndarray:
        x = tokens.x.numpy()[:, ::-1]
        return (np.cumsum(x, 1) / np.arange(1, x.shape[1] + 1)[:, None])[:, ::-1].copy()


class Forwards(Plain):
    """The same from the window's first sample to its own."""

    def __call__(self, tokens: Sample) -> np.ndarray:
        x = tokens.x.numpy()
        return np.cumsum(x, 1) / np.arange(1, x.shape[1] + 1)[:, None]


def material(windows: Windows | None = None, **options: object) -> Material:
    """A small dataset as the benchmark asks about it."""
    return Material("known", windows or synthetic_windows(), SMALL.model_copy(update=options))


def with_samples(windows: Windows, x: np.ndarray) -> Windows:
    """The windows with other samples, scaled by themselves."""
    x = x.astype(np.float32)
    mean, std = x.mean((0, 1)), x.std((0, 1))
    folds = windows.folds
    return replace(
        windows,
        x=x,
        mean=np.tile(mean, (folds, 1)),
        std=np.tile(std, (folds, 1)),
        channels=tuple(f"channel-{k}" for k in range(x.shape[2])),
        present=np.ones((1, x.shape[2]), bool),
        positions=np.full((1, x.shape[2], 3), np.nan),
        length=np.full(len(x), x.shape[1]),
    )
