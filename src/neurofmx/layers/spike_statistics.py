"""What numbers of spikes say about a layer: how often neurons fire, how evenly, and what the spikes set in motion.

Shapes: B sequences, N neurons.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class SpikeStatistics(NamedTuple):
    """How a layer of neurons fired.

    Args:
        rate: Mean spikes of a neuron in a step, 0 to 1.
        sparsity: Share of all steps of all neurons without a spike, `1 - rate`.
        population_sparsity: How unevenly spikes fall on the neurons of a sequence, see `population_sparsity`.
        spikes_per_token: Spikes of all neurons together in a token.
        synops_per_token: Synaptic operations in a token: every spike is added to as many numbers as read it.
    """

    rate: float
    sparsity: float
    population_sparsity: float
    spikes_per_token: float
    synops_per_token: float


def spike_statistics(counts: Tensor, *, tokens: int, steps: int, fan_out: int) -> SpikeStatistics:
    """Sums up the spikes of a layer.

    Args:
        counts: Spikes of every neuron over a whole sequence (B, N).
        tokens: Tokens of a sequence, 1 or more.
        steps: Spike steps of a token, 1 or more.
        fan_out: Numbers that each spike is added to; 0 if nothing reads spikes.

    Returns:
        The statistics.

    Example:
        >>> found = spike_statistics(torch.tensor([[4.0, 0.0], [4.0, 0.0]]), tokens=2, steps=4, fan_out=10)
        >>> found.rate, found.population_sparsity, found.synops_per_token
        (0.25, 1.0, 20.0)
    """
    rates = counts.double() / (tokens * steps)
    rate, spikes = float(rates.mean()), float(counts.double().sum(1).mean()) / tokens
    return SpikeStatistics(rate, 1.0 - rate, float(population_sparsity(rates).mean()), spikes, spikes * fan_out)


def population_sparsity(rates: Tensor) -> Tensor:
    """Says how unevenly activity is spread over neurons: 0 where all fire alike, 1 where one alone does.

    Args:
        rates: Mean activity of every neuron (..., N), 0 or more.

    Returns:
        `(1 - (mean r)^2 / mean(r^2)) / (1 - 1 / N)` (...); 0 where no neuron fires, and for a single one.

    Source:
        Vinje and Gallant (2000), Sparse coding and decorrelation in primary visual cortex during natural vision,
        Science 287, after Rolls and Tovee (1995).
    """
    square, squares = rates.mean(-1).square(), rates.square().mean(-1)
    evenness = torch.where(squares > 0, square / squares.clamp_min(torch.finfo(rates.dtype).tiny), 1.0)
    return (1.0 - evenness) / (1.0 - 1.0 / max(2, rates.shape[-1]))
