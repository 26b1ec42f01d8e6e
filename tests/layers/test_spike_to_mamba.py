"""Reading spikes back: the sums that define each method."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import trace_naive

from neurofmx.layers.spike_encoder import SpikeEncoder
from neurofmx.layers.spike_to_mamba import READOUTS, SpikeToMambaAdapter


def spikes_and_potentials(length=7, steps=4, neurons=5):
    """Random spikes and potentials (3, length, steps, neurons)."""
    torch.manual_seed(0)
    shape = (3, length, steps, neurons)
    return (torch.rand(shape) < 0.3).double(), torch.randn(shape, dtype=torch.float64)


def test_temporal_is_the_direct_sum_over_all_earlier_spikes():
    spikes, potentials = spikes_and_potentials()
    adapter = SpikeToMambaAdapter(5, 6, method="temporal", tau=6.0).double()
    tokens, trace = adapter(spikes, potentials)
    sums = trace_naive(spikes.flatten(1, 2), 6.0)[:, 3::4]
    torch.testing.assert_close(tokens, adapter.projection(sums), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(trace, sums[:, -1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tau", [0.5, 20.0, 200.0])
def test_temporal_of_constant_firing_tends_to_its_rate(tau):
    adapter = SpikeToMambaAdapter(1, 1, method="temporal", tau=tau)
    _, trace = adapter(torch.ones(1, 500, 8, 1), torch.zeros(1, 500, 8, 1))
    torch.testing.assert_close(trace, torch.ones(1, 1))


def test_rate_and_potential_are_mean_and_last():
    spikes, potentials = spikes_and_potentials()
    for method, wanted in [("rate", spikes.sum(2) / 4), ("potential", potentials[:, :, 3])]:
        adapter = SpikeToMambaAdapter(5, 6, method=method).double()
        torch.testing.assert_close(adapter(spikes, potentials)[0], adapter.projection(wanted))


@pytest.mark.parametrize("method", READOUTS)
@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=5))
@settings(max_examples=8, deadline=None)
def test_chunks_equal_one_pass(method, cuts):
    spikes, potentials = spikes_and_potentials(length=sum(cuts))
    adapter = SpikeToMambaAdapter(5, 6, method=method).double()
    whole, last = adapter(spikes, potentials)
    state, parts = None, []
    for fired, membrane in zip(spikes.split(cuts, 1), potentials.split(cuts, 1), strict=True):
        tokens, state = adapter(fired, membrane, state)
        parts.append(tokens)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(state, last, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", ["numba", "reference"])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("method", READOUTS)
@pytest.mark.parametrize("masked", [False, True])
def test_reading_at_once_equals_encoding_and_reading(method, reset, path, masked):
    torch.manual_seed(0)
    encoder = SpikeEncoder(3, 5, num_spike_steps=4, reset=reset, path=path).double()
    adapter = SpikeToMambaAdapter(5, 6, method=method, tau=6.0).double()
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    membrane, trace = torch.randn(2, 4, 5, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (x, membrane.clone(), trace.clone())]
    mask = torch.rand(4, 7) < 0.7 if masked else None
    found = adapter.read(encoder, *inputs, mask=mask)
    spikes, potentials, last = encoder(*inputs[:2], mask=mask)
    tokens, trace = adapter(spikes, potentials, inputs[2], mask=mask)
    wanted = (tokens, last, trace, spikes.detach().sum((1, 2)))
    torch.testing.assert_close(tuple(found[:4]), wanted, rtol=1e-12, atol=1e-12)
    assert found.readout.shape == (4, 7, 5)  # fewer channels than the tokens made of it, which so determine it
    torch.testing.assert_close(adapter.projection(found.readout), tokens, rtol=1e-12, atol=1e-12)
    leaves = [*inputs, *encoder.parameters(), *adapter.parameters()]
    # Hard resets don't read the threshold, so it has no gradient where no spike is read.
    at_once, apart = (
        torch.autograd.grad(sum(out.square().sum() for out in outputs[:3]), leaves, materialize_grads=True)
        for outputs in (found, wanted)
    )
    torch.testing.assert_close(at_once, apart, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", READOUTS)
def test_reading_at_once_starts_at_rest_and_in_silence(method):
    torch.manual_seed(0)
    encoder, adapter = SpikeEncoder(3, 5, num_spike_steps=4), SpikeToMambaAdapter(5, 6, method=method)
    x = torch.randn(2, 7, 3)
    found = adapter.read(encoder, x)
    spikes, potentials, last = encoder(x)
    torch.testing.assert_close(
        tuple(found[:3]), (*adapter(spikes, potentials)[:1], last, adapter(spikes, potentials)[1])
    )


def test_tau_matters():
    spikes, potentials = spikes_and_potentials()
    torch.manual_seed(0)
    traces = [SpikeToMambaAdapter(5, 6, tau=tau).double()(spikes, potentials)[1] for tau in (2.0, 20.0)]
    assert (traces[0] - traces[1]).abs().min() > 1e-6


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"unknown method 'rates'; did you mean 'rate'"):
        SpikeToMambaAdapter(2, 3, method="rates")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"tau must be above 0 spike steps, got 0"):
        SpikeToMambaAdapter(2, 3, tau=0.0)
