"""Cross-attention against a softmax written out, in both directions, windowed and streamed."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import attention_naive, gradients
from torch.utils._python_dispatch import TorchDispatchMode

from neurofmx.kernels import window_attention as kernel
from neurofmx.layers.attention import DIRECTIONS, CrossAttentionModule, CrossModalAttention
from neurofmx.layers.attention_meter import AttentionMeter


def naive(module, query, context):
    """The module's formula, head by head and query by query."""
    q, (k, v) = query @ module.query.weight.T, (context @ module.key_value.weight.T).chunk(2, -1)
    size = q.shape[-1] // module.heads
    found = torch.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(module.heads):
            part = slice(h * size, (h + 1) * size)
            found[b, :, part] = attention_naive(q[b, :, part], k[b, :, part], v[b, :, part], module.window)
    return query + found @ module.output.weight.T + module.output.bias


def module_and_paths(length=11, **changes):
    """A two-headed module with the paths (2, length, 8) and (2, length, 5) in float64."""
    torch.manual_seed(0)
    module = CrossAttentionModule(8, 5, num_heads=2, **changes).double()
    return module, torch.randn(2, length, 8).double(), torch.randn(2, length, 5).double()


@pytest.mark.parametrize("path", ["reference", "numba", "library"])
@pytest.mark.parametrize("window", [None, 1, 3, 11, 128])
def test_equals_a_softmax_written_out(window, path):
    module, query, context = module_and_paths(window=window, path=path)
    torch.testing.assert_close(module(query, context)[0], naive(module, query, context), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("window", [None, 1, 3])
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_chunks_equal_one_pass(window, cuts):
    module, query, context = module_and_paths(length=sum(cuts), window=window)
    whole, last = module(query, context)
    state, parts = None, []
    for q, c in zip(query.split(cuts, 1), context.split(cuts, 1), strict=True):
        y, state = module(q, c, state)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


def test_cache_never_grows_beyond_the_window():
    module, query, context = module_and_paths(window=4)
    _, state = module(query, context)
    assert state.shape == (2, 3, 16)
    assert module(query, context, state)[1].shape == (2, 3, 16)


def test_entropy_of_equal_keys_is_that_of_equal_weights():
    module, query, _ = module_and_paths()
    entropy = module.entropy(query, torch.ones(2, 11, 5).double())
    wanted = sum(math.log(seen) for seen in range(1, 12)) / 11
    torch.testing.assert_close(entropy.item(), wanted)


def peer_of(module):
    """`torch.nn.MultiheadAttention` with the module's weights, and what it must not see."""
    width, inputs = module.query.out_features, module.key_value.in_features
    peer = torch.nn.MultiheadAttention(width, module.heads, kdim=inputs, vdim=inputs, batch_first=True).double()
    with torch.no_grad():
        peer.q_proj_weight.copy_(module.query.weight)
        peer.k_proj_weight.copy_(module.key_value.weight[:width])
        peer.v_proj_weight.copy_(module.key_value.weight[width:])
        peer.in_proj_bias.zero_()
        peer.out_proj.load_state_dict(module.output.state_dict())
    return peer


@pytest.mark.parametrize("path", ["reference", "numba", "library"])
@pytest.mark.parametrize("window", [None, 1, 4])
def test_is_the_multihead_attention_of_torch_with_its_weights(window, path):
    module, query, context = module_and_paths(window=window, path=path)
    age = torch.arange(11)[:, None] - torch.arange(11)
    hidden = (age < 0) | (age >= (window or 11))
    inputs, found = (query.requires_grad_(), context.requires_grad_()), []
    y, weights = peer_of(module)(query, context, context, attn_mask=hidden, average_attn_weights=False)
    for outputs in (module(query, context)[0], query + y):
        found.append((outputs, *gradients([outputs], inputs)))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(module.entropy(query, context), torch.special.entr(weights).sum(-1).mean().detach())


class Called(TorchDispatchMode):
    """Counts the calls of every operation, of torch and of ours, by its name."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        self.names[operation.name().partition(".")[0]] += 1
        return operation(*arguments, **(named or {}))


@pytest.mark.parametrize("training", [True, False])
def test_a_meter_reports_what_the_pass_measured_and_computes_nothing_twice(training, monkeypatch):
    torch.manual_seed(0)
    attention = CrossModalAttention(8, 6, 2, dropout=0.3, window=3).double().train(training)
    liquid, spike = torch.randn(2, 7, 8).double(), torch.randn(2, 7, 6).double()
    torch.manual_seed(1)
    with Called() as without:
        plain = attention(liquid, spike)[:2]
    direct = attention.entropies(liquid, spike)
    for whole, name in ((attention, "entropies"), (kernel, "_weights")):
        monkeypatch.setattr(whole, name, None)  # whoever calls it fails
    torch.manual_seed(1)
    with AttentionMeter(attention) as meter, Called() as called:
        *paths, info = attention(liquid, spike)
    assert called.names["neurofmx::window_attention"] == len(attention.directions)
    assert not {"aten::mm", "aten::bmm", "aten::_softmax"} & set(called.names - without.names)
    assert info.entropy == direct  # to the bit, also beside dropout
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(paths, plain, strict=True))
    assert meter.entropies == {f"directions.{name}": float(value) for name, value in direct.items()}
    assert meter.entropy == pytest.approx(sum(map(float, direct.values())) / 2)


def test_a_meter_weighs_passes_by_their_queries_and_leaves_nothing_behind():
    module, query, context = module_and_paths(window=4)
    with AttentionMeter(module) as meter:
        _, state = module(query[:, :3], context[:, :3])
        module(query[:, 3:], context[:, 3:], state)
    assert meter.entropy == pytest.approx(float(module.entropy(query, context)))
    module(query, context)
    assert module.last_entropy is None
    assert AttentionMeter(torch.nn.Linear(2, 2)).entropy is None


def test_entropy_is_the_same_streamed():
    module, query, context = module_and_paths(window=4)
    whole = module.entropy(query, context)
    _, state = module(query[:, :5], context[:, :5])
    parts = module.entropy(query[:, :5], context[:, :5]), module.entropy(query[:, 5:], context[:, 5:], state)
    torch.testing.assert_close((5 * parts[0] + 6 * parts[1]) / 11, whole)


@pytest.mark.parametrize("attention_type", DIRECTIONS)
def test_each_direction_reads_the_paths_as_they_came(attention_type):
    torch.manual_seed(0)
    attention = CrossModalAttention(8, 6, 2, attention_type, dropout=0.0).double()
    liquid, spike = torch.randn(2, 5, 8).double(), torch.randn(2, 5, 6).double()
    new_liquid, new_spike, info = attention(liquid, spike)
    directions = dict(attention.directions.items())
    looks_at_spike, looks_at_liquid = directions.get("spike_to_liquid"), directions.get("liquid_to_spike")
    torch.testing.assert_close(new_liquid, naive(looks_at_spike, liquid, spike) if looks_at_spike else liquid)
    torch.testing.assert_close(new_spike, naive(looks_at_liquid, spike, liquid) if looks_at_liquid else spike)
    assert set(info.state) == set(info.entropy) == set(DIRECTIONS[attention_type])
    assert all(0 < entropy < math.log(5) for entropy in info.entropy.values())


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    attention = CrossModalAttention(8, 6, 2, dropout=0.5)
    liquid, spike = torch.randn(2, 5, 8), torch.randn(2, 5, 6)
    assert not torch.equal(attention(liquid, spike)[0], attention(liquid, spike)[0])
    attention.eval()
    assert torch.equal(attention(liquid, spike)[0], attention(liquid, spike)[0])


def test_paths_drop_the_same_weights_and_the_seed_of_torch_decides_which():
    found = []
    for path in ("reference", "numba"):
        module, query, context = module_and_paths(dropout=0.5, window=4, path=path)
        torch.manual_seed(1)
        first, again = module(query, context)[0], module(query, context)[0]
        assert not torch.equal(first, again)
        torch.manual_seed(1)
        assert torch.equal(module(query, context)[0], first)
        found.append(first)
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def test_compiles_as_a_whole_also_in_training():
    module, query, context = module_and_paths(dropout=0.5, window=4)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.manual_seed(1)
    ours = compiled(query, context)
    torch.manual_seed(1)
    torch.testing.assert_close(ours, module(query, context), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
def test_attention_of_torch_where_asked_for(training):
    module, query, context = module_and_paths(dropout=0.5, window=4, path="library")
    module.train(training)
    same = torch.equal(module(query, context)[0], module(query, context)[0])
    assert same != training


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"num_heads must divide query_dim=8, got 3"):
        CrossAttentionModule(8, 5, num_heads=3)
    with pytest.raises(ValueError, match=r"num_heads must divide query_dim=8, got 0"):
        CrossAttentionModule(8, 5, num_heads=0)
    with pytest.raises(ValueError, match=r"dropout must be 0 or more and below 1, got 1\.0"):
        CrossAttentionModule(8, 5, num_heads=2, dropout=1.0)
    with pytest.raises(ValueError, match=r"window must be 1 token or more, got 0"):
        CrossAttentionModule(8, 5, num_heads=2, window=0)
    with pytest.raises(ValueError, match=r"unknown attention_type 'both'; known: bidirectional, liqu"):
        CrossModalAttention(8, 6, 2, "both")  # pyright: ignore[reportArgumentType]
