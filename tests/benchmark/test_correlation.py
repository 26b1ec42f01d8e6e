"""Correlations against scipy, and their p where observations depend on each other."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from neurofmx.benchmark.metrics.correlation import pearson, spearman


def pairs(n: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Two variables, the second followed more closely."""
    rng = np.random.default_rng(4)
    truth = rng.normal(size=(n, 2))
    return truth, truth + rng.normal(size=(n, 2)) * (4, 1)


@pytest.mark.parametrize(("ours", "theirs"), [(pearson, pearsonr), (spearman, spearmanr)])
@pytest.mark.parametrize("rounded", [False, True], ids=["apart", "ties"])
def test_correlations_and_p_are_those_of_scipy(ours, theirs, rounded: bool) -> None:
    truth, answer = (np.round(each) if rounded else each for each in pairs())
    found = ours(truth, answer)
    for column in range(2):
        expected = theirs(truth[:, column], answer[:, column])
        assert found.r[column] == pytest.approx(expected.statistic, rel=1e-12)
        assert found.p[column] == pytest.approx(expected.pvalue, rel=1e-9)


def test_p_keeps_its_promise_only_with_the_number_of_independent_pairs() -> None:
    # stretches of 20 equal values: with no correlation, p must be below 0.1 one time in ten
    rng = np.random.default_rng(5)
    truth, answer = (np.repeat(rng.normal(size=(15, 1000)), 20, axis=0) for _ in range(2))
    assert np.mean(pearson(truth, answer, independent=15).p < 0.1) == pytest.approx(0.1, abs=0.03)
    assert np.mean(pearson(truth, answer).p < 0.1) > 0.5


def test_a_constant_answer_follows_nothing() -> None:
    truth, answer = pairs()
    answer[:, 0] = 3.0
    found = pearson(truth, answer)
    assert (found.r[0], found.p[0]) == (0.0, 1.0)
    assert found.r[1] > 0.5


def test_perfect_answers_have_no_p() -> None:
    truth, _ = pairs()
    np.testing.assert_allclose(pearson(truth, 3 - 2 * truth).r, -1)
    np.testing.assert_allclose(pearson(truth, 3 - 2 * truth).p, 0, atol=1e-30)
    np.testing.assert_allclose(spearman(truth, np.exp(truth)).r, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, a: dict(truth=t, answer=a[:5]), "one answer for each truth"),
        (lambda t, a: dict(truth=0 * t, answer=a), "never changes"),
        (lambda t, a: dict(truth=t, answer=a * np.nan), "not finite"),
        (lambda t, a: dict(truth=t, answer=a, independent=2), "independent=2"),
        (lambda t, a: dict(truth=t, answer=a, independent=26), "independent=26"),
        (lambda t, a: dict(truth=t[None], answer=a[None]), r"give \(n,\)"),
    ],
)
def test_wrong_input_is_refused(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pearson(**change(*pairs()))
