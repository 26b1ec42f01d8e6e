"""Units and parcels: order means nothing, absent ones count for nothing, new sessions only add embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurofmx.tokenizers.channel_mixing import ChannelMixing
from neurofmx.tokenizers.fmri import FMRITokenizer
from neurofmx.tokenizers.linear import LinearTokenizer
from neurofmx.tokenizers.positions import fourier, sinusoid
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.tokenizers.units import CalciumTokenizer, SpikeTokenizer, UnitTokenizer
from token_samples import LAYOUTS, sample_of

ORDER = torch.tensor([3, 0, 4, 1, 2])


@pytest.mark.parametrize(("name", "kind"), [("spikes", SpikeTokenizer), ("calcium", CalciumTokenizer)])
def test_permuted_units_with_their_embeddings_give_the_same_tokens(name: str, kind: type[UnitTokenizer]) -> None:
    torch.manual_seed(1)
    tokenizer, sample = kind(LAYOUTS[name], 16), sample_of(LAYOUTS[name])  # type: ignore[call-arg]
    before = tokenizer(sample).values
    turned = replace(sample, x=sample.x[..., ORDER], present=sample.present[:, ORDER])  # type: ignore[index]
    assert not torch.allclose(tokenizer(turned).values, before, atol=1e-3)
    for mixing in tokenizer.mixings:
        mixing.embedding.data = mixing.embedding.data[:, ORDER]
    torch.testing.assert_close(tokenizer(turned).values, before, rtol=1e-4, atol=1e-5)


def test_permuted_parcels_with_their_positions_give_the_same_tokens() -> None:
    tokenizer, sample = FMRITokenizer(LAYOUTS["fmri"], 16), sample_of(LAYOUTS["fmri"])
    tokenizer.mixing.embedding.data.zero_()  # what the place says stays
    assert sample.present is not None
    assert sample.positions is not None
    moved = replace(sample, x=sample.x[..., ORDER], present=sample.present[:, ORDER])
    there = replace(moved, positions=sample.positions[:, ORDER])
    assert not torch.allclose(tokenizer(moved).values, tokenizer(sample).values, atol=1e-3)
    torch.testing.assert_close(tokenizer(there).values, tokenizer(sample).values, rtol=1e-4, atol=1e-5)


def test_absent_channels_are_as_if_there_were_none() -> None:
    """Three of five units: the sum over the three, as large as that over five would be, written out in numpy."""
    layout = LAYOUTS["spikes"]
    mixing, sample = ChannelMixing(layout, 6), sample_of(layout)
    found = mixing(sample.cleared(), sample)[2].detach().numpy()
    assert sample.present is not None
    there = sample.present[2].numpy()
    weights = mixing.embedding[2].detach().numpy()[there] * np.sqrt(5 / there.sum())
    np.testing.assert_allclose(found, sample.cleared()[2].numpy()[:, there] @ weights, rtol=1e-4, atol=1e-5)


def test_a_position_nobody_knows_adds_nothing() -> None:
    layout = LAYOUTS["fmri"]
    mixing, sample = ChannelMixing(layout, 6), sample_of(layout)
    assert sample.positions is not None
    sample.positions[:, 3] = torch.nan
    weights = mixing.weights(replace(sample, present=None))
    torch.testing.assert_close(weights[:, 3], mixing.embedding[:, 3].expand(4, -1))
    assert (weights[:, 2] - mixing.embedding[:, 2]).abs().max() > 1e-3


def test_a_new_session_gets_embeddings_and_changes_no_old_one() -> None:
    layout = LAYOUTS["spikes"]
    tokenizer, sample = SpikeTokenizer(layout, 16), sample_of(layout)
    before = tokenizer(sample).values
    new = replace(sample, recording=torch.tensor([3, 3, 4, 4]))
    with pytest.raises(ValueError, match=r"recording 4 has no embeddings, there are 3; call add_recordings"):
        tokenizer(new)
    tokenizer.add_recordings(2)
    assert torch.equal(tokenizer(sample).values, before)
    tokenizer(new).values.sum().backward()
    gradient = tokenizer.mixings[0].embedding.grad
    assert gradient is not None
    assert gradient[:3].abs().max() == 0  # an old session's units learn nothing from a new one
    assert gradient[3:].abs().max() > 0


def test_spikes_are_a_linear_map_with_a_weight_for_each_unit_and_bin() -> None:
    """With embeddings as wide as there are units, a plain patch embedding is found exactly."""
    layout = Layout((8, 3), rate=10.0, patch=4)
    plain, units = LinearTokenizer(layout, 5), SpikeTokenizer(layout, 5)
    units.mixings[0].embedding.data = torch.eye(3, 64)[None]
    with torch.no_grad():
        units.project.weight.zero_()
        units.project.weight.unflatten(1, (4, 64))[..., :3] = plain.project.weight.unflatten(1, (4, 3))
        units.project.bias.copy_(plain.project.bias)
    sample = Sample(torch.randn(6, 8, 3))
    torch.testing.assert_close(units(sample).values, plain(sample).values, rtol=1e-4, atol=1e-5)


def test_the_innovation_of_fluorescence_is_its_spikes() -> None:
    """c[t] = g c[t-1] + s[t] by a loop, with g = exp(-1 / (0.7 s * 20 Hz))."""
    layout = Layout((200, 4), rate=20.0, patch=4)
    spikes = np.random.default_rng(0).poisson(0.1, (200, 4)).astype(float)
    trace, level = np.zeros_like(spikes), np.zeros(4)
    for t, now in enumerate(spikes):
        level = np.exp(-1 / 14) * level + now
        trace[t] = level
    _, innovation = CalciumTokenizer(layout, 8).read(torch.tensor(trace[None], dtype=torch.float32))
    np.testing.assert_allclose(innovation[0, 1:].detach().numpy(), spikes[1:], atol=1e-5)


def test_features_of_places_and_times_by_hand() -> None:
    """A quarter of the longest wave (twice the extent of 0.2 m) is at 0.1 m; half of the next one too."""
    found = fourier(torch.tensor([[0.1, 0.0, 0.0]]), extent=0.2, octaves=2)[0]
    expected = [np.sin(np.pi / 2), np.sin(np.pi), 0, 0, 0, 0, np.cos(np.pi / 2), np.cos(np.pi), 1, 1, 1, 1]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    when = sinusoid(torch.tensor([0.0, 0.25, 1.0]), 6, shortest=1.0)
    np.testing.assert_allclose(when[:, :2].numpy(), [[0, 1], [1, 0], [0, 1]], atol=1e-6)
