"""Ridge against the normal equations, logistic regression against its optimality conditions."""

import numpy as np
import pytest
from scipy.special import softmax

from neurofmx.models.fitted.readout import fit_readouts
from neurofmx.recordings.task import Task

PLACE = Task("regression", "place", ("x", "y"))
HEADING = Task("circular", "heading", ("heading",))
ABC = Task("classification", "label", ("a", "b", "c"))
SIDES = Task("classification", "side", ("left", "right"))


def rows(n: int, p: int) -> np.ndarray:
    """Features of unequal scale, one of them constant."""
    rng = np.random.default_rng(n + p)
    x = rng.normal(size=(n, p)) * np.geomspace(0.1, 10, p) + 5
    x[:, -1] = 3.0
    return x


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1, the constant one 0."""
    deviation = x.std(0)
    deviation[-1] = 1
    return (x - x.mean(0)) / deviation


@pytest.mark.parametrize(("n", "p"), [(50, 8), (20, 45)])
@pytest.mark.parametrize("strength", [0.5, 30.0])
def test_ridge_solves_the_normal_equations(n: int, p: int, strength: float) -> None:
    x = rows(n, p)
    y = np.random.default_rng(1).normal(loc=(1, 100), size=(n, 2))
    (readout,) = fit_readouts(x, y, PLACE, strengths=[strength])
    z = standardised(x)
    weight = np.linalg.solve(z.T @ z + strength * np.eye(p), z.T @ (y - y.mean(0)))
    np.testing.assert_allclose(readout.weight, weight, atol=1e-9)
    np.testing.assert_allclose(readout(x), z @ weight + y.mean(0), atol=1e-8)


def test_an_angle_is_fitted_as_cosine_and_sine() -> None:
    x, y = rows(60, 6), np.random.default_rng(2).uniform(0, 2 * np.pi, 60)
    (readout,) = fit_readouts(x, y, HEADING, strengths=[1.0])
    (values,) = fit_readouts(x, np.stack([np.cos(y), np.sin(y)], 1), PLACE, strengths=[1.0])
    np.testing.assert_allclose(readout.weight, values.weight, atol=1e-12)


@pytest.mark.parametrize(("n", "p"), [(60, 6), (30, 50)])
@pytest.mark.parametrize("task", [ABC, SIDES])
def test_the_gradient_of_the_logistic_loss_vanishes(n: int, p: int, task: Task) -> None:
    x, y, strength = rows(n, p), np.arange(n) % task.width, 2.0
    (readout,) = fit_readouts(x, y, task, strengths=[strength], max_iter=2000)
    z, error = standardised(x), softmax(readout(x), axis=1) - np.eye(task.width)[y]
    # two logits +-w/2 stand for one difference w: its penalty strength / 2 w^2 is strength * (w1^2 + w2^2)
    penalty = strength * readout.weight * (2 if task.width == 2 else 1)
    np.testing.assert_allclose(z.T @ error + penalty, 0, atol=0.02)
    np.testing.assert_allclose(error.sum(0), 0, atol=0.02)


def test_turning_the_rows_changes_nothing() -> None:
    """More features than rows are fitted in another frame; adding empty features must not change the answers."""
    x, y = rows(20, 15), np.arange(20) % 3
    wide = np.hstack([x, np.zeros((20, 30))])
    for task, answer in ((ABC, y), (PLACE, rows(20, 2))):
        (short,) = fit_readouts(x, answer, task, strengths=[1.0])
        (turned,) = fit_readouts(wide, answer, task, strengths=[1.0])
        np.testing.assert_allclose(turned(wide), short(x), atol=2e-3)


def test_strongest_first_and_weights_grow() -> None:
    x, y = rows(60, 6), np.arange(60) % 3
    readouts = list(fit_readouts(x, y, ABC, strengths=[1.0, 100.0, 10.0]))
    assert [float(r.strength[0]) for r in readouts] == [100, 10, 1]
    sizes = [np.linalg.norm(r.weight) for r in readouts]
    assert sizes == sorted(sizes)


def test_starting_from_the_stronger_solution_ends_at_the_same_place() -> None:
    x, y = rows(60, 6), np.arange(60) % 3
    *_, warm = fit_readouts(x, y, ABC, strengths=[100.0, 10.0, 1.0])
    (cold,) = fit_readouts(x, y, ABC, strengths=[1.0])
    np.testing.assert_allclose(warm(x), cold(x), atol=2e-3)


def test_a_shared_unit_keeps_the_ratios_of_the_features() -> None:
    x = rows(60, 6)
    (readout,) = fit_readouts(x, np.arange(60) % 3, ABC, strengths=[1.0], shared_unit=True)
    np.testing.assert_allclose(readout.std, np.sqrt(np.mean(x.var(0))))


def test_a_class_without_windows_is_refused() -> None:
    with pytest.raises(ValueError, match="no training window of class c among 10"):
        next(fit_readouts(rows(10, 3), np.arange(10) % 2, ABC, strengths=[1.0]))
