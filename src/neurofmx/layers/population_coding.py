"""Carry every value by a small population of spiking neurons with different thresholds, and read it back.

Shapes: S spike steps, P neurons of a population, U values.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from neurofmx.layers.population_decoder import PopulationDecoder
from neurofmx.layers.population_statistics import PopulationCounts, PopulationStatistics
from neurofmx.layers.spike_code import EncodingScheme
from neurofmx.layers.spiking_neurons import SpikingNeurons
from neurofmx.layers.threshold_distributions import ThresholdDistribution, threshold_factors


class PopulationCoding(nn.Module):
    """Sends values through populations of spiking neurons: what comes out is what their spikes say.

    An input drives each population with one current, which all its neurons share, so those with a low threshold fire
    first and most. Every input is encoded by neurons at rest; `PopulationSpikingEncoder` is this code whose neurons run
    on through a sequence.

    Args:
        input_dim: Channels of the input.
        output_dim: Number of values, U, each carried by a population.
        population_size: Neurons of a population, P.
        num_steps: Spike steps, S.
        threshold_distribution: How the thresholds of a population are spread, a key of `THRESHOLDS`.
        encoding_scheme: What in the spikes carries the value, a key of `SCHEMES`.
        threshold_spread: Half the width of the thresholds' range in units of the threshold, 0 or more and below 1.
        **neurons: Decay, threshold and what else `SpikingNeurons` takes.

    Raises:
        ValueError: If a name is unknown or a number is out of range.

    Source:
        Pouget, Dayan and Zemel (2000), Information processing with population codes, Nature Reviews Neuroscience 1.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        population_size: int = 5,
        num_steps: int = 32,
        threshold_distribution: ThresholdDistribution = "uniform",
        encoding_scheme: EncodingScheme = "rate",
        *,
        threshold_spread: float = 0.5,
        **neurons: Any,
    ) -> None:
        super().__init__()
        factors = threshold_factors(threshold_distribution, population_size, spread=threshold_spread)
        self.population_size = population_size
        self.neurons = SpikingNeurons(
            population_size * output_dim,
            num_spike_steps=num_steps,
            factors=factors.repeat_interleave(output_dim),
            **neurons,
        )
        self.decoder = PopulationDecoder(output_dim, population_size, encoding_scheme)
        self.current = nn.Linear(input_dim, output_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, PopulationStatistics]:
        """Encodes inputs and decodes their spikes.

        Args:
            x: Inputs (..., input_dim).

        Returns:
            Values (..., U) from 0 to 1, and how the neurons fired.
        """
        spikes, counts = self.encode(x), PopulationCounts(self.population_size)
        counts.add(spikes)
        return self.decoder(spikes), counts.statistics

    def encode(self, x: Tensor) -> Tensor:
        """Encodes inputs.

        Args:
            x: Inputs (..., input_dim).

        Returns:
            Spikes (..., S, P * U) of 0 and 1.
        """
        current = self.decoder.mean.shared(self.current(x.reshape(-1, x.shape[-1])))
        spikes, _, _ = self.neurons(current.unsqueeze(1))
        return spikes.reshape(*x.shape[:-1], *spikes.shape[2:])
