"""The Mamba block against its equations with torch's own convolution and a scalar scan."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import gradients, selective_scan_naive
from torch.nn import functional as F

from neurofmx.layers.exchange import BidirectionalStateExchange
from neurofmx.layers.mamba import Mamba, Selection

PATHS = ("reference", "numba")


def block(**changes):
    """A small block in float64."""
    torch.manual_seed(0)
    return Mamba(6, **({"d_state": 3, "d_conv": 4, "expand": 2} | changes)).double()


def naive(mamba, x):
    """The block's published equations, one after the other."""
    u, z = F.linear(x, mamba.in_proj.weight).chunk(2, -1)
    kernel = mamba.conv_weight.t().unsqueeze(1)
    padding = mamba.d_conv - 1
    convolved = F.conv1d(u.transpose(1, 2), kernel, mamba.conv_bias, padding=padding, groups=u.shape[-1])
    u = F.silu(convolved[..., : x.shape[1]].transpose(1, 2))
    low, B, C = F.linear(u, mamba.x_proj.weight).split([1, 3, 3], -1)
    dt = F.softplus(mamba.dt_proj(low))
    start = torch.zeros(x.shape[0], mamba.inner, 3, dtype=x.dtype)
    y, _ = selective_scan_naive(u, dt, -mamba.A_log.exp(), B, C, mamba.D, start)
    return F.linear(y * F.silu(z), mamba.out_proj.weight)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("d_conv", [1, 2, 4])
def test_equals_the_published_equations(d_conv, path):
    mamba, x = block(d_conv=d_conv, path=path), torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    ours, exact, wanted = mamba(x)[0], naive(mamba, x), [x, *mamba.parameters()]
    torch.testing.assert_close(ours, exact, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(gradients([ours], wanted), gradients([exact], wanted), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("d_conv", [1, 4])
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(path, d_conv, cuts):
    mamba, x = block(d_conv=d_conv, path=path), torch.randn(2, sum(cuts), 6, dtype=torch.float64)
    whole, last = mamba(x)
    state, parts = None, []
    for chunk in x.split(cuts, 1):
        y, state = mamba(chunk, state)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(2, 300, 48), (20, 7, 16), (0, 7, 16)])
def test_compiled_loops_equal_plain_torch_in_float32(shape):
    torch.manual_seed(0)
    x, mamba = torch.randn(shape, requires_grad=True), Mamba(shape[2], path="numba")
    plain = Mamba(shape[2], path="reference")
    plain.load_state_dict(mamba.state_dict())
    outputs, found = [], []
    for layer in (mamba, plain):
        y, state = layer(x)
        outputs.append((y, *state))
        found.append(gradients(outputs[-1], [x, *layer.parameters()]))
    for mine, theirs in zip((*outputs[0], *found[0]), (*outputs[1], *found[1]), strict=True):
        largest = theirs.abs().max().item() if theirs.numel() else 0
        torch.testing.assert_close(mine, theirs, rtol=0, atol=3e-5 * largest)


@pytest.mark.parametrize("path", PATHS)
def test_modulating_from_outside_reaches_the_scan(path):
    mamba, x = block(path=path), torch.randn(2, 5, 6, dtype=torch.float64)
    features, gate, _ = mamba.features(x)
    dt, B, C = mamba.select(features)
    shift = torch.randn(2, 5, 3, dtype=torch.float64)
    y, last = mamba.scan(features, gate, Selection(dt, B + shift, 2 * C))
    start = torch.zeros(2, 12, 3, dtype=torch.float64)
    scanned = selective_scan_naive(features, F.softplus(dt), -mamba.A_log.exp(), B + shift, 2 * C, mamba.D, start)
    exact = F.linear(scanned[0] * F.silu(gate), mamba.out_proj.weight), scanned[1]
    torch.testing.assert_close((y, last), exact, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("path", "on_cpu", "on_cuda"),
    [
        ("auto", "numba", "cuda"),
        ("numba", "numba", "numba"),
        ("reference", "reference", "reference"),
        ("library", "reference", "library"),
    ],
)
def test_path_on_says_which_path_computes(path, on_cpu, on_cuda):
    mamba = block(path=path)
    assert mamba.path_on(torch.device("cpu")) == on_cpu
    assert mamba.path_on(torch.device("cuda")) == on_cuda
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    expected, _ = block(path=on_cpu)(x)
    torch.testing.assert_close(mamba(x)[0], expected, rtol=0, atol=0)


def test_default_path_is_auto():
    assert block().path == "auto"


def test_a_block_traces_into_one_graph():
    mamba, x = block(), torch.randn(2, 5, 6, dtype=torch.float64)
    ours = torch.compile(mamba, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(ours, mamba(x), rtol=0, atol=0)


def test_autocast_runs_the_products_in_half_and_the_scan_in_full_precision():
    mamba, x = block().float(), torch.randn(2, 40, 6)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = mamba(x)
    assert (y.dtype, state.scan.dtype, state.conv.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    torch.testing.assert_close(y.float(), mamba(x)[0], rtol=0.1, atol=0.02)


def test_step_sizes_start_in_the_published_range():
    torch.manual_seed(0)
    mamba = Mamba(64)
    dt = F.softplus(mamba.dt_proj.bias)
    assert 1e-3 * 0.999 < dt.min() < 3e-3
    assert 3e-2 < dt.max() < 1e-1 * 1.001
    torch.testing.assert_close(mamba.A_log.exp()[5], torch.arange(1.0, 17.0))


def test_sizes_matter():
    def size(**changes):
        return sum(parameter.numel() for parameter in block(**changes).parameters())

    assert size(d_state=4) > size()
    assert size(d_conv=5) > size()
    assert size(expand=3) > size()


def test_exchange_shifts_B_and_C_and_leaves_dt():
    torch.manual_seed(0)
    exchange, liquid = BidirectionalStateExchange(5, 6, 3), torch.randn(2, 4, 5)
    before = Selection(torch.rand(2, 4, 12), torch.randn(2, 4, 3), torch.randn(2, 4, 3))
    after = exchange.modulate_mamba(liquid, before)
    W = exchange.to_selection.weight
    assert torch.equal(after.dt, before.dt)
    torch.testing.assert_close(after.B - before.B, liquid @ W[:3].T, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(after.C - before.C, liquid @ W[3:].T, rtol=1e-4, atol=1e-6)
    assert 0 < (after.B - before.B).abs().max() < 0.2


def test_an_exchange_with_weights_of_zero_changes_nothing():
    exchange = BidirectionalStateExchange(5, 6, 3)
    for weight in exchange.parameters():
        torch.nn.init.zeros_(weight)
    before = Selection(torch.rand(2, 4, 12), torch.randn(2, 4, 3), torch.randn(2, 4, 3))
    assert all(map(torch.equal, exchange.modulate_mamba(torch.randn(2, 4, 5), before), before))
    assert torch.equal(exchange.modulate_liquid(torch.randn(2, 4, 6)), torch.ones(2, 4, 5))


def test_exchange_makes_time_constants_of_the_published_form():
    torch.manual_seed(0)
    exchange, mamba = BidirectionalStateExchange(5, 6, 3), torch.randn(2, 4, 6)
    factors = exchange.modulate_liquid(mamba)
    logits = mamba @ exchange.to_tau.weight.T + exchange.to_tau.bias
    torch.testing.assert_close(factors, 0.5 + 1 / (1 + torch.exp(-logits)))
    torch.testing.assert_close(factors, torch.ones(2, 4, 5), rtol=0, atol=0.05)
    torch.testing.assert_close(exchange.modulate_liquid(torch.zeros(1, 1, 6)), torch.ones(1, 1, 5))
