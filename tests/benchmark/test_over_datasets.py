"""Tests over datasets against all sign flips counted one by one, and their corrections against their definition."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import false_discovery_control, rankdata, wilcoxon

from neurofmx.benchmark.metrics.holm import holm
from neurofmx.benchmark.metrics.over_datasets import compare_over_datasets, mean_ranks, signed_rank


def by_all_signs(difference: np.ndarray) -> float:
    """Share of all ways to flip signs whose rank sum lies as far from its mean as the one seen."""
    ranks = rankdata(np.abs(difference))
    middle = ranks.sum() / 2
    seen = abs(ranks[difference > 0].sum() - middle)
    flips = [abs(np.dot(ranks, signs) - middle) for signs in product([0, 1], repeat=len(ranks))]
    return float(np.mean(np.array(flips) >= seen - 1e-9))


@pytest.mark.parametrize("datasets", [1, 3, 6, 9])
@pytest.mark.parametrize("decimals", [6, 1], ids=["apart", "ties"])
def test_p_of_few_datasets_is_exact(datasets: int, decimals: int) -> None:
    rng = np.random.default_rng(datasets)
    for _ in range(5):
        second = np.round(rng.uniform(0.4, 0.9, datasets), decimals)
        first = np.round(second + rng.normal(0.1, 0.2, datasets), decimals)
        difference = np.round(first - second, 9)
        found = signed_rank(first, second)
        assert found.exact
        assert found.p == pytest.approx(by_all_signs(difference[difference != 0]))
        assert found.better == np.sum(difference > 0)
        assert found.median == pytest.approx(np.median(difference))


def test_five_datasets_can_never_be_significant() -> None:
    five, six = np.arange(1.0, 6), np.arange(1.0, 7)
    assert signed_rank(five, 0 * five).p == signed_rank(five, 0 * five).least_p == 0.0625
    assert signed_rank(six, 0 * six).p == 0.03125
    assert signed_rank(-six, 0 * six).p == 0.03125


def test_equal_scores_are_left_out() -> None:
    first, second = np.array([0.1 + 0.2, 0.9, 0.8, 0.5]), np.array([0.3, 0.5, 0.5, 0.1])
    found = signed_rank(first, second)  # 0.1 + 0.2 rounds, 0.9 - 0.5 and 0.5 - 0.1 as well
    assert found.p == found.least_p == 0.25
    assert (found.datasets, found.better) == (4, 3)
    same = signed_rank(first, first)
    assert (same.p, same.least_p, same.better, same.exact) == (1.0, 1.0, 0, True)


def test_many_datasets_go_by_the_normal_approximation() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(0.3, 1, 60), np.zeros(60)
    found = signed_rank(first, second)
    assert not found.exact
    assert found.p == pytest.approx(wilcoxon(first, method="asymptotic").pvalue)
    assert found.p == pytest.approx(wilcoxon(first, method="exact").pvalue, rel=0.05)


def test_holm_by_hand_and_between_its_neighbours() -> None:
    np.testing.assert_allclose(holm([0.04, 0.001, 0.02, 0.9]), [0.08, 0.004, 0.06, 0.9])
    assert holm([]).tolist() == []
    p = np.random.default_rng(9).uniform(0, 0.2, 12)
    corrected = holm(p)
    # never stricter than Bonferroni, never looser than the control of false discoveries
    assert np.all(corrected <= np.minimum(12 * p, 1))
    assert np.all(corrected >= false_discovery_control(p) - 1e-15)
    # its definition: rejected at a level are the smallest ones up to the first that misses level / (tests left)
    for level in (0.01, 0.05, 0.2, 0.5):
        ordered = np.sort(p)
        passed = np.cumprod(ordered <= level / np.arange(12, 0, -1)).sum()
        assert np.sum(corrected <= level) == passed


def test_one_false_finding_among_many_stays_rare() -> None:
    p = np.random.default_rng(10).uniform(size=(4000, 5))
    assert np.mean([holm(row).min() < 0.1 for row in p]) == pytest.approx(0.1, abs=0.015)


def test_models_are_compared_with_a_reference_and_corrected_together() -> None:
    rng = np.random.default_rng(11)
    linear = rng.uniform(0.5, 0.8, 8)
    scores = {"good": linear + rng.uniform(0.01, 0.1, 8), "linear": linear, "like": linear + rng.normal(0, 0.05, 8)}
    found = compare_over_datasets(scores, reference="linear")
    assert list(found) == ["good", "like"]
    assert found["good"].p == 2**-7
    assert found["good"].corrected == 2 * 2**-7
    assert found["good"].better == 8
    assert found["like"].corrected == max(found["like"].p, found["good"].corrected)
    with pytest.raises(ValueError, match="reference='linaer'"):
        compare_over_datasets(scores, reference="linaer")


def test_mean_ranks_have_a_fixed_sum() -> None:
    rng = np.random.default_rng(12)
    scores = {name: np.round(rng.uniform(size=7), 1) for name in "abcd"}
    ranks = mean_ranks(scores)
    assert sum(ranks.values()) == pytest.approx(10)
    better = mean_ranks(scores | {"a": np.full(7, 2.0)})
    assert better["a"] == 1
    assert mean_ranks({"only": np.ones(3)}) == {"only": 1.0}


@pytest.mark.parametrize("first", [np.ones(3), np.array([np.nan, 1.0]), np.ones((2, 1)), np.ones(0)])
def test_wrong_scores_are_refused(first: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"give one score|not finite"):
        signed_rank(first, np.ones(2) if len(first) else first)
    with pytest.raises(ValueError, match="not finite"):
        mean_ranks({"a": np.array([1.0, np.inf])})
    with pytest.raises(ValueError, match="one value from 0 to 1"):
        holm([0.5, 1.2])
