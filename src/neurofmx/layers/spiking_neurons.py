"""A layer of spiking neurons: the learnt numbers of every neuron, and the call of the kernel that drives them.

Shapes: B batch, L currents (one a token), S spike steps per current, N neurons.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from neurofmx.kernels.lif import Reset, lif
from neurofmx.kernels.lif_readout import Readout, lif_readout
from neurofmx.kernels.path import Path
from neurofmx.kernels.surrogate import Surrogate


class SpikingNeurons(nn.Module):
    """Leaky integrate-and-fire neurons with a decay and a threshold each.

    Every current is held for `num_spike_steps` steps. The state runs on from current to current and from call to call.

    Args:
        neurons: Number of neurons.
        num_spike_steps: Steps per current, 1 or more.
        beta: Decay of the potential per step at the start, above 0 and below 1; then learnt per neuron.
        threshold: Potential above which a neuron fires at the start, above 0; then learnt per neuron.
        factors: What the threshold of every neuron (N,) is multiplied by at the start, above 0; `None` for 1.
        reset: After a spike, `subtract` the threshold or set the potential to `zero`.
        surrogate: Derivative of the spikes used in training.
        slope: Sharpness of the surrogate, above 0.
        learn_beta: Whether training adapts the decay.
        learn_threshold: Whether training adapts the threshold.
        path: Which computation of the neurons runs, see `neurofmx.kernels.lif`.

    Raises:
        ValueError: If `num_spike_steps`, `beta` or `threshold` is out of range.

    Source:
        Fang et al. (2021), Incorporating Learnable Membrane Time Constant, ICCV, equation 7 (decay as a sigmoid).
    """

    def __init__(
        self,
        neurons: int,
        *,
        num_spike_steps: int = 32,
        beta: float = 0.95,
        threshold: float = 1.0,
        factors: Tensor | None = None,
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
        # Free numbers behind both, so that no training step can leave the valid range.
        beta_logit = math.log(beta / (1.0 - beta))
        threshold_raw = threshold + math.log(-math.expm1(-threshold))
        self.beta_logit = nn.Parameter(torch.full((neurons,), beta_logit), requires_grad=learn_beta)
        self.threshold_raw = nn.Parameter(torch.full((neurons,), threshold_raw), requires_grad=learn_threshold)
        if factors is not None:
            self.scale_thresholds(factors)

    @property
    def beta(self) -> Tensor:
        """Decay per step of every neuron (N,), within 0 and 1."""
        return self.beta_logit.sigmoid()

    @property
    def threshold(self) -> Tensor:
        """Firing threshold of every neuron (N,), above 0."""
        return softplus(self.threshold_raw)

    @torch.no_grad()
    def copies(self, number: int) -> SpikingNeurons:
        """Copies every neuron, with all that training made of it.

        Args:
            number: Copies of each.

        Returns:
            A layer of `number * N` neurons: all neurons once, then all again, and so on.
        """
        more = copy.deepcopy(self)
        for name, values in more.named_parameters():
            setattr(more, name, nn.Parameter(values.repeat(number), requires_grad=values.requires_grad))
        return more

    @torch.no_grad()
    def scale_thresholds(self, factors: Tensor) -> None:
        """Multiplies every threshold; a factor of 1 leaves its neuron as it is, to the last bit.

        Args:
            factors: One for every neuron (N,), above 0.

        Raises:
            ValueError: If a factor is not above 0.
        """
        if not (factors > 0).all():
            raise ValueError(f"factors must be above 0, got {factors.min().item()}: choose a smaller spread")
        before = self.threshold.double()
        shift = _inverse_softplus(before * factors.to(before)) - _inverse_softplus(before)
        self.threshold_raw += shift.to(self.threshold_raw.dtype)

    def forward(
        self, current: Tensor, state: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Drives the neurons and writes down every step.

        Args:
            current: Currents (B, L, N).
            state: State that the previous stretch ended with; `None` for neurons at rest.
            mask: False where a current is padding (B, L): there the state waits, and outputs are 0.

        Returns:
            Spikes (B, L, S, N) of 0 and 1, potentials (B, L, S, N), and the last state.
        """
        spikes, potentials, state = lif(
            current,
            _zeros(current) if state is None else state,
            beta=self.beta,
            threshold=self.threshold,
            hold=self.num_spike_steps,
            reset=self.reset,
            surrogate=self.surrogate,
            slope=self.slope,
            mask=mask,
            path=self.path,
        )
        steps = (current.shape[1], self.num_spike_steps)
        return spikes.unflatten(1, steps), potentials.unflatten(1, steps), state

    def readout(
        self,
        current: Tensor,
        state: Tensor | None = None,
        trace: Tensor | None = None,
        *,
        weights: list[float],
        carry: float,
        mask: Tensor | None = None,
    ) -> Readout:
        """Drives the neurons, and keeps a weighted sum of each current's spikes in place of the spikes.

        Args:
            current: Currents (B, L, N).
            state: State that the previous stretch ended with; `None` for neurons at rest.
            trace: Trace (B, N) that the previous stretch ended with; `None` for silence before.
            weights: Weight of each of the S steps.
            carry: Share of a current's trace that the next one takes over.
            mask: False where a current is padding (B, L): there state and trace wait, and outputs are 0.

        Returns:
            Traces and potentials at the currents' ends (B, L, N), last state, last trace, and number of spikes (B, N).

        Raises:
            ValueError: If there are not as many weights as steps.
        """
        self.check_weights(weights)
        return lif_readout(
            current,
            _zeros(current) if state is None else state,
            _zeros(current) if trace is None else trace,
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

    def check_weights(self, weights: list[float]) -> None:
        """Refuses a readout of another number of steps.

        Args:
            weights: Weight of each step.

        Raises:
            ValueError: If there are not as many weights as steps.
        """
        if len(weights) != self.num_spike_steps:
            raise ValueError(
                f"weights must name {self.num_spike_steps} steps as num_spike_steps says, got {len(weights)}"
            )


def _zeros(current: Tensor) -> Tensor:
    """Zeros for every neuron (B, N)."""
    return torch.zeros_like(current[:, 0])


def _inverse_softplus(x: Tensor) -> Tensor:
    """What has the softplus `x`."""
    return x + torch.log(-torch.expm1(-x))


def _check_range(num_spike_steps: int, beta: float, threshold: float) -> None:
    """Refuses numbers that no neuron can have."""
    if num_spike_steps < 1:
        raise ValueError(f"num_spike_steps must be 1 or more, got {num_spike_steps}")
    if not 0.0 < beta < 1.0:
        raise ValueError(f"beta must be above 0 and below 1, got {beta}; the usual value is 0.95")
    if not threshold > 0.0:
        raise ValueError(f"threshold must be above 0, got {threshold}; the usual value is 1.0")
