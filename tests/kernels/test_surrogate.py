"""Spikes: a strict step forward, the published derivative backward."""

from __future__ import annotations

import math

import pytest
import torch
from tests.reference import PRIMITIVES

from neurofmx.kernels.surrogate import QUADRATICS, SURROGATES, inverse_quadratic, spike

FORMULAS = {
    "fast_sigmoid": lambda x, k: 1 / (1 + k * abs(x)) ** 2,
    "atan": lambda x, k: k / 2 / (1 + (math.pi / 2 * k * x) ** 2),
    "straight_through": lambda x, k: 1.0,
    "sigmoid": lambda x, k: k * math.exp(-k * abs(x)) / (1 + math.exp(-k * abs(x))) ** 2,
    "triangular": lambda x, k: max(0.0, 1 - k * abs(x)),
    "gaussian": lambda x, k: k / math.sqrt(2 * math.pi) * math.exp(-((k * x) ** 2) / 2),
}


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("slope", [2.0, 25.0])
def test_backward_is_the_published_formula(surrogate, slope):
    x = torch.tensor([-3.0, -0.2, -1e-3, 0.0, 0.04, 1.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(spike(x, surrogate=surrogate, slope=slope).sum(), x)
    wanted = [FORMULAS[surrogate](value, slope) for value in x.tolist()]
    torch.testing.assert_close(gradient, torch.tensor(wanted, dtype=torch.float64), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_derivative_is_that_of_its_smooth_function(surrogate):
    x = torch.linspace(-1, 1, 20, dtype=torch.float64, requires_grad=True)
    (numeric,) = torch.autograd.grad(PRIMITIVES[surrogate](x, 25.0).sum(), x)
    torch.testing.assert_close(SURROGATES[surrogate](x.detach(), 25.0), numeric)


@pytest.mark.parametrize("surrogate", QUADRATICS)
@pytest.mark.parametrize("slope", [2.0, 25.0])
def test_is_the_inverse_of_a_quadratic(surrogate, slope):
    a, p, q = inverse_quadratic(surrogate, slope)
    wanted = [FORMULAS[surrogate](x, slope) for x in (-3.0, -0.2, 0.0, 1e-3, 1.0)]
    assert [a / (1 + p * abs(x) + q * x * x) for x in (-3.0, -0.2, 0.0, 1e-3, 1.0)] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("surrogate", "area"), [("sigmoid", 1.0), ("gaussian", 1.0), ("atan", 1.0), ("triangular", 0.2)]
)
def test_bumps_have_their_area(surrogate, area):
    x = torch.linspace(-400, 400, 4_000_001, dtype=torch.float64)
    assert torch.trapezoid(SURROGATES[surrogate](x, 5.0), x).item() == pytest.approx(area, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fires_strictly_above_threshold(dtype):
    x = torch.tensor([-1.0, 0.0, torch.finfo(dtype).tiny, 1.0], dtype=dtype)
    torch.testing.assert_close(spike(x), torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=dtype))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"unknown surrogate 'atn'; did you mean 'atan'"):
        spike(torch.zeros(1), surrogate="atn")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"slope must be above 0, got 0"):
        spike(torch.zeros(1), slope=0.0)
    with pytest.raises(ValueError, match=r"slope must be above 0, got -1"):
        inverse_quadratic("atan", -1.0)
    with pytest.raises(ValueError, match=r"surrogate='gaussian' is computed by plain torch alone: choose path='auto'"):
        inverse_quadratic("gaussian", 1.0)
