"""Read spikes back into tokens that continuous layers can use.

Shapes: B batch, L tokens, S spike steps per token, N neurons. Symbol: `d = exp(-1/tau)` decay of the trace per step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from neurofmx.kernels.lif_neuron import NeuronState
from neurofmx.kernels.lif_readout import weighted
from neurofmx.layers.spike_encoder import AnySpikeEncoder
from neurofmx.tables import pick

Method = Literal["rate", "temporal", "potential"]


class _Weights(NamedTuple):
    """How the spikes of a token's steps are added up, and which share of the sum the next token takes over."""

    steps: list[float]
    carry: float


def _rate(steps: int, decay: float) -> _Weights:
    """Share of the token's steps at which a neuron fired; remembers nothing."""
    return _Weights([1.0 / steps] * steps, 0.0)


def _temporal(steps: int, decay: float) -> _Weights:
    """Exponential trace at the token's end."""
    return _Weights([(1.0 - decay) * decay**age for age in reversed(range(steps))], decay**steps)


def _potential(steps: int, decay: float) -> _Weights:
    """No spikes: the membrane potential at the token's end is read in their place; remembers nothing."""
    return _Weights([0.0] * steps, 0.0)


READOUTS: dict[str, Callable[[int, float], _Weights]] = {
    "rate": _rate,
    "temporal": _temporal,
    "potential": _potential,
}


class Encoded(NamedTuple):
    """Tokens that were encoded as spikes and read back, and what goes on to the next stretch.

    Args:
        tokens: Tokens (B, L, output_dim).
        membrane: Last state of the neurons: membrane potentials (B, N), and what else changes slowly in them.
        trace: Last trace (B, N), as the encoder wants it back.
        counts: Number of spikes of every neuron (B, N), without gradient.
        readout: What the tokens were projected from: one number a token and neuron (B, L, N).
    """

    tokens: Tensor
    membrane: NeuronState
    trace: Tensor
    counts: Tensor
    readout: Tensor


class SpikeToMambaAdapter(nn.Module):
    """Turns the spikes of every token into one vector.

    - `rate`: the mean of the token's spikes.
    - `temporal`: `c[t] = (1 - d) sum_i s[t-i] d^i W` at the token's last step. The sum runs over all earlier spikes,
      also those of earlier tokens and calls. The factor `1 - d` makes it a weighted mean, so its scale is that of a
      rate for every `tau`.
    - `potential`: the membrane potential at the token's last step.

    Args:
        spiking_units: Number of neurons.
        output_dim: Channels of the tokens made.
        method: How spikes are read: `rate`, `temporal` or `potential`.
        tau: Time constant of `temporal` in spike steps, above 0.

    Raises:
        ValueError: If `method` is unknown or `tau` is not positive.

    Source:
        The trace: Gerstner et al. (2014), Neuronal Dynamics, section 19.2.2.
    """

    def __init__(self, spiking_units: int, output_dim: int, *, method: Method = "temporal", tau: float = 20.0) -> None:
        super().__init__()
        if not tau > 0.0:
            raise ValueError(f"tau must be above 0 spike steps, got {tau}; the usual value is 20")
        self._weights = pick(READOUTS, method, "method")
        self.method: Method = method
        self.decay = math.exp(-1.0 / tau)
        self.projection = nn.Linear(spiking_units, output_dim)

    def forward(
        self, spikes: Tensor, potentials: Tensor, state: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Reads a stretch of spikes.

        Args:
            spikes: Spikes (B, L, S, N).
            potentials: Membrane potentials (B, L, S, N).
            state: Trace (B, N) that the previous stretch ended with; `None` for silence before. Methods that
                remember nothing hand it on unchanged.
            mask: False where a token is padding (B, L), with spikes and potentials of 0: there the trace waits.

        Returns:
            Tokens (B, L, output_dim), and the trace (B, N) at their end.
        """
        trace = torch.zeros_like(spikes[:, 0, 0]) if state is None else state
        if self.method == "temporal":
            weights = self._weights(spikes.shape[2], self.decay)
            pooled, trace = weighted(spikes, trace, weights.steps, weights.carry, mask)
        else:
            pooled = spikes.mean(2) if self.method == "rate" else potentials[:, :, -1]
        return self.projection(pooled), trace

    def read(
        self,
        encoder: AnySpikeEncoder,
        x: Tensor,
        membrane: NeuronState | None = None,
        trace: Tensor | None = None,
        *,
        mask: Tensor | None = None,
    ) -> Encoded:
        """Encodes tokens and reads them back at once: equal to `self(*encoder(x))`, but no spike is written down.

        Args:
            encoder: The neurons.
            x: Tokens (B, L, input_dim).
            membrane: State of the neurons that the previous stretch ended with; `None` for neurons at rest.
            trace: Trace (B, N) that the previous stretch ended with; `None` for silence before.
            mask: False where a token is padding (B, L): there membrane and trace wait.

        Returns:
            The tokens, the states behind the last one, and the number of spikes.
        """
        weights = self._weights(encoder.num_spike_steps, self.decay)
        kept = encoder.readout(x, membrane, trace, weights=weights.steps, carry=weights.carry, mask=mask)
        readout = kept.ends if self.method == "potential" else kept.traces
        if self.method == "temporal":
            trace = kept.trace
        elif trace is None:
            trace = torch.zeros_like(kept.trace)
        return Encoded(self.projection(readout), kept.potential, trace, kept.counts, readout)
