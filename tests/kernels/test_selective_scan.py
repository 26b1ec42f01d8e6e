"""The scan on every path against a scalar loop, the matrix exponential and the layout of mamba-ssm."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import gradients, selective_scan_naive
from torch.nn import functional as F

from neurofmx.kernels import selective_scan as module
from neurofmx.kernels.selective_scan import selective_scan

PATHS = ("reference", "numba")
SHAPES = ((2, 5, 3, 4), (1, 1, 1, 1), (3, 33, 17, 5), (2, 70, 300, 16), (70, 3, 16, 2), (1, 5000, 2, 3), (0, 5, 3, 4))
few = settings(max_examples=8, deadline=None, derandomize=True)


def arguments(batch=2, length=5, inner=3, states=4, dtype=torch.float64):
    """Random sequences, coefficients, state and gate that want gradients; raw step sizes, to go through softplus."""
    torch.manual_seed(0)
    u, B, C, gate = (torch.randn(batch, length, size, dtype=dtype) for size in (inner, states, states, inner))
    dt = torch.randn(batch, length, inner, dtype=dtype) - 1
    A = -torch.rand(inner, states, dtype=dtype) * 3
    D, state = torch.randn(inner, dtype=dtype), torch.randn(batch, inner, states, dtype=dtype)
    return [tensor.requires_grad_() for tensor in (u, dt, A, B, C, D, state, gate)]


def run(inputs, path, **changes):
    """The scan with everything around it."""
    return selective_scan(
        *inputs[:6], **({"state": inputs[6], "gate": inputs[7], "softplus": True, "path": path} | changes)
    )


def plain(inputs, path, **changes):
    """The scan alone, of step sizes above 0."""
    u, dt, A, B, C, D, state, _ = inputs
    return selective_scan(u, dt.exp(), A, B, C, D, **({"state": state, "path": path} | changes))


@pytest.mark.parametrize("path", PATHS)
def test_equals_the_scalar_loop_in_outputs_state_and_gradients(path):
    inputs = arguments()
    u, dt, A, B, C, D, state, _ = inputs
    ours, naive = plain(inputs, path), selective_scan_naive(u, dt.exp(), A, B, C, D, state)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs[:7]), gradients(naive, inputs[:7]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", PATHS)
def test_softplus_and_gate_stand_around_the_scan(path):
    inputs = arguments()
    u, dt, A, B, C, D, state, gate = inputs
    ours = run(inputs, path)
    y, last = selective_scan_naive(u, F.softplus(dt), A, B, C, D, state)
    naive = y * F.silu(gate), last
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", PATHS)
def test_gradcheck(path):
    inputs = arguments(batch=1, length=3, inner=2, states=2)
    assert torch.autograd.gradcheck(lambda *args: run(args, path), inputs)
    assert torch.autograd.gradcheck(lambda *args: plain((*args, None, None), path), inputs[:6])


@pytest.mark.parametrize("path", PATHS)
def test_free_decay_is_the_matrix_exponential(path):
    u, dt, A, B, C, D, state, _ = (tensor.detach() for tensor in arguments(length=9))
    dt = torch.full_like(dt, 0.11)
    _, last = selective_scan(torch.zeros_like(u), dt, A, B, C, D, state=state, path=path)
    for d in range(A.shape[0]):
        exact = scipy.linalg.expm(np.diag(A[d].numpy()) * 0.11 * 9) @ state[:, d].numpy().T
        np.testing.assert_allclose(last[:, d].numpy(), exact.T, rtol=1e-12)


@pytest.mark.parametrize("path", PATHS)
def test_converges_to_the_driven_equation_at_first_order(path):
    # h' = A h + B u from rest; expm of the augmented matrix is exact, the input's Euler step is of order 1.
    A, B, u, span = -1.3, 0.7, 2.0, 1.5
    exact = scipy.linalg.expm(np.array([[A, B * u], [0.0, 0.0]]) * span)[0, 1]
    errors = []
    for steps in (100, 200, 400):
        ones = torch.ones(1, steps, 1, dtype=torch.float64)
        coefficient, skip = torch.tensor([[A]], dtype=torch.float64), torch.zeros(1).double()
        y, _ = selective_scan(u * ones, span / steps * ones, coefficient, B * ones, ones, skip, path=path)
        errors.append(abs(y[0, -1, 0].item() - exact))
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1.0, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_loops_equal_plain_torch(shape, dtype):
    # lengths of part of a tile to many, channels of part of a vector to several blocks, sequences that share a job
    inputs = arguments(*shape, dtype=dtype)
    ours, plain_torch = run(inputs, "numba"), run(inputs, "reference")
    rtol = 1e-11 if dtype == torch.float64 else 2e-5
    for mine, theirs in zip(
        (*ours, *gradients(ours, inputs)), (*plain_torch, *gradients(plain_torch, inputs)), strict=True
    ):
        largest = theirs.abs().max().item() if theirs.numel() else 0
        torch.testing.assert_close(mine, theirs, rtol=0, atol=rtol * largest)


@pytest.mark.parametrize("path", PATHS)
def test_no_state_is_a_zero_state(path):
    inputs = arguments()
    rest = run(inputs, path, state=torch.zeros_like(inputs[6]))
    torch.testing.assert_close(run(inputs, path, state=None), rest, rtol=0, atol=0)


@pytest.mark.parametrize("path", PATHS)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=4))
@few
def test_chunks_equal_one_pass(path, cuts):
    inputs = [tensor.detach() for tensor in arguments(length=sum(cuts))]
    whole, last = run(inputs, path)
    state, parts = inputs[6], []
    for u, dt, B, C, gate in zip(*(inputs[i].split(cuts, 1) for i in (0, 1, 3, 4, 7)), strict=True):
        y, state = run([u, dt, inputs[2], B, C, inputs[5], state, gate], path)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", PATHS)
@given(order=st.permutations(range(20)))
@few
def test_permuting_channels_permutes_outputs(path, order):
    u, dt, A, B, C, D, state, gate = (tensor.detach() for tensor in arguments(inner=20))
    y, last = run([u, dt, A, B, C, D, state, gate], path)
    turned = run([u[..., order], dt[..., order], A[order], B, C, D[order], state[:, order], gate[..., order]], path)
    torch.testing.assert_close(turned, (y[..., order], last[:, order]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", PATHS)
@given(counted=st.lists(st.integers(0, 40), min_size=1, max_size=3))
@few
def test_a_mask_cuts_padding_off(path, counted):
    batch, length = len(counted), 40
    inputs = arguments(batch=batch, length=length)
    mask = torch.arange(length) < torch.tensor(counted)[:, None]
    with torch.no_grad():  # padding can hold anything
        for i in (0, 1, 3, 4, 7):
            inputs[i][~mask] = torch.nan
    y, last = run(inputs, path, mask=mask)
    found = gradients((y, last), inputs)
    assert all(torch.isfinite(gradient).all() for gradient in found)
    for b, steps in enumerate(counted):
        assert not y[b, steps:].any()
        assert all(not found[i][b, steps:].any() for i in (0, 1, 3, 4, 7))
        if not steps:
            assert torch.equal(last[b], inputs[6][b])
            continue
        one = [inputs[i][b : b + 1, :steps] if i in (0, 1, 3, 4, 7) else inputs[i] for i in range(8)]
        one[6] = inputs[6][b : b + 1]
        torch.testing.assert_close((y[b : b + 1, :steps], last[b : b + 1]), run(one, path), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", PATHS)
def test_masked_steps_hold_the_state(path):
    inputs = arguments(batch=1, length=50)
    mask = torch.rand(1, 50) < 0.6
    masked = run(inputs, path, mask=mask)
    kept = [inputs[i][:, mask[0]] if i in (0, 1, 3, 4, 7) else inputs[i] for i in range(8)]
    y, last = run(kept, path)
    whole = torch.zeros(1, 50, 3, dtype=torch.float64).masked_scatter(mask.unsqueeze(2), y), last
    torch.testing.assert_close(masked, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(masked, inputs), gradients(whole, inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", PATHS)
def test_one_step_keeps_the_exponential_of_its_rate(path):
    rates = torch.tensor([-1e4, -200.0, -87.0, -1.0, 0.0, 1.0, 88.7, 89.0, 1e4])
    ones, none = torch.ones(1, 1, len(rates)), torch.zeros(1, 1, 1)
    state = torch.ones(1, len(rates), 1)
    _, last = selective_scan(ones, ones, rates[:, None], none, none, torch.ones(len(rates)), state=state, path=path)
    torch.testing.assert_close(last.flatten(), rates.double().exp().float(), rtol=1e-5, atol=2e-38)


@pytest.mark.parametrize("path", PATHS)
def test_nan_stays_in_its_channel(path):
    inputs = [tensor.detach().float() for tensor in arguments(inner=20)]
    clean = run(inputs, path)
    inputs[0][0, 2, 7] = torch.nan
    y, last = run(inputs, path)
    assert torch.isnan(y[0, 2:, 7]).all()
    assert torch.isnan(last[0, 7]).all()
    y[0, 2:, 7], last[0, 7] = clean[0][0, 2:, 7], clean[1][0, 7]
    torch.testing.assert_close((y, last), clean, rtol=0, atol=0)


@pytest.mark.parametrize("path", PATHS)
def test_nan_stays_in_its_sequence(path):
    inputs = arguments(batch=3, inner=20)
    expected = gradients(run(inputs, path), inputs)
    with torch.no_grad():
        inputs[0][1] = torch.nan
    found = gradients(run(inputs, path), inputs)
    for i in (0, 1, 3, 4, 6, 7):
        torch.testing.assert_close(found[i][::2], expected[i][::2], rtol=1e-12, atol=1e-12)
    assert torch.isnan(found[1][1]).all()


def test_the_widest_numbers_win():
    inputs = [tensor.detach() for tensor in arguments()]
    mixed = [tensor if i == 2 else tensor.float() for i, tensor in enumerate(inputs)]
    widened = [tensor.double() for tensor in mixed]
    torch.testing.assert_close(run(mixed, "numba"), run(widened, "numba"), rtol=0, atol=0)


def test_the_backward_keeps_little_more_than_the_inputs():
    inputs = arguments(batch=2, length=320, inner=64, states=16, dtype=torch.float32)
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.setdefault(x.data_ptr(), x), lambda x: x):
        run(inputs, "numba", state=None)
    numbers = sum(tensor.numel() for tensor in kept.values()) - sum(inputs[i].numel() for i in (0, 1, 2, 3, 4, 5, 7))
    assert numbers <= 320 // 32 * 2 * 64 * 16


def test_default_path_is_the_compiled_one():
    inputs = arguments(dtype=torch.float32)
    torch.testing.assert_close(run(inputs, "auto"), run(inputs, "numba"), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("library", r"needs CUDA and `pip install mamba-ssm`.*on cpu.*path='reference'"),
        ("cuda", r"u must be on a CUDA device for path='cuda', got cpu: choose path='auto'"),
        ("nmba", r"nmba.*did you mean.*numba"),
    ],
)
def test_a_path_says_what_it_needs(path, message):
    with pytest.raises(ValueError, match=message):
        selective_scan(*arguments()[:6], path=path)


def test_numba_path_says_what_it_needs():
    inputs = [tensor.detach() for tensor in arguments()[:6]]
    with pytest.raises(ValueError, match=r"u must be on the CPU for path='numba', got meta: choose path='auto'"):
        selective_scan.__wrapped__(*(tensor.to("meta") for tensor in inputs), path="numba")
    with pytest.raises(ValueError, match=r"u must be float32 or float64 for path='numba', got torch.int64"):
        selective_scan(*(tensor.long() for tensor in inputs), path="numba")


def test_library_path_refuses_a_mask():
    with pytest.raises(ValueError, match=r"mask must be None for path='library'.*choose path='auto'"):
        selective_scan(*arguments()[:6], mask=torch.ones(2, 5, dtype=torch.bool), path="library")


def test_library_layout_is_that_of_mamba_ssm():
    def channels_first_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, **flags):
        """mamba-ssm's signature over (batch, channels, length), by the scalar loop."""
        assert flags == {"return_last_state": True}
        assert delta_bias is None
        rows = [tensor.transpose(1, 2) for tensor in (u, delta, B, C, z)]
        start = torch.zeros(u.shape[0], *A.shape, dtype=u.dtype)
        steps = F.softplus(rows[1]) if delta_softplus else rows[1]
        y, last = selective_scan_naive(rows[0], steps, A, rows[2], rows[3], D, start)
        return (y * F.silu(rows[4])).transpose(1, 2), last

    inputs = arguments()
    scan = module._Scan(*inputs[:6], gate=inputs[7], state=None, mask=None, softplus=True)
    mapped = module._channels_first(channels_first_scan, scan)
    torch.testing.assert_close(mapped, run(inputs, "reference", state=None), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("position", "shape", "message"),
    [
        (1, (2, 5, 4), r"dt must have the shape \(batch=2, length=5, d_inner=3\), got \(2, 5, 4\)"),
        (3, (2, 4, 4), r"B must have the shape \(batch=2, length=5, d_state=4\)"),
        (5, (4,), r"D must have the shape \(d_inner=3\), got \(4,\)"),
        (6, (2, 4, 3), r"state must have the shape \(batch=2, d_inner=3, d_state=4\), got \(2, 4, 3\)"),
        (7, (2, 5, 2), r"gate must have the shape \(batch=2, length=5, d_inner=3\), got \(2, 5, 2\)"),
    ],
)
def test_wrong_shapes_are_refused(position, shape, message):
    inputs = arguments()
    inputs[position] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        run(inputs, "auto")


def test_wrong_masks_are_refused():
    with pytest.raises(ValueError, match=r"mask must have the shape \(batch=2, length=5\), got \(2, 4\)"):
        run(arguments(), "auto", mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask must be of torch.bool.*got torch.float32"):
        run(arguments(), "auto", mask=torch.ones(2, 5))
