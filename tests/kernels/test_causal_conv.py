"""The causal convolution on every path against torch's own depthwise convolution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import gradients
from torch.nn import functional as F

from neurofmx.kernels.causal_conv import causal_conv_silu
from neurofmx.kernels.cpu.causal_conv_op import causal_conv_silu_backward_op, causal_conv_silu_op

PATHS = ("reference", "numba")
SHAPES = ((2, 5, 3, 4), (1, 1, 1, 1), (2, 2, 17, 5), (3, 70, 300, 4), (90, 3, 16, 2), (1, 5000, 2, 40), (0, 5, 3, 4))
few = settings(max_examples=8, deadline=None, derandomize=True)


def arguments(batch=2, length=5, channels=3, width=4, dtype=torch.float64):
    """Random inputs, weights, bias and state that want gradients; the inputs are half of a wider tensor."""
    torch.manual_seed(0)
    u = torch.randn(batch, length, 2 * channels, dtype=dtype)[..., :channels].detach()
    rest = torch.randn(width, channels, dtype=dtype), torch.randn(channels, dtype=dtype)
    state = torch.randn(batch, width - 1, channels, dtype=dtype)
    return [tensor.requires_grad_() for tensor in (u, *rest, state)]


def run(inputs, path):
    """Outputs and last inputs."""
    return causal_conv_silu(*inputs[:3], state=inputs[3], path=path)


def by_torch(inputs):
    """The same by torch's convolution over (batch, channels, length)."""
    u, weight, bias, state = inputs
    padded = torch.cat([state, u], 1)
    y = F.conv1d(padded.transpose(1, 2), weight.t().unsqueeze(1), bias, groups=u.shape[2]).transpose(1, 2)
    return F.silu(y), padded[:, u.shape[1] :]


def wanted(inputs):
    """Those of which a gradient can be asked: without a width there is no state."""
    return inputs if inputs[1].shape[0] > 1 else inputs[:3]


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("path", PATHS)
def test_equals_the_convolution_of_torch(path, shape, dtype, rtol):
    inputs = arguments(*shape, dtype=dtype)
    ours, exact = run(inputs, path), by_torch(inputs)
    found = gradients(ours, wanted(inputs)), gradients(exact, wanted(inputs))
    for mine, theirs in zip((*ours, *found[0]), (*exact, *found[1]), strict=True):
        largest = theirs.abs().max().item() if theirs.numel() else 0
        torch.testing.assert_close(mine, theirs, rtol=0, atol=rtol * largest)


@pytest.mark.parametrize("path", PATHS)
def test_gradcheck(path):
    assert torch.autograd.gradcheck(lambda *inputs: run(inputs, path), arguments(length=3, channels=2))


@pytest.mark.parametrize("path", PATHS)
def test_no_state_is_a_zero_state(path):
    inputs = arguments()
    rest = run([*inputs[:3], torch.zeros_like(inputs[3])], path)
    torch.testing.assert_close(run([*inputs[:3], None], path), rest, rtol=0, atol=0)
    short = [inputs[0][:, :2], *inputs[1:3]]
    assert torch.equal(run([*short, None], path)[1], F.pad(short[0], (0, 0, 1, 0)))


@pytest.mark.parametrize("path", PATHS)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=4))
@few
def test_chunks_equal_one_pass(path, cuts):
    u, weight, bias, state = (tensor.detach() for tensor in arguments(length=sum(cuts)))
    whole, last = run([u, weight, bias, state], path)
    parts = []
    for piece in u.split(cuts, 1):
        y, state = run([piece, weight, bias, state], path)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("path", PATHS)
def test_is_causal_and_keeps_nan_in_its_channel(path):
    inputs = [tensor.detach().float() for tensor in arguments(length=70)]
    clean = run(inputs, path)[0]
    inputs[0][0, 40, 1] = torch.nan
    y = run(inputs, path)[0]
    assert torch.isnan(y[0, 40:44, 1]).all()
    y[0, 40:44, 1] = clean[0, 40:44, 1]
    torch.testing.assert_close(y, clean, rtol=0, atol=0)


def test_the_state_does_not_hold_on_to_the_inputs():
    inputs = [tensor.detach() for tensor in arguments(length=70)]
    assert run(inputs, "numba")[1].untyped_storage().nbytes() == 2 * 3 * 3 * 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stateless", [False, True])
def test_operators_pass_the_checks_of_torch(dtype, stateless):
    u, weight, bias, state = arguments(length=40, dtype=dtype)
    state = None if stateless else state
    torch.library.opcheck(causal_conv_silu_op, (u, weight, bias, state))
    detached = [None if x is None else x.detach() for x in (u, weight, bias, state)]
    torch.library.opcheck(causal_conv_silu_backward_op, (causal_conv_silu_op(*detached), *detached))


def test_compiling_changes_nothing():
    inputs = arguments(length=40, dtype=torch.float32)
    ours, plain = torch.compile(run, fullgraph=True, backend="aot_eager")(inputs, "numba"), run(inputs, "numba")
    torch.testing.assert_close(ours, plain, rtol=0, atol=0)
    torch.testing.assert_close(gradients(ours, inputs), gradients(plain, inputs), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("position", "shape", "message"),
    [
        (1, (4, 2), r"weight must have the shape \(width=?\w*, channels=3\), got \(4, 2\)"),
        (2, (4,), r"bias must have the shape \(channels=3\), got \(4,\)"),
        (3, (2, 2, 3), r"state must have the shape \(batch=2, steps=3, channels=3\), got \(2, 2, 3\)"),
    ],
)
def test_wrong_shapes_are_refused(position, shape, message):
    inputs = arguments()
    inputs[position] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        run(inputs, "auto")


def test_a_path_says_what_it_needs():
    inputs = [tensor.detach() for tensor in arguments()]
    with pytest.raises(ValueError, match=r"u must be on a CUDA device for path='cuda', got cpu: choose path='auto'"):
        run(inputs, "cuda")
    with pytest.raises(ValueError, match=r"path.*library"):
        run(inputs, "library")
    with pytest.raises(ValueError, match=r"u must be float32 or float64 for path='numba', got torch.int64"):
        run([tensor.long() for tensor in inputs], "numba")
