"""Attention at several time scales against a loop over queries, heads, scales and pooled keys."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import gradients

from neurofmx.layers.attention import DIRECTIONS, CrossAttentionModule
from neurofmx.layers.attention_meter import AttentionMeter
from neurofmx.layers.temporal_attention import TemporalCrossAttention, TemporalCrossModalAttention


def naive(module, query, context):
    """The formula of the file, with the entropies (batch, heads, queries)."""
    q, (k, v) = query @ module.query.weight.T, (context @ module.key_value.weight.T).chunk(2, -1)
    size, length = q.shape[-1] // module.heads, q.shape[1]
    shares = module.preference.exp() / module.preference.exp().sum(1, keepdim=True)
    rows, entropy = [], torch.zeros(len(q), module.heads, length).double()
    for b in range(len(q)):
        for t in range(length):
            parts = []
            for h in range(module.heads):
                part, y = slice(h * size, (h + 1) * size), 0
                for n, scale in enumerate(module.scales):
                    seen = range(t, -1, -scale)[: module.window]
                    pooled = [[x[b, max(0, i - scale + 1) : i + 1, part].mean(0) for i in seen] for x in (k, v)]
                    keys, values = (torch.stack(each) for each in pooled)
                    p = torch.softmax(keys @ q[b, t, part] / math.sqrt(size), 0)
                    y = y + shares[h, n] * (p @ values)
                    entropy[b, h, t] -= (shares[h, n] * (p * p.log()).sum()).detach()
                parts.append(y)
            rows.append(torch.cat(parts))
    found = torch.stack(rows).view(q.shape)
    return query + found @ module.output.weight.T + module.output.bias, entropy


def module_and_paths(length=23, **changes):
    """A two-headed module with shares that differ, and the paths (2, length, 8) and (2, length, 5) in float64."""
    torch.manual_seed(0)
    module = TemporalCrossAttention(8, 5, num_heads=2, **{"scales": (1, 3, 4), **changes}).double()
    torch.nn.init.normal_(module.preference)
    query, context = torch.randn(2, length, 8).double(), torch.randn(2, length, 5).double()
    return module, query.requires_grad_(), context.requires_grad_()


@pytest.mark.parametrize("path", ["reference", "numba", "library"])
@pytest.mark.parametrize("window", [None, 1, 3])
def test_equals_the_formula_in_outputs_gradients_and_entropy(window, path):
    module, *paths = module_and_paths(window=window, path=path)
    with AttentionMeter(module) as meter:
        y, _ = module(*paths)
    exact, entropy = naive(module, *paths)
    torch.testing.assert_close(y, exact, rtol=1e-10, atol=1e-10)
    wanted = [*paths, *module.parameters()]
    torch.testing.assert_close(gradients([y], wanted), gradients([exact], wanted), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(module.entropy(*paths), entropy.mean(), rtol=1e-10, atol=1e-10)
    assert meter.entropy == pytest.approx(float(entropy.mean()), rel=1e-10)


@pytest.mark.parametrize("window", [None, 1, 3])
@given(cuts=st.lists(st.integers(1, 7), min_size=1, max_size=6))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_chunks_equal_one_pass_and_the_cache_stays_small(window, cuts):
    module, query, context = module_and_paths(length=sum(cuts), window=window)
    whole, last = module(query, context)
    state, parts = None, []
    for q, c in zip(query.split(cuts, 1), context.split(cuts, 1), strict=True):
        y, state = module(q, c, state)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)
    assert last.shape[1] == (sum(cuts) if window is None else min(sum(cuts), 4 * window - 1))


@pytest.mark.parametrize("window", [None, 2])
def test_the_future_changes_nothing_and_the_reach_is_the_window_times_the_scale(window):
    module, query, context = module_and_paths(window=window)
    (gradient,) = torch.autograd.grad(module(query, context)[0][:, 14].sum(), context)
    seen = gradient[0].abs().sum(-1) > 0
    assert seen.tolist() == [14 - (14 if window is None else 4 * window - 1) <= t <= 14 for t in range(23)]


def test_one_scale_of_one_token_is_plain_attention():
    module, query, context = module_and_paths(window=5, scales=(1,))
    plain = CrossAttentionModule(8, 5, num_heads=2, window=5).double()
    plain.load_state_dict(module.state_dict(), strict=False)
    torch.testing.assert_close(module(query, context)[0], plain(query, context)[0])


def test_shares_are_equal_at_the_start_and_sum_to_one():
    torch.testing.assert_close(TemporalCrossAttention(8, 5, num_heads=2).shares, torch.full((2, 3), 1 / 3))
    module, *_ = module_and_paths()
    torch.testing.assert_close(module.shares.sum(1), torch.ones(2).double())
    assert module.preference.no_weight_decay


def test_samples_of_a_batch_do_not_mix():
    module, query, context = module_and_paths(window=3)
    alone = torch.cat([module(query[b : b + 1], context[b : b + 1])[0] for b in range(2)])
    torch.testing.assert_close(module(query, context)[0], alone)


@pytest.mark.parametrize("attention_type", DIRECTIONS)
def test_stands_in_for_cross_modal_attention(attention_type):
    torch.manual_seed(0)
    attention = TemporalCrossModalAttention(8, 6, 2, attention_type, dropout=0.0, scales=(1, 2), window=3).double()
    liquid, spike = torch.randn(2, 9, 8).double(), torch.randn(2, 9, 6).double()
    *whole, info = attention(liquid, spike)
    one, two, before = attention(liquid[:, :4], spike[:, :4])
    *rest, _ = attention(liquid[:, 4:], spike[:, 4:], before.state)
    for part, start, end in zip(whole, (one, two), rest, strict=True):
        torch.testing.assert_close(torch.cat([start, end], 1), part)
    assert set(info.state) == set(info.entropy) == set(DIRECTIONS[attention_type])


@pytest.mark.parametrize("scales", [(), (0, 1), (4, 4)])
def test_impossible_scales_are_refused(scales):
    with pytest.raises(ValueError, match=r"scales must be different numbers of tokens, 1 or more, got"):
        TemporalCrossAttention(8, 5, num_heads=2, scales=scales)
