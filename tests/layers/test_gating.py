"""The gate against its sum written out, and its limits in temperature."""

from __future__ import annotations

import pytest
import torch

from neurofmx.layers.gating import AdaptiveGating


def gate_and_paths(**changes):
    """A gate of 8 channels and the paths it merges, in float64."""
    torch.manual_seed(0)
    gate = AdaptiveGating(8, **changes).double()
    torch.nn.init.normal_(gate.fusion)
    return gate, [torch.randn(2, 3, 8).double() for _ in range(gate.paths)]


@pytest.mark.parametrize(("num_paths", "heads"), [(2, 4), (3, 2), (2, 1), (4, 8)])
def test_weights_are_shares_of_one_per_head(num_paths, heads):
    gate, paths = gate_and_paths(num_paths=num_paths, num_gate_heads=heads)
    weights = gate.weights(paths)
    assert weights.shape == (2, 3, heads, num_paths)
    assert weights.min() > 0
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, heads).double())


@pytest.mark.parametrize("num_paths", [2, 3])
def test_output_is_the_weighted_sum_head_by_head(num_paths):
    gate, paths = gate_and_paths(num_paths=num_paths)
    scores = torch.cat(paths, -1) @ gate.score.weight.T + gate.score.bias
    mixed = torch.zeros(2, 3, 8).double()
    for head in range(4):
        logits = scores[..., head * num_paths : (head + 1) * num_paths] + gate.fusion[head]
        share = logits.exp() / logits.exp().sum(-1, keepdim=True)
        for number, path in enumerate(paths):
            channels = slice(2 * head, 2 * head + 2)
            mixed[..., channels] += share[..., number : number + 1] * path[..., channels]
    torch.testing.assert_close(gate(paths), gate.output(mixed))


def test_temperature_goes_from_choosing_to_averaging():
    cold, paths = gate_and_paths(temperature=1e-4)
    assert cold.weights(paths).amax(-1).min() > 0.99
    warm, paths = gate_and_paths(temperature=1e6)
    torch.nn.init.zeros_(warm.fusion)
    torch.testing.assert_close(warm.weights(paths), torch.full((2, 3, 4, 2), 0.5).double(), rtol=0, atol=1e-5)


def test_fusion_weights_prefer_a_path_whatever_the_data():
    gate, paths = gate_and_paths()
    with torch.no_grad():
        gate.fusion.copy_(torch.tensor([100.0, 0.0]))
    torch.testing.assert_close(gate(paths), gate.output(paths[0]))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"num_gate_heads must divide dim=8, got 3"):
        AdaptiveGating(8, num_gate_heads=3)
    with pytest.raises(ValueError, match=r"num_gate_heads must divide dim=8, got 0"):
        AdaptiveGating(8, num_gate_heads=0)
    with pytest.raises(ValueError, match=r"num_paths must be 2 or more, got 1"):
        AdaptiveGating(8, num_paths=1)
    with pytest.raises(ValueError, match=r"temperature must be above 0, got 0"):
        AdaptiveGating(8, temperature=0.0)
