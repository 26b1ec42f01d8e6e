"""Turn tokens into spikes: every token drives a layer of spiking neurons for a number of steps.

Shapes: B batch, L tokens, S spike steps per token, N neurons.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from neurofmx.kernels.lif import Reset, lif
from neurofmx.kernels.lif_readout import Readout, lif_readout
from neurofmx.kernels.path import Path
from neurofmx.kernels.surrogate import Surrogate


class SpikeEncoder(nn.Module):
    """Encodes tokens as spikes of leaky integrate-and-fire neurons.

    Each token becomes one current per neuron, held for `num_spike_steps` steps. The membrane potential runs on from
    token to token and from call to call, so a neuron remembers about `1 / (1 - beta)` steps across tokens.

    Args:
        input_dim: Channels of a token.
        spiking_units: Number of neurons.
        num_spike_steps: Steps per token, 1 or more.
        beta: Decay of the potential per step at the start, above 0 and below 1; then learnt per neuron.
        threshold: Potential above which a neuron fires at the start, above 0; then learnt per neuron.
        reset: After a spike, `subtract` the threshold or set the potential to `zero`.
        surrogate: Derivative of the spikes used in training.
        slope: Sharpness of the surrogate, above 0.
        learn_beta: Whether training adapts the decay.
        learn_threshold: Whether training adapts the threshold.
        path: Which computation of the neurons runs, see `neurofmx.kernels.lif`.

    Raises:
        ValueError: If `num_spike_steps`, `beta` or `threshold` is out of range.

    Source:
        Eshraghian et al. (2023), Training Spiking Neural Networks, Proc. IEEE, section IV (direct current input);
        Fang et al. (2021), Incorporating Learnable Membrane Time Constant, ICCV, equation 7 (decay as a sigmoid).
    """

    def __init__(
        self,
        input_dim: int,
        spiking_units: int,
        *,
        num_spike_steps: int = 32,
        beta: float = 0.95,
        threshold: float = 1.0,
        reset: Reset = "subtract",
        surrogate: Surrogate = "fast_sigmoid",
        slope: float = 25.0,
        learn_beta: bool = True,
        learn_threshold: bool = True,
        path: Path = "auto",
    ) -> None:
        super().__init__()
        _check_range(num_spike_steps, beta, threshold)
        self.num_spike_steps = num_spike_steps
        self.path: Path = path
        self.reset: Reset = reset
        self.surrogate: Surrogate = surrogate
        self.slope = slope
        self.current = nn.Linear(input_dim, spiking_units)
        # Free numbers behind both, so that no training step can leave the valid range.
        beta_logit = math.log(beta / (1.0 - beta))
        threshold_raw = threshold + math.log(-math.expm1(-threshold))
        self.beta_logit = nn.Parameter(torch.full((spiking_units,), beta_logit), requires_grad=learn_beta)
        self.threshold_raw = nn.Parameter(torch.full((spiking_units,), threshold_raw), requires_grad=learn_threshold)

    @property
    def beta(self) -> Tensor:
        """Decay per step of every neuron (N,), within 0 and 1."""
        return self.beta_logit.sigmoid()

    @property
    def threshold(self) -> Tensor:
        """Firing threshold of every neuron (N,), above 0."""
        return softplus(self.threshold_raw)

    def forward(
        self, x: Tensor, state: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes a stretch of tokens.

        Args:
            x: Tokens (B, L, input_dim).
            state: Membrane potentials (B, N) that the previous stretch ended with; `None` for neurons at rest.
            mask: False where a token is padding (B, L): there the potential waits, and outputs are 0.

        Returns:
            Spikes (B, L, S, N) of 0 and 1, potentials (B, L, S, N), and the last potential (B, N).
        """
        current = self.current(x)
        state = _at_rest(current) if state is None else state
        spikes, potentials, state = lif(
            current,
            state,
            beta=self.beta,
            threshold=self.threshold,
            hold=self.num_spike_steps,
            reset=self.reset,
            surrogate=self.surrogate,
            slope=self.slope,
            mask=mask,
            path=self.path,
        )
        steps = (x.shape[1], self.num_spike_steps)
        return spikes.unflatten(1, steps), potentials.unflatten(1, steps), state

    def readout(
        self,
        x: Tensor,
        state: Tensor | None = None,
        trace: Tensor | None = None,
        *,
        weights: list[float],
        carry: float,
        mask: Tensor | None = None,
    ) -> Readout:
        """Encodes a stretch of tokens, and keeps a weighted sum of each token's spikes in place of the spikes.

        Args:
            x: Tokens (B, L, input_dim).
            state: Membrane potentials (B, N) that the previous stretch ended with; `None` for neurons at rest.
            trace: Trace (B, N) that the previous stretch ended with; `None` for silence before.
            weights: Weight of each of the S steps.
            carry: Share of a token's trace that the next token takes over.
            mask: False where a token is padding (B, L): there potential and trace wait, and outputs are 0.

        Returns:
            Traces and potentials at the tokens' ends (B, L, N), and last potential, last trace and number of spikes
            (B, N).

        Raises:
            ValueError: If there are not as many weights as steps.
        """
        if len(weights) != self.num_spike_steps:
            raise ValueError(
                f"weights must name {self.num_spike_steps} steps as num_spike_steps says, got {len(weights)}"
            )
        current = self.current(x)
        return lif_readout(
            current,
            _at_rest(current) if state is None else state,
            _at_rest(current) if trace is None else trace,
            beta=self.beta,
            threshold=self.threshold,
            weights=weights,
            carry=carry,
            reset=self.reset,
            surrogate=self.surrogate,
            slope=self.slope,
            mask=mask,
            path=self.path,
        )


def _at_rest(current: Tensor) -> Tensor:
    """Zeros for every neuron (B, N)."""
    return torch.zeros_like(current[:, 0])


def _check_range(num_spike_steps: int, beta: float, threshold: float) -> None:
    """Refuses numbers that no neuron can have."""
    if num_spike_steps < 1:
        raise ValueError(f"num_spike_steps must be 1 or more, got {num_spike_steps}")
    if not 0.0 < beta < 1.0:
        raise ValueError(f"beta must be above 0 and below 1, got {beta}; the usual value is 0.95")
    if not threshold > 0.0:
        raise ValueError(f"threshold must be above 0, got {threshold}; the usual value is 1.0")
