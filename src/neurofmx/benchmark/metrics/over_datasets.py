"""Is a model better than others over datasets? Wilcoxon's signed-rank test of each pair, corrected together.

Scores of one dataset say nothing about another, so a dataset is one observation: the difference of two models' scores
on it. The test asks whether those differences lie around zero, by their signs and the ranks of their sizes.

Scores of different metrics have no common unit, and ranks of their differences would compare an R2 with a perplexity.
Give scores of one scale, such as shares of the way from chance to perfect; of others read `better` alone, on how many
datasets the first model scored higher.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata, wilcoxon

from neurofmx.benchmark.metrics.holm import holm

DECIMALS = 10  # differences that agree in so many count as equal: subtraction rounds, and would part ties


class SignedRank(NamedTuple):
    """Wilcoxon's test of one model against another.

    Args:
        datasets: How many were compared.
        better: On how many of them the first model scores higher.
        median: Median difference, first less second.
        p: Two-sided p, 0 to 1.
        corrected: The same, corrected for all tests made together; of a single test equal to `p`.
        least_p: The smallest p that so many unequal pairs can give, `2^(1 - n)`: above 0.05 for fewer than 6, where
            nothing can be significant.
        exact: Whether p is of the exact distribution, and no approximation by a normal one.
    """

    datasets: int
    better: int
    median: float
    p: float
    corrected: float
    least_p: float
    exact: bool


def signed_rank(first: np.ndarray, second: np.ndarray) -> SignedRank:
    """Tests two models against each other on the same datasets.

    Datasets on which both score the same are left out. The p is exact up to 50 datasets, with equal sizes of
    differences up to 13, and of a normal approximation above.

    Args:
        first: Scores of one model (datasets,), higher is better.
        second: Scores of the other on the same datasets (datasets,).

    Returns:
        The test; p is 1 where both score the same on all datasets.

    Raises:
        ValueError: If shapes disagree, there is no dataset, or a score is not finite.

    Source:
        Wilcoxon (1945), Individual comparisons by ranking methods; over datasets: Demšar (2006), Statistical
        comparisons of classifiers over multiple data sets, section 3.1.3.

    Example:
        >>> signed_rank(np.array([0.9, 0.8, 0.7, 0.9, 0.6]), np.array([0.8, 0.6, 0.4, 0.5, 0.1])).p
        0.0625
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ValueError(f"shapes {first.shape} and {second.shape}: give one score of each model for each dataset")
    if not np.isfinite([first, second]).all():
        raise ValueError("a score is not finite: leave out the datasets that one of the models lacks")
    difference = np.round(first - second, DECIMALS)
    unequal = difference[difference != 0]
    exact = len(unequal) <= (50 if len(np.unique(np.abs(unequal))) == len(unequal) else 13)
    p = float(wilcoxon(unequal)[1]) if len(unequal) else 1.0  # type: ignore[arg-type]
    least = min(1.0, 2.0 ** (1 - len(unequal)))
    median = float(np.median(difference))
    return SignedRank(len(first), int(np.sum(difference > 0)), median, p, p, least, exact)


def compare_over_datasets(scores: Mapping[str, np.ndarray], *, reference: str) -> dict[str, SignedRank]:
    """Tests every model against one of them, with Holm's correction for the number of tests.

    Args:
        scores: Of each model one score for each dataset (datasets,), higher is better, datasets in one order.
        reference: The model that all others are held against.

    Returns:
        A test for each of the others, its differences those to the reference.

    Raises:
        ValueError: If there is no such model, or as `signed_rank`.
    """
    if reference not in scores:
        raise ValueError(f"reference={reference!r} has no scores; known: {', '.join(sorted(scores))}")
    tests = {name: signed_rank(values, scores[reference]) for name, values in scores.items() if name != reference}
    corrected = holm([test.p for test in tests.values()])
    return {name: test._replace(corrected=float(p)) for (name, test), p in zip(tests.items(), corrected, strict=True)}


def mean_ranks(scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean place of each model over datasets, 1 for the best; models that score the same share their mean place.

    Args:
        scores: Of each model one score for each dataset (datasets,), higher is better, datasets in one order.

    Returns:
        Mean rank of each model, 1 to the number of models.

    Source:
        Demšar (2006), section 3.2.2.

    Example:
        >>> mean_ranks({"a": np.array([0.9, 0.5]), "b": np.array([0.8, 0.5])})
        {'a': 1.25, 'b': 1.75}
    """
    table = np.round(np.stack([np.asarray(each, np.float64) for each in scores.values()]), DECIMALS)
    if not np.isfinite(table).all():
        raise ValueError("a score is not finite: leave out the datasets that one of the models lacks")
    return dict(zip(scores, rankdata(-table, axis=0).mean(axis=1).tolist(), strict=True))
