"""How the neurons of population codes fired: how often each one, and how soon.

Shapes: S spike steps, P neurons of a population, U values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.layers.spike_code import first_spikes


class PopulationStatistics(NamedTuple):
    """How the neurons of a population code fired, without gradient.

    Args:
        sparsity: Share of all steps of all neurons without a spike, a scalar.
        rates: Mean spikes in a step of every neuron (P, U), over all inputs; those with the lowest threshold first.
        first_spike_time: Mean step of the first spike, from 1 to S, over those neurons that fired; NaN if none did.
    """

    sparsity: Tensor
    rates: Tensor
    first_spike_time: Tensor


class PopulationCounts:
    """Adds spikes of populations up, however they come.

    Args:
        population_size: Neurons of a population, P.

    Example:
        >>> counts = PopulationCounts(population_size=2)
        >>> counts.add(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))  # 2 steps of 2 neurons
        >>> counts.add(torch.tensor([[0.0, 0.0], [0.0, 0.0]]))
        >>> found = counts.statistics
        >>> found.sparsity.item(), found.rates.tolist(), found.first_spike_time.item()
        (0.625, [[0.5], [0.25]], 1.5)
    """

    def __init__(self, population_size: int) -> None:
        self._population_size = population_size
        self._steps = 0
        # tensors once there is something to add, wherever that is
        self._spikes: Tensor | float = 0.0
        self._fired: Tensor | float = 0.0
        self._times: Tensor | float = 0.0

    @torch.no_grad()
    def add(self, spikes: Tensor) -> None:
        """Adds some spikes.

        Args:
            spikes: Spikes (..., S, P * U) of 0 and 1.
        """
        steps, neurons = spikes.shape[-2:]
        first = first_spikes(spikes).reshape(-1, steps, neurons).double().sum((0, 2))
        self._steps += spikes.shape[:-1].numel()
        self._spikes = self._spikes + spikes.reshape(-1, neurons).double().sum(0)
        self._fired = self._fired + first.sum()
        self._times = self._times + (first * torch.arange(1, steps + 1, device=spikes.device)).sum()

    @property
    def statistics(self) -> PopulationStatistics:
        """What all spikes added so far say, in double precision.

        Raises:
            RuntimeError: If nothing was added.
        """
        if not isinstance(self._spikes, Tensor):
            raise RuntimeError("there are no statistics of no spikes: call add before, or the network on data")
        rates = self._spikes / self._steps
        time = torch.as_tensor(self._times / self._fired)
        return PopulationStatistics(1.0 - rates.mean(), rates.unflatten(0, (self._population_size, -1)), time)
