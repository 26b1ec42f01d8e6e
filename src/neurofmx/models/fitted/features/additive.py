"""Features with which a linear model may bend: each number by itself, or all of them together.

A ridge or a logistic regression on them is still a convex problem with one solution, tuned like any other
(`models/fitted/linear.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurofmx.models.fitted.features.oscillations import Features, Flat


@dataclass(frozen=True, eq=False)
class BrokenLines(Features):
    """How near every number lies to each of some of its own quantiles: a readout is a sum of broken lines.

    Between two knots the nearness to both adds up to one, so each number is written as a mixture of its neighbouring
    knots, and what is fitted are the heights of a line at the knots.

    Args:
        knots: Quantiles of the training windows, shape `(knots, t * c)`.

    Source:
        Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, sections 5.2 and 9.1: an additive
        model of B-splines of the first degree.
    """

    SHARED_UNIT: ClassVar[bool] = True

    knots: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, knots: int) -> BrokenLines:
        """Take the quantiles of windows `(n, t, c)`; the labels are not used.

        Args:
            x: Windows.
            y: Not used.
            knots: Number of quantiles, evenly spread from the lowest to the highest value, 2 or more.
        """
        return cls(np.quantile(Flat().transform(x), np.linspace(0, 1, knots), axis=0))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, knots * t * c)`; where quantiles are equal there are fewer."""
        rows = Flat().transform(x)
        return np.hstack([_nearness(column, np.unique(k)) for column, k in zip(rows.T, self.knots.T, strict=True)])


@dataclass(frozen=True, eq=False)
class Landmarks(Features):
    """Likeness to some training windows, by a Gaussian of their distance: a readout is any smooth function.

    Args:
        centres: The training windows, shape `(landmarks, t * c)`.
        whitener: Inverse square root of their likeness to each other, shape `(landmarks, landmarks)`.
        width: Distance at which the likeness has fallen to `exp(-1/2)`, shape `(1,)`.

    Source:
        Williams and Seeger 2001, Using the Nyström method to speed up kernel machines, equation 7.
    """

    SHARED_UNIT: ClassVar[bool] = True

    centres: np.ndarray
    whitener: np.ndarray
    width: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, landmarks: int, width: float) -> Landmarks:
        """Pick windows evenly from `(n, t, c)`; the labels are not used.

        Args:
            x: Windows.
            y: Not used.
            landmarks: How many to pick, at most.
            width: In units of the square root of the numbers in a window.
        """
        rows = Flat().transform(x)
        centres = rows[np.linspace(0, len(rows), min(landmarks, len(rows)), endpoint=False).astype(int)]
        scale = np.array([width * np.sqrt(rows.shape[1])])
        values, vectors = np.linalg.eigh(_likeness(centres, centres, scale))
        kept = values > 1e-8 * values[-1]
        return cls(centres, vectors[:, kept] / np.sqrt(values[kept]), scale)

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, landmarks or fewer)`."""
        return _likeness(Flat().transform(x), self.centres, self.width) @ self.whitener


def _likeness(rows: np.ndarray, centres: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Gaussian likeness `(n, landmarks)` of rows to centres."""
    apart = np.sum(rows**2, axis=1)[:, None] + np.sum(centres**2, axis=1) - 2 * rows @ centres.T
    return np.exp(-np.maximum(apart, 0) / (2 * width[0] ** 2))


def _nearness(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Share `(n, knots)` of each knot in values; beyond the outermost knots they hold."""
    return np.stack([np.interp(values, knots, height) for height in np.eye(len(knots))], axis=1)
