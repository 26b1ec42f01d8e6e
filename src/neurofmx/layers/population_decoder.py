"""Read the value that a population of spiking neurons carries.

Shapes: S spike steps, P neurons of a population, U values. The neurons of all populations stand in one axis of `P * U`,
those with the lowest threshold of every population first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.layers.spike_code import SCHEMES, EncodingScheme
from neurofmx.tables import pick


class PopulationMean(nn.Module):
    """Weighted mean over every population, with learnt weights that start equal.

    Weights are a softmax, so they are positive and sum to 1. What is averaged are the differences to the population's
    first neuron: where all neurons say the same, to the last bit, so does the mean.

    Args:
        units: Number of populations, U.
        population_size: Neurons of a population, P.
    """

    def __init__(self, units: int, population_size: int) -> None:
        super().__init__()
        self.population_size = population_size
        self.logits = nn.Parameter(torch.zeros(population_size, units), requires_grad=population_size > 1)
        self.logits.no_weight_decay = True  # type: ignore[attr-defined]  # a preference, not a product

    @property
    def weights(self) -> Tensor:
        """Share of every neuron in the mean of its population (P, U)."""
        return self.logits.softmax(0)

    def forward(self, x: Tensor) -> Tensor:
        """Averages over populations.

        Args:
            x: What every neuron says (..., P * U).

        Returns:
            What every population says (..., U).
        """
        apart = x.unflatten(-1, (self.population_size, -1))
        first, others = apart[..., 0, :], apart[..., 1:, :]
        return first + ((others - first.unsqueeze(-2)) * self.weights[1:]).sum(-2)

    def shared(self, x: Tensor) -> Tensor:
        """Gives every neuron what its population is given; the mean of that is `x` again.

        Args:
            x: Numbers of populations (..., U).

        Returns:
            The same for every neuron (..., P * U).
        """
        return x.unsqueeze(-2).expand(*x.shape[:-1], self.population_size, x.shape[-1]).flatten(-2)


class PopulationDecoder(nn.Module):
    """Decodes spikes of populations into values.

    Args:
        units: Number of values, U, each carried by a population.
        population_size: Neurons of a population, P.
        encoding_scheme: What in the spikes carries the value, a key of `SCHEMES`.

    Raises:
        ValueError: If the scheme is unknown.

    Example:
        >>> decoder = PopulationDecoder(1, population_size=2, encoding_scheme="temporal")
        >>> spikes = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # 4 steps of 2 neurons
        >>> decoder(spikes).item()  # (4 / 4 + 2 / 4) / 2
        0.75
    """

    def __init__(self, units: int, population_size: int = 5, encoding_scheme: EncodingScheme = "rate") -> None:
        super().__init__()
        self.scheme = pick(SCHEMES, encoding_scheme, "encoding_scheme")
        self.mean = PopulationMean(units, population_size)

    def each_step(self, spikes: Tensor) -> Tensor:
        """Says what the spikes of every step count for: their mean over the steps of a token is what `forward` decodes.

        Args:
            spikes: Spikes (..., S, P * U) of 0 and 1.

        Returns:
            Parts of values (..., S, U), 0 or more.
        """
        return self.mean(self.scheme.worth(spikes))

    def forward(self, spikes: Tensor) -> Tensor:
        """Decodes the spikes of a token or of many.

        Args:
            spikes: Spikes (..., S, P * U) of 0 and 1.

        Returns:
            Values (..., U) from 0 to 1.
        """
        return self.mean(self.scheme.worth(spikes).mean(-2))
