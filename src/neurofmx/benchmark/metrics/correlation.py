"""How closely answers follow the truth: Pearson's and Spearman's correlation, and how likely chance does as well.

Symbols: `r` correlation of n pairs, `m` how many of them are independent.

    p = P(|R| >= |r|),    R / sqrt((1 - R^2) / (m - 2)) distributed as Student's t with m - 2 degrees of freedom

Neighbouring windows share time, so p is far too small when every window counts as independent. Give the number of
exchangeable stretches (`Windows.block`) as `independent`, and p is of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata, t


class Correlation(NamedTuple):
    """Correlation of each variable.

    Args:
        r: Correlations (variables,), -1 to 1; 0 for a constant answer, which follows nothing.
        p: Two-sided p of each, 0 to 1, for the null hypothesis of no correlation.
    """

    r: np.ndarray
    p: np.ndarray


def pearson(truth: np.ndarray, answer: np.ndarray, *, independent: int | None = None) -> Correlation:
    """Pearson's correlation, of each variable for itself.

    Args:
        truth: What was recorded (n,) or (n, variables).
        answer: What a model answered, the same shape.
        independent: How many of the n pairs are independent, 3 to n; None for all.

    Returns:
        Correlations with their p, which holds for normal noise.

    Raises:
        ValueError: If shapes disagree, numbers are not finite, `independent` is out of range, or a variable of the
            truth never changes.

    Source:
        Student (1908), Probable error of a correlation coefficient; Fisher (1915), on its exact distribution.

    Example:
        >>> found = pearson(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
        >>> round(float(found.r[0]), 6), round(float(found.p[0]), 6)
        (0.5, 0.666667)
    """
    truth, answer = _columns(truth, "truth"), _columns(answer, "answer")
    if truth.shape != answer.shape:
        raise ValueError(f"truth has shape {truth.shape}, answer {answer.shape}: give one answer for each truth")
    degrees = _checked(independent, len(truth)) - 2
    r = _correlations(truth, answer)
    with np.errstate(divide="ignore"):  # a correlation of 1 has a t of infinity, and a p of 0
        distance = np.abs(r) * np.sqrt(degrees / (1 - r**2))
    return Correlation(r, 2 * t.sf(distance, degrees))


def spearman(truth: np.ndarray, answer: np.ndarray, *, independent: int | None = None) -> Correlation:
    """Spearman's rank correlation: Pearson's of the ranks, equal values sharing their mean rank.

    Args:
        truth: What was recorded (n,) or (n, variables).
        answer: What a model answered, the same shape.
        independent: How many of the n pairs are independent, 3 to n; None for all.

    Returns:
        Correlations with their p by Student's t, which needs some 10 independent pairs to be close.

    Raises:
        ValueError: As `pearson`.

    Source:
        Spearman (1904), The proof and measurement of association between two things.
    """
    ranked = [rankdata(_columns(*each), axis=0) for each in ((truth, "truth"), (answer, "answer"))]
    return pearson(*ranked, independent=independent)


def _columns(values: np.ndarray, name: str) -> np.ndarray:
    """Values as (n, variables), float64, all finite."""
    values = np.asarray(values, np.float64)
    if values.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {values.shape}: give (n,) or (n, variables)")
    bad = int(np.sum(~np.isfinite(values)))
    if bad:
        raise ValueError(f"{name} holds {bad} of {values.size} numbers that are not finite: leave those pairs out")
    return values.reshape(len(values), -1)


def _checked(independent: int | None, pairs: int) -> int:
    """The number of independent pairs."""
    independent = pairs if independent is None else independent
    if not 3 <= independent <= pairs:
        raise ValueError(
            f"independent={independent} of {pairs} pairs: must be from 3 to the number of pairs; give the number of "
            "stretches that are independent"
        )
    return independent


def _correlations(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Correlations (variables,)."""
    still = np.flatnonzero(np.ptp(truth, axis=0) == 0)
    if len(still):
        raise ValueError(f"truth never changes in variable {still[0]}: its correlation is undefined; leave it out")
    follows = np.ptp(answer, axis=0) > 0
    truth, answer = truth - truth.mean(0), answer - answer.mean(0)
    size = np.linalg.norm(truth, axis=0) * np.linalg.norm(answer, axis=0)
    r = (truth * answer).sum(0) / np.where(follows, size, 1.0)
    return np.where(follows, np.clip(r, -1.0, 1.0), 0.0)
