"""Spike statistics: counts by hand, and sparsities that are known beforehand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.layers.spike_statistics import population_sparsity, spike_statistics


@given(seed=st.integers(0, 1000), fan_out=st.integers(0, 5))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_is_what_is_counted_spike_by_spike(seed, fan_out):
    spikes = (
        torch.rand(3, 4, 5, 6, generator=torch.Generator().manual_seed(seed)) < 0.3
    )  # batch, tokens, steps, neurons
    found = spike_statistics(spikes.sum((1, 2)).float(), tokens=4, steps=5, fan_out=fan_out)
    fired = sum(1 for _ in spikes.nonzero())
    assert found.rate == pytest.approx(fired / spikes.numel())
    assert found.sparsity == pytest.approx(1 - fired / spikes.numel())
    assert found.spikes_per_token == pytest.approx(fired / (3 * 4))
    assert found.synops_per_token == pytest.approx(fan_out * fired / (3 * 4))


@pytest.mark.parametrize(("firing", "neurons"), [(1, 8), (2, 8), (4, 8), (8, 8), (3, 5)])
def test_population_of_some_equally_active_neurons_has_the_sparsity_of_their_share(firing, neurons):
    rates = torch.zeros(neurons, dtype=torch.float64)
    rates[:firing] = 0.3
    assert population_sparsity(rates).item() == pytest.approx((1 - firing / neurons) / (1 - 1 / neurons))


def test_exponential_rates_have_half_the_highest_sparsity():
    """An exponential distribution has `mean(r^2) = 2 mean(r)^2`."""
    places = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    assert population_sparsity(-torch.log1p(-places)).item() == pytest.approx(0.5, abs=1e-3)
    assert population_sparsity(torch.zeros(2, 4)).tolist() == [0.0, 0.0]
    assert population_sparsity(torch.rand(3, 1)).tolist() == [0.0, 0.0, 0.0]
    assert not math.isnan(population_sparsity(torch.full((4,), 1e-30)).item())
