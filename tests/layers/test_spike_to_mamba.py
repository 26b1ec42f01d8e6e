"""Reading spikes back: the sums that define each method."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import trace_naive

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
