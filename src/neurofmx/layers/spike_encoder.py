"""Turn tokens into spikes: every token drives a layer of spiking neurons for a number of steps.

Shapes: B batch, L tokens, S spike steps per token, N neurons.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from neurofmx.kernels.lif_neuron import NeuronState
from neurofmx.kernels.lif_readout import Readout
from neurofmx.layers.spiking_neurons import SpikingNeurons


class AnySpikeEncoder(nn.Module, ABC):
    """What every spike encoder has: a current from each token, neurons that it drives, and two ways to be read.

    Args:
        neurons: The spiking neurons.
        current: Token (B, L, input_dim) to current (B, L, values).
    """

    def __init__(self, neurons: SpikingNeurons, current: nn.Linear) -> None:
        super().__init__()
        self.neurons = neurons
        self.current = current

    @property
    def num_spike_steps(self) -> int:
        """Spike steps per token, S."""
        return self.neurons.num_spike_steps

    @property
    def beta(self) -> Tensor:
        """Decay per step of every neuron (neurons,), within 0 and 1."""
        return self.neurons.beta

    @property
    def threshold(self) -> Tensor:
        """Firing threshold of every neuron (neurons,), above 0."""
        return self.neurons.threshold

    @abstractmethod
    def forward(
        self, x: Tensor, state: NeuronState | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, NeuronState]:
        """Encodes a stretch of tokens as spikes and potentials of every step, and returns the last state with them."""

    @abstractmethod
    def readout(
        self,
        x: Tensor,
        state: NeuronState | None = None,
        trace: Tensor | None = None,
        *,
        weights: list[float],
        carry: float,
        mask: Tensor | None = None,
    ) -> Readout:
        """Encodes a stretch of tokens, and keeps a weighted sum of each token's spikes in place of the spikes."""


class SpikeEncoder(AnySpikeEncoder):
    """Encodes tokens as spikes of leaky integrate-and-fire neurons.

    Each token becomes one current per neuron, held for `num_spike_steps` steps. The membrane potential runs on from
    token to token and from call to call, so a neuron remembers about `1 / (1 - beta)` steps across tokens.

    Args:
        input_dim: Channels of a token.
        spiking_units: Number of neurons.
        **neurons: Steps per token, decay, threshold and what else `SpikingNeurons` takes.

    Raises:
        ValueError: If a number is out of range.

    Source:
        Eshraghian et al. (2023), Training Spiking Neural Networks, Proc. IEEE, section IV (direct current input).
    """

    def __init__(self, input_dim: int, spiking_units: int, **neurons: Any) -> None:
        super().__init__(SpikingNeurons(spiking_units, **neurons), nn.Linear(input_dim, spiking_units))

    def forward(
        self, x: Tensor, state: NeuronState | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, NeuronState]:
        """Encodes a stretch of tokens.

        Args:
            x: Tokens (B, L, input_dim).
            state: State of the neurons that the previous stretch ended with; `None` for neurons at rest.
            mask: False where a token is padding (B, L): there the state waits, and outputs are 0.

        Returns:
            Spikes (B, L, S, N) of 0 and 1, potentials (B, L, S, N), and the last state.
        """
        return self.neurons(self.current(x), state, mask=mask)

    def readout(
        self,
        x: Tensor,
        state: NeuronState | None = None,
        trace: Tensor | None = None,
        *,
        weights: list[float],
        carry: float,
        mask: Tensor | None = None,
    ) -> Readout:
        """Encodes a stretch of tokens, and keeps a weighted sum of each token's spikes in place of the spikes.

        Args:
            x: Tokens (B, L, input_dim).
            state: State of the neurons that the previous stretch ended with; `None` for neurons at rest.
            trace: Trace (B, N) that the previous stretch ended with; `None` for silence before.
            weights: Weight of each of the S steps.
            carry: Share of a token's trace that the next token takes over.
            mask: False where a token is padding (B, L): there state and trace wait, and outputs are 0.

        Returns:
            Traces and potentials at the tokens' ends (B, L, N), and last state, last trace and number of spikes
            (B, N).

        Raises:
            ValueError: If there are not as many weights as steps.
        """
        return self.neurons.readout(self.current(x), state, trace, weights=weights, carry=carry, mask=mask)
