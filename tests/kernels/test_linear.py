"""Products whose bits do not depend on the number of rows: against float64, closed bounds, and cut anywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import assert_bits_depend_on_nothing

from neurofmx.kernels.cpu.linear_op import row_linear_op
from neurofmx.kernels.linear import Quantized, row_linear
from neurofmx.layers.quantize import quantize

EPS = 2.0**-24
SIZES = [(1, 1), (3, 5), (16, 33), (70, 7), (128, 40), (200, 65)]  # inputs and outputs
KINDS = ["float32", "asymmetric", "symmetric"]


def made(inputs, outputs, kind, rows=9, seed=0):
    """Inputs, a weight matrix of a kind, and a bias."""
    generator = torch.Generator().manual_seed(seed)
    x, weight, bias = (
        torch.randn(shape, generator=generator) for shape in ((rows, inputs), (outputs, inputs), (outputs,))
    )
    return x, weight if kind == "float32" else quantize(weight + 0.5, scheme=kind), bias


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_equals_the_product_in_double_precision_within_the_bound_of_its_sums(inputs, outputs, kind):
    x, weight, bias = made(inputs, outputs, kind)
    numbers = weight if isinstance(weight, torch.Tensor) else weight.numbers - weight.zero_point[:, None].double()
    scale = 1.0 if isinstance(weight, torch.Tensor) else weight.scale.double()
    exact = x.double() @ numbers.double().t() * scale + bias.double()
    # Higham (2002), section 3.1: n additions of products are off by at most n eps times the sum of sizes
    sizes = (numbers if isinstance(weight, torch.Tensor) else numbers.abs() + 2 * 128).double().abs()
    bound = (inputs + 6) * EPS * (x.double().abs() @ sizes.t() * scale + bias.double().abs())
    with torch.no_grad():
        found = row_linear(x, weight, bias, path="numba").double()
    assert ((found - exact).abs() <= bound).all()
    torch.testing.assert_close(row_linear(x, weight, bias, path="reference").double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@given(inputs=st.integers(1, 90), outputs=st.integers(1, 70), cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_rows_have_the_same_bits_alone_and_together(kind, inputs, outputs, cuts):
    x, weight, bias = made(inputs, outputs, kind, rows=sum(cuts), seed=inputs)
    whole = row_linear(x, weight, bias)
    assert torch.equal(torch.cat([row_linear(part, weight, bias) for part in x.split(cuts)]), whole)
    assert torch.equal(row_linear(x.view(1, -1, inputs), weight, bias)[0], whole)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_depend_neither_on_the_run_nor_on_threads(kind):
    x, weight, bias = made(50, 150, kind, rows=3)
    assert_bits_depend_on_nothing(lambda: [row_linear(x, weight, bias)])


@pytest.mark.parametrize("scheme", ["asymmetric", "symmetric"])
@given(
    seed=st.integers(0, 99),
    inputs=st.integers(1, 40),
    shift=st.sampled_from([0.0, 0.3, -5.0]),
    spread=st.sampled_from([0.0, 1e-3, 1.0, 40.0]),
)
@settings(max_examples=30, deadline=None)
def test_a_quantised_product_is_within_half_a_step_a_weight(scheme, seed, inputs, shift, spread):
    generator = torch.Generator().manual_seed(seed)
    x, weight = (torch.randn(shape, generator=generator) for shape in ((4, inputs), (6, inputs)))
    weight = weight * spread + shift
    made = quantize(weight, scheme=scheme)
    exact = x.double() @ weight.double().t()
    steps = x.double().abs().sum(1, keepdim=True) * made.scale.double() / 2
    rounding = (inputs + 8) * EPS * (x.double().abs().sum(1, keepdim=True) * made.scale.double() * 3 * 128)
    assert ((row_linear(x, made).double() - exact).abs() <= steps * (1 + 1e-4) + rounding).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("biased", [True, False])
def test_gradients_are_those_of_the_reference(kind, biased):
    x, weight, bias = made(37, 5, kind)
    found = []
    for path in ("numba", "reference"):
        leaves = [each.clone().requires_grad_() for each in (x, bias)]
        matrix = weight.clone().requires_grad_() if isinstance(weight, torch.Tensor) else weight
        y = row_linear(leaves[0], matrix, leaves[1] if biased else None, path=path)
        y.square().sum().backward()
        wanted = [*leaves[: 1 + biased], *([matrix] if isinstance(matrix, torch.Tensor) else [])]
        found.append([y.detach(), *(each.grad for each in wanted)])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["float32", "asymmetric"])
def test_the_operator_stands_the_checks_of_torch(kind):
    x, weight, bias = made(20, 3, kind)
    x.requires_grad_()
    given = (weight, None, None) if isinstance(weight, torch.Tensor) else weight
    torch.library.opcheck(row_linear_op, (x, *given, bias))


def test_no_rows_give_no_rows():
    x, weight, bias = made(5, 3, "float32", rows=0)
    assert row_linear(x, weight, bias).shape == (0, 3)


def test_double_precision_and_half_precision_are_taken():
    x, weight, bias = made(20, 3, "float32")
    double = row_linear(x.double(), weight.double(), bias.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double, x.double() @ weight.double().t() + bias.double())
    assert torch.equal(row_linear(x.bfloat16(), weight, bias), row_linear(x.bfloat16().float(), weight, bias))


def test_wrong_arguments_are_refused():
    x, weight, _ = made(4, 3, "asymmetric")
    with pytest.raises(ValueError, match=r"weight must have the shape \(outputs, inputs=5\), got \(3, 4\)"):
        row_linear(torch.zeros(2, 5), weight)
    with pytest.raises(ValueError, match=r"bias must have the shape \(outputs=3\), got \(4,\)"):
        row_linear(x, weight, torch.zeros(4))
    with pytest.raises(ValueError, match=r"weight\.numbers must be torch\.int8, got torch\.int16"):
        row_linear(x, Quantized(weight.numbers.short(), *weight[1:]))
    with pytest.raises(ValueError, match=r"x must be float32 for path='numba', got torch\.float64"):
        row_linear(x.double(), weight, path="numba")
    with pytest.raises(ValueError, match="unknown path 'library'"):
        row_linear(x, weight, path="library")
