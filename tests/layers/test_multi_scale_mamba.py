"""The Mamba block with several time scales against its equations, scale by scale, with a scalar scan."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import gradients, selective_scan_naive
from torch.nn import functional as F

from neurofmx.layers.mamba import Mamba
from neurofmx.layers.multi_scale_mamba import MultiScaleMamba

PATHS = ("reference", "numba")


def block(scales=3, **changes):
    """A small block in float64 whose gate prefers some scales."""
    torch.manual_seed(0)
    mamba = MultiScaleMamba(6, scales=scales, **({"d_state": 3, "d_conv": 2, "expand": 2} | changes)).double()
    torch.nn.init.normal_(mamba.choice.weight)
    torch.nn.init.normal_(mamba.choice.bias)
    return mamba


def naive(mamba, x):
    """A scan for each scale, and their mean by share."""
    features, z, _ = mamba.features(x)
    low, B, C = F.linear(features, mamba.x_proj.weight).split([1, 3, 3], -1)
    logits = features @ mamba.choice.weight.T + mamba.choice.bias
    shares = logits.exp() / logits.exp().sum(-1, keepdim=True)
    start, merged, last = torch.zeros(x.shape[0], mamba.inner, 3).double(), 0, []
    for scale in range(mamba.scales):
        own = slice(scale * mamba.inner, (scale + 1) * mamba.inner)
        dt = F.softplus(low @ mamba.dt_proj.weight[own].T + mamba.dt_proj.bias[own])
        y, end = selective_scan_naive(features, dt, -mamba.A_log[own].exp(), B, C, mamba.D, start)
        merged = merged + shares[..., scale : scale + 1] * y
        last.append(end)
    return F.linear(merged * F.silu(z), mamba.out_proj.weight), torch.cat(last, 1)


@pytest.mark.parametrize("path", PATHS)
def test_equals_its_equations(path):
    mamba, x = block(path=path), torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
    (y, state), exact, wanted = mamba(x), naive(mamba, x), [x, *mamba.parameters()]
    torch.testing.assert_close((y, state.scan), exact, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(gradients([y], wanted), gradients(exact[:1], wanted), rtol=1e-9, atol=1e-10)


def test_with_the_same_steps_at_all_scales_it_is_the_plain_block():
    torch.manual_seed(0)
    plain, mamba = Mamba(6, d_state=3, d_conv=2).double(), block()
    weights = plain.state_dict()
    for name in ("A_log", "dt_proj.weight", "dt_proj.bias"):
        weights[name] = weights[name].repeat(3, *[1] * (weights[name].ndim - 1))
    mamba.load_state_dict(weights, strict=False)
    x = torch.randn(2, 9, 6).double()
    torch.testing.assert_close(mamba(x)[0], plain(x)[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("path", PATHS)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(path, cuts):
    mamba, x = block(path=path), torch.randn(2, sum(cuts), 6, dtype=torch.float64)
    whole, last = mamba(x)
    state, parts = None, []
    for chunk in x.split(cuts, 1):
        y, state = mamba(chunk, state)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


def test_steps_start_in_their_part_of_the_published_range_and_scales_count_the_same():
    torch.manual_seed(0)
    mamba = MultiScaleMamba(64, scales=2)
    fast, slow = F.softplus(mamba.dt_proj.bias).chunk(2)
    assert 1e-2 * 0.999 < fast.min() < fast.max() < 1e-1 * 1.001
    assert 1e-3 * 0.999 < slow.min() < slow.max() < 1e-2 * 1.001
    assert torch.equal(mamba.shares(torch.randn(2, 3, 128)), torch.full((2, 3, 2), 0.5))
    assert mamba.A_log.no_weight_decay


def test_what_is_remembered_fades_as_the_step_sizes_say_and_slowest_at_the_slowest_scale():
    torch.manual_seed(0)
    mamba = MultiScaleMamba(16, scales=3, d_conv=1).double()
    torch.nn.init.zeros_(mamba.conv_bias)
    x = torch.zeros(1, 60, 16).double()
    x[:, 0] = torch.randn(16)
    with torch.no_grad():
        early, late = mamba(x[:, :1])[1].scan, mamba(x)[1].scan
        fading = torch.exp(-59 * F.softplus(mamba.dt_proj.bias)[:, None] * mamba.A_log.exp())
        torch.testing.assert_close(late, early * fading, rtol=1e-10, atol=1e-12)
        kept = [float(part.mean()) for part in fading.chunk(3)]
    assert 10 * kept[0] < kept[1]
    assert 2 * kept[1] < kept[2]


def test_one_scale_is_refused():
    with pytest.raises(ValueError, match="scales must be 2 or more, got 1; for one take Mamba"):
        MultiScaleMamba(6, scales=1)
