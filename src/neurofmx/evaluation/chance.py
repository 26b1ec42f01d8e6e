"""Chance: what a model that never looks at the recording would answer."""

from __future__ import annotations

import numpy as np

from neurofmx.headline import as_values
from neurofmx.tokenizers.cutting.windows import Windows


def chance_outputs(windows: Windows, fold: int) -> np.ndarray:
    """Answer every test window of a fold with what is most usual in its training windows.

    It goes through the same scores as a model. Pooled over folds it may end a little below 1/classes or below an R2 of
    0: what is frequent in the training windows is what the test windows have less of.

    Args:
        windows: Windows of one dataset.
        fold: Fold, 0 to `windows.folds - 1`.

    Returns:
        Shape `(test windows, task.width)`: the logarithm of each class's share (classes without a training window
        count as half a window), the mean value, or the mean of cosine and sine, whose direction is the mean direction.
        Of a text the logarithm of each true token's share of the training tokens, shape `(test windows, time)`.

    Raises:
        ValueError: If the fold has no training window.
    """
    part = windows.fold(fold)
    if not len(part.train):
        raise ValueError(f"fold {fold} of {windows.dataset} has no training window: chance cannot be learnt")
    if windows.task.kind == "next_token":
        return np.log(_shares(windows.y[part.train].ravel(), windows.task.width))[windows.y[part.test]]
    return np.tile(_usual(windows, part.train), (len(part.test), 1))


def _usual(windows: Windows, index: np.ndarray) -> np.ndarray:
    """The constant answer of shape `(task.width,)`."""
    y = windows.y[index]
    if windows.task.kind == "classification":
        return np.log(np.maximum(np.bincount(y, minlength=windows.task.width), 0.5) / len(y))
    return as_values(y, windows.task).mean(axis=0)


def _shares(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """Share of every token; one that never came counts half, and all shares have the sum 1."""
    count = np.maximum(np.bincount(tokens, minlength=vocabulary), 0.5)
    return count / count.sum()
