"""The reversal layer against the chain rule, and its schedule against the paper's values."""

import math

import pytest
import torch
from torch import nn

from neurofmx.layers.gradient_reversal import reversal_strength, reverse_gradient


def test_it_is_the_identity_with_the_slope_turned_round() -> None:
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 5, dtype=torch.float64)
    y = reverse_gradient(x, 0.3)
    assert torch.equal(y, x)
    (weight * y**2).sum().backward()
    torch.testing.assert_close(x.grad, -0.3 * 2 * weight * x.detach())


def test_what_stands_before_climbs_while_what_stands_behind_descends() -> None:
    """One saddle: f(a, b) = a b + b^2 / 2; a plain step of gradient descent in both would lower f in both."""
    a, b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (2.0, 3.0))
    features = reverse_gradient(a, 0.5)
    (features * b + b**2 / 2).backward()
    assert a.grad == pytest.approx(-0.5 * 3.0)
    assert b.grad == pytest.approx(2.0 + 3.0)


def test_the_schedule_is_that_of_the_paper() -> None:
    for progress in (0.0, 0.05, 0.37, 1.0):
        assert reversal_strength(progress) == pytest.approx(math.tanh(5 * progress), rel=1e-12, abs=0)
    assert reversal_strength(0.2, gamma=3, highest=0.25) == pytest.approx(0.25 * math.tanh(0.3))


@pytest.mark.parametrize("progress", [-0.01, 1.01, math.nan])
def test_progress_is_a_share(progress: float) -> None:
    with pytest.raises(ValueError, match="progress="):
        reversal_strength(progress)


@pytest.mark.parametrize("strength", [-1.0, math.inf, math.nan])
def test_a_strength_that_would_teach_the_domain_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength="):
        reverse_gradient(torch.ones(1), strength)
