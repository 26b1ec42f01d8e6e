"""Numbers about states against scikit-learn and closed forms."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from neurofmx.benchmark.metrics.dimensionality import dimensions_for, explained_variance, participation_ratio, spectrum
from neurofmx.benchmark.metrics.silhouette import silhouettes


def states_with(variances: list[float], n: int = 40) -> np.ndarray:
    """States whose covariance has exactly these eigenvalues, turned any way."""
    rng = np.random.default_rng(6)
    white = rng.normal(size=(n, len(variances)))
    white = np.linalg.qr(white - white.mean(0))[0] * np.sqrt(n - 1)
    turn = np.linalg.qr(rng.normal(size=(len(variances), len(variances))))[0]
    return (white * np.sqrt(variances)) @ turn + 5


def test_the_spectrum_is_the_one_asked_for_and_that_of_pca() -> None:
    states = states_with([9.0, 4.0, 1.0, 0.0])
    np.testing.assert_allclose(spectrum(states), [9, 4, 1, 0], atol=1e-10)
    fitted = PCA().fit(states)
    np.testing.assert_allclose(spectrum(states), fitted.explained_variance_, atol=1e-10)
    np.testing.assert_allclose(explained_variance(states), np.cumsum(fitted.explained_variance_ratio_), atol=1e-12)


def test_participation_ratio_in_closed_form() -> None:
    assert participation_ratio(states_with([2.0] * 6)) == pytest.approx(6)  # a sphere
    assert participation_ratio(states_with([3.0, 0.0, 0.0])) == pytest.approx(1)  # a line
    assert participation_ratio(states_with([9.0, 4.0, 1.0])) == pytest.approx(14**2 / (81 + 16 + 1))


def test_dimensions_that_hold_a_share() -> None:
    states = states_with([90.0, 6.0, 3.0, 1.0])  # 0.90, 0.96, 0.99, 1
    assert [dimensions_for(states, share=share) for share in (0.5, 0.95, 0.97, 0.995)] == [1, 2, 3, 4]
    fitted = PCA(n_components=0.95, svd_solver="full").fit(states)
    assert dimensions_for(states) == fitted.n_components_
    with pytest.raises(ValueError, match="share=95"):
        dimensions_for(states, share=95)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (np.ones((5, 3)), "collapsed"),
        (np.full((5, 3), np.nan), "not finite"),
        (np.ones((1, 3)), "at least 2"),
        (np.ones(5), "at least 2"),
    ],
)
def test_states_that_say_nothing_are_refused(states: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        participation_ratio(states)


def test_silhouette_by_hand() -> None:
    states = np.array([[0.0], [1.0], [4.0], [6.0]])
    by_hand = [(5 - 1) / 5, (4 - 1) / 4, (3.5 - 2) / 3.5, (5.5 - 2) / 5.5]
    np.testing.assert_allclose(silhouettes(states, np.array([0, 0, 1, 1])), by_hand)
    np.testing.assert_allclose(silhouettes(states, np.array([0, 0, 0, 1]))[3], 0)  # a group of one


def test_labels_that_make_no_groups_are_refused() -> None:
    states = np.arange(8.0).reshape(4, 2)
    for labels in (np.zeros(4), np.arange(4)):
        with pytest.raises(ValueError, match="groups of 4 states"):
            silhouettes(states, labels)
    with pytest.raises(ValueError, match="give"):
        silhouettes(states, np.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        silhouettes(states * np.nan, np.array([0, 0, 1, 1]))
