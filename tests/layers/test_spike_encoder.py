"""The spike encoder: snnTorch step by step, streaming, and parameters that matter."""

from __future__ import annotations

import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.layers.spike_encoder import SpikeEncoder


@pytest.mark.parametrize("path", ["auto", "reference", "numba", "library"])
def test_holds_each_token_for_all_steps_of_a_snntorch_neuron(path):
    torch.manual_seed(0)
    encoder, x = SpikeEncoder(6, 5, num_spike_steps=7, path=path), torch.randn(3, 4, 6)
    spikes, potentials, state = encoder(x)
    leaky = snntorch.Leaky(encoder.beta, threshold=encoder.threshold)
    membrane = torch.zeros(3, 5)
    for token in range(4):
        for step in range(7):
            fired, membrane = leaky(encoder.current(x)[:, token], membrane)
            assert torch.equal(spikes[:, token, step], fired)
            torch.testing.assert_close(potentials[:, token, step], membrane)
    torch.testing.assert_close(state, membrane)


@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_chunks_equal_one_pass(cuts):
    torch.manual_seed(0)
    encoder, x = SpikeEncoder(3, 4, num_spike_steps=5).double(), torch.randn(2, sum(cuts), 3).double()
    whole, state, parts = encoder(x), None, []
    for chunk in x.split(cuts, 1):
        spikes, potentials, state = encoder(chunk, state)
        parts.append((spikes, potentials))
    torch.testing.assert_close(torch.cat([part[0] for part in parts], 1), whole[0], rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([part[1] for part in parts], 1), whole[1], rtol=1e-10, atol=1e-10)


def test_padding_changes_nothing_before_it_and_leaves_the_state():
    torch.manual_seed(0)
    encoder, x = SpikeEncoder(3, 4, num_spike_steps=5), torch.randn(2, 6, 3)
    padded = torch.arange(6) < 4
    spikes, potentials, state = encoder(x, mask=padded.expand(2, 6))
    short = encoder(x[:, padded])
    assert all(torch.equal(a, b) for a, b in zip((spikes[:, :4], potentials[:, :4], state), short, strict=True))
    assert spikes[:, 4:].sum() == potentials[:, 4:].abs().sum() == 0


def test_readout_wants_a_weight_for_every_step():
    with pytest.raises(ValueError, match="weights must name 4 steps as num_spike_steps says, got 2"):
        SpikeEncoder(2, 3, num_spike_steps=4).readout(torch.zeros(1, 2, 2), weights=[0.5, 0.5], carry=0.0)


def rate(**changes):
    """Spike rate for unit normal tokens, with the same weights for every setting."""
    torch.manual_seed(0)
    return SpikeEncoder(64, 128, **changes)(torch.randn(8, 16, 64))[0].mean().item()


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_fires_at_a_sane_rate_at_the_defaults(reset):
    assert 0.01 < rate(reset=reset) < 0.9


def test_threshold_and_beta_change_the_spike_rate_in_their_direction():
    assert rate(threshold=0.5) > 1.2 * rate() > 1.2 * 1.2 * rate(threshold=3.0)
    assert rate(beta=0.5) < 0.9 * rate()


def test_start_values_are_those_asked_for():
    encoder = SpikeEncoder(2, 3, beta=0.8, threshold=1.2)
    torch.testing.assert_close(encoder.beta, torch.full((3,), 0.8))
    torch.testing.assert_close(encoder.threshold, torch.full((3,), 1.2))


def test_no_update_leaves_the_valid_range():
    encoder = SpikeEncoder(2, 3)
    with torch.no_grad():
        encoder.neurons.beta_logit.fill_(10.0)
        encoder.neurons.threshold_raw.fill_(-10.0)
    assert 0 < encoder.beta.min() <= encoder.beta.max() < 1
    assert encoder.threshold.min() > 0


def test_fixed_parameters_stay_out_of_training():
    encoder = SpikeEncoder(2, 3, learn_beta=False, learn_threshold=False)
    encoder(torch.randn(1, 2, 2))[1].sum().backward()
    assert encoder.neurons.beta_logit.grad is None
    assert encoder.neurons.threshold_raw.grad is None
    assert encoder.current.weight.grad is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 1.0}, "beta must be above 0 and below 1, got 1.0"),
        ({"threshold": -1.0}, "threshold must be above 0, got -1.0"),
        ({"num_spike_steps": 0}, "num_spike_steps must be 1 or more, got 0"),
    ],
)
def test_impossible_neurons_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SpikeEncoder(2, 3, **change)
