"""Read spikes back into tokens that continuous layers can use.

Shapes: B batch, L tokens, S spike steps per token, N neurons. Symbol: `d = exp(-1/tau)` decay of the trace per step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from neurofmx.tables import pick

Method = Literal["rate", "temporal", "potential"]


def _rate(spikes: Tensor, potentials: Tensor, trace: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Share of the token's steps at which a neuron fired; remembers nothing."""
    return spikes.mean(2), trace


def _potential(spikes: Tensor, potentials: Tensor, trace: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Membrane potential at the token's end; remembers nothing."""
    return potentials[:, :, -1], trace


def _temporal(spikes: Tensor, potentials: Tensor, trace: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Exponential trace at the token's end: weigh the steps of each token at once, then carry from token to token."""
    steps = spikes.shape[2]
    ages = torch.arange(steps - 1, -1, -1, device=spikes.device, dtype=spikes.dtype)
    fresh = torch.einsum("blsn,s->bln", spikes, (1.0 - decay) * decay**ages)
    traces = []
    for arrived in fresh.unbind(1):
        trace = torch.add(arrived, trace, alpha=decay**steps)
        traces.append(trace)
    return torch.stack(traces, 1), trace


READOUTS: dict[str, Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]] = {
    "rate": _rate,
    "temporal": _temporal,
    "potential": _potential,
}


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
        self._read = pick(READOUTS, method, "method")
        self.decay = math.exp(-1.0 / tau)
        self.projection = nn.Linear(spiking_units, output_dim)

    def forward(self, spikes: Tensor, potentials: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reads a stretch of spikes.

        Args:
            spikes: Spikes (B, L, S, N).
            potentials: Membrane potentials (B, L, S, N).
            state: Trace (B, N) that the previous stretch ended with; `None` for silence before. Methods that
                remember nothing hand it on unchanged.

        Returns:
            Tokens (B, L, output_dim), and the trace (B, N) at their end.
        """
        trace = torch.zeros_like(spikes[:, 0, 0]) if state is None else state
        pooled, trace = self._read(spikes, potentials, trace, self.decay)
        return self.projection(pooled), trace
