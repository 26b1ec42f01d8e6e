"""A linear readout: ridge or logistic regression from rows of features to outputs, with its penalty tuned.

    ridge       argmin |Y - Z W - b|^2 + strength |W|^2
    logistic    argmin -sum log softmax(Z W + b)[y] + strength / 2 |W|^2

`Z (n, features)` are the standardised features. Where there are more features than rows, the rows are first turned into
the frame of their singular vectors: both penalties only see lengths, so the solution is the same and n numbers a row
are enough to find it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from neurofmx.headline import as_values
from neurofmx.recordings.task import Task


class Readout(NamedTuple):
    """A linear map with the standardisation of its input.

    Args:
        mean: Of the features, shape `(features,)`.
        std: Of the features, 1 for one that never changes, shape `(features,)`.
        weight: Shape `(features, width)`.
        bias: Shape `(width,)`.
        strength: Penalty it was fitted with, shape `(1,)`.
    """

    mean: np.ndarray
    std: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    strength: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Rows `(n, features)` to outputs `(n, width)`."""
        return (rows - self.mean) / self.std @ self.weight + self.bias


def fit_readouts(
    rows: np.ndarray,
    y: np.ndarray,
    task: Task,
    *,
    strengths: Sequence[float],
    shared_unit: bool = False,
    max_iter: int = 1000,
) -> Iterator[Readout]:
    """Fit one readout for each strength, strongest first.

    Args:
        rows: Features, shape `(n, features)`.
        y: Truth: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians.
        task: What is asked; classification is fitted by logistic regression, the others by ridge.
        strengths: Penalties, above 0.
        shared_unit: Standardise with one scale for all features instead of one each.
        max_iter: Most iterations of the logistic regression.

    Yields:
        Readouts in order of falling strength.

    Raises:
        ValueError: If a class has no window.
    """
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    std = np.full_like(std, np.sqrt(np.mean(std**2))) if shared_unit else std
    std = np.where(std > 1e-12 * np.maximum(np.abs(mean), 1.0), std, 1.0)
    rows, frame = _turned((rows - mean) / std)
    solve = _logistic if task.kind == "classification" else _ridge
    for strength, weight, bias in solve(rows, y, task, sorted(strengths, reverse=True), max_iter):
        weight = weight if frame is None else frame @ weight
        yield Readout(mean, std, weight, bias, np.array([strength]))


Solutions = Iterator[tuple[float, np.ndarray, np.ndarray]]


def _turned(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows in the frame of their singular vectors where that is shorter, and the frame `(features, n)`."""
    n, p = rows.shape
    if n >= p:
        return rows, None
    left, lengths, frame = np.linalg.svd(rows, full_matrices=False)
    return left * lengths, frame.T


def _ridge(rows: np.ndarray, y: np.ndarray, task: Task, strengths: Sequence[float], max_iter: int) -> Solutions:
    """Ridge regression on values, or on cosine and sine."""
    from sklearn.linear_model import Ridge

    for strength in strengths:
        model = Ridge(alpha=strength).fit(rows, as_values(y, task))
        yield strength, model.coef_.reshape(task.width, -1).T, np.reshape(model.intercept_, task.width)


def _logistic(rows: np.ndarray, y: np.ndarray, task: Task, strengths: Sequence[float], max_iter: int) -> Solutions:
    """Multinomial logistic regression; each strength starts from the solution of the stronger one."""
    from sklearn.linear_model import LogisticRegression

    _check_classes(y, task)
    model = LogisticRegression(max_iter=max_iter, warm_start=True)
    for strength in strengths:
        model.set_params(C=1 / strength).fit(rows, y)
        weight, bias = np.array(model.coef_).T, np.array(model.intercept_)
        if task.width == 2:  # scikit-learn gives the difference of the two logits
            weight, bias = np.hstack([-weight / 2, weight / 2]), np.hstack([-bias / 2, bias / 2])
        yield strength, weight, bias


def _check_classes(y: np.ndarray, task: Task) -> None:
    """Every class needs a window to learn from."""
    absent = [name for k, name in enumerate(task.names) if not np.any(y == k)]
    if absent:
        raise ValueError(
            f"no training window of class {', '.join(absent)} among {len(y)}: use fewer folds, a smaller "
            "validation part, or leave the class out of the task"
        )
