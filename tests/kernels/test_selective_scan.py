"""The scan against a scalar loop, the matrix exponential and the layout of mamba-ssm."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.reference import gradients, selective_scan_naive

from neurofmx.kernels import selective_scan as module
from neurofmx.kernels.selective_scan import selective_scan


def arguments(batch=2, length=5, inner=3, states=4):
    """Random sequences, coefficients and state that want gradients."""
    torch.manual_seed(0)
    u, B, C = (torch.randn(batch, length, size, dtype=torch.float64) for size in (inner, states, states))
    dt = torch.rand(batch, length, inner, dtype=torch.float64) + 0.05
    A = -torch.rand(inner, states, dtype=torch.float64) * 3
    D, state = torch.randn(inner, dtype=torch.float64), torch.randn(batch, inner, states, dtype=torch.float64)
    return [tensor.requires_grad_() for tensor in (u, dt, A, B, C, D, state)]


def test_equals_the_scalar_loop_in_outputs_state_and_gradients():
    inputs = arguments()
    ours = selective_scan(*inputs[:6], state=inputs[6])
    naive = selective_scan_naive(*inputs)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


def test_gradcheck():
    inputs = arguments(batch=1, length=3, inner=2, states=2)
    assert torch.autograd.gradcheck(lambda *args: selective_scan(*args[:6], state=args[6]), inputs)


def test_free_decay_is_the_matrix_exponential():
    u, dt, A, B, C, D, state = (tensor.detach() for tensor in arguments(length=9))
    dt = torch.full_like(dt, 0.11)
    _, last = selective_scan(torch.zeros_like(u), dt, A, B, C, D, state=state)
    for d in range(A.shape[0]):
        exact = scipy.linalg.expm(np.diag(A[d].numpy()) * 0.11 * 9) @ state[:, d].numpy().T
        np.testing.assert_allclose(last[:, d].numpy(), exact.T, rtol=1e-12)


def test_converges_to_the_driven_equation_at_first_order():
    # h' = A h + B u from rest; expm of the augmented matrix is exact, the input's Euler step is of order 1.
    A, B, u, span = -1.3, 0.7, 2.0, 1.5
    exact = scipy.linalg.expm(np.array([[A, B * u], [0.0, 0.0]]) * span)[0, 1]
    errors = []
    for steps in (100, 200, 400):
        ones = torch.ones(1, steps, 1, dtype=torch.float64)
        coefficient = torch.tensor([[A]], dtype=torch.float64)
        y, _ = selective_scan(u * ones, span / steps * ones, coefficient, B * ones, ones, torch.zeros(1).double())
        errors.append(abs(y[0, -1, 0].item() - exact))
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1.0, atol=0.02)


def test_no_state_is_a_zero_state():
    u, dt, A, B, C, D, state = arguments()
    rest = selective_scan(u, dt, A, B, C, D, state=torch.zeros_like(state))
    torch.testing.assert_close(selective_scan(u, dt, A, B, C, D), rest, rtol=0, atol=0)


def test_chunks_equal_one_pass():
    u, dt, A, B, C, D, state = (tensor.detach() for tensor in arguments(length=11))
    whole, last = selective_scan(u, dt, A, B, C, D, state=state)
    parts = []
    for piece in zip(*(tensor.split([3, 1, 7], 1) for tensor in (u, dt, B, C)), strict=True):
        y, state = selective_scan(piece[0], piece[1], A, piece[2], piece[3], D, state=state)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-12, atol=1e-12)


def test_library_path_on_a_cpu_says_what_it_needs():
    with pytest.raises(ValueError, match=r"needs CUDA and `pip install mamba-ssm`.*on cpu.*path='reference'"):
        selective_scan(*arguments()[:6], path="library")


def test_library_layout_is_that_of_mamba_ssm():
    def channels_first_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, **flags):
        """mamba-ssm's signature over (batch, channels, length), by the scalar loop."""
        assert flags == {"return_last_state": True}
        rows = [tensor.transpose(1, 2) for tensor in (u, delta, B, C)]
        start = torch.zeros(u.shape[0], *A.shape, dtype=u.dtype)
        y, last = selective_scan_naive(rows[0], rows[1], A, rows[2], rows[3], D, start)
        return y.transpose(1, 2), last

    inputs = arguments()[:6]
    mapped = module._channels_first(channels_first_scan, *inputs)
    torch.testing.assert_close(mapped, selective_scan(*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("position", "shape", "message"),
    [
        (1, (2, 5, 4), r"dt must have the shape \(batch=2, length=5, d_inner=3\), got \(2, 5, 4\)"),
        (3, (2, 4, 4), r"B must have the shape \(batch=2, length=5, d_state=4\)"),
        (5, (4,), r"D must have the shape \(d_inner=3\), got \(4,\)"),
    ],
)
def test_wrong_shapes_are_refused(position, shape, message):
    inputs = arguments()[:6]
    inputs[position] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        selective_scan(*inputs)
