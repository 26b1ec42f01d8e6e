"""A layer of spiking neurons: the learnt numbers of every neuron, and the call of the kernel that drives them.

Shapes: B batch, L currents (one a token), S spike steps per current, N neurons.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from neurofmx.kernels.alif import alif
from neurofmx.kernels.lif import lif
from neurofmx.kernels.lif_neuron import AlifState, NeuronState, Reset, neuron_path
from neurofmx.kernels.lif_readout import Readout, lif_readout, weighted
from neurofmx.kernels.path import Path
from neurofmx.kernels.surrogate import Surrogate
from neurofmx.layers.neuron_numbers import check_range, check_slow, inverse_softplus, logit, logit_of_tau, numbers


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
        learn_beta: Whether training adapts the decays, of potential, synaptic current and adaptation.
        learn_threshold: Whether training adapts the threshold and its rise.
        synaptic_tau: Time constant of a synaptic current in spike steps at the start, above 0; `None` for neurons whose
            currents act at once.
        threshold_adaptation: Rise of the threshold of a neuron that always fires, at the start, 0 (none) or more.
        adaptation_tau: Time constant of that rise in spike steps at the start, above 0.
        path: Which computation of the neurons runs, see `neurofmx.kernels.lif`.

    Attributes:
        silent: Which neurons get no current (N,), bool, and so never fire from rest; `None`, as at first, for none.

    Raises:
        ValueError: If a number is out of range.

    Source:
        Fang et al. (2021), Incorporating Learnable Membrane Time Constant, ICCV, equation 7 (decay as a sigmoid).
    """

    silent: Tensor | None
    alpha_logit: nn.Parameter | None
    rho_logit: nn.Parameter | None
    kappa_raw: nn.Parameter | None

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
        synaptic_tau: float | None = None,
        threshold_adaptation: float = 0.0,
        adaptation_tau: float = 100.0,
        path: Path = "auto",
    ) -> None:
        super().__init__()
        check_range(num_spike_steps, beta, threshold)
        check_slow(synaptic_tau, threshold_adaptation, adaptation_tau)
        self.num_spike_steps = num_spike_steps
        self.path: Path = path
        self.reset: Reset = reset
        self.surrogate: Surrogate = surrogate
        self.slope = slope
        self.silent = None
        # Free numbers behind all, so that no training step can leave the valid range.
        self.beta_logit = numbers(neurons, logit(beta), learn=learn_beta)
        self.threshold_raw = numbers(neurons, inverse_softplus(threshold), learn=learn_threshold)
        self.alpha_logit = self.rho_logit = self.kappa_raw = None
        if synaptic_tau is not None:
            self.alpha_logit = numbers(neurons, logit_of_tau(synaptic_tau), learn=learn_beta)
        if threshold_adaptation > 0.0:
            self.rho_logit = numbers(neurons, logit_of_tau(adaptation_tau), learn=learn_beta)
            self.kappa_raw = numbers(neurons, inverse_softplus(threshold_adaptation), learn=learn_threshold)
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

    @property
    def slow(self) -> bool:
        """Whether the state is more than the potential: a synaptic current or an adaptation."""
        return self.alpha_logit is not None or self.kappa_raw is not None

    @property
    def alpha(self) -> Tensor | float:
        """Decay of the synaptic current per step of every neuron (N,), 0 without one."""
        return 0.0 if self.alpha_logit is None else self.alpha_logit.sigmoid()

    @property
    def rho(self) -> Tensor | float:
        """Decay of the adaptation per step of every neuron (N,), 0 without one."""
        return 0.0 if self.rho_logit is None else self.rho_logit.sigmoid()

    @property
    def kappa(self) -> Tensor | float:
        """Rise of the threshold of every neuron (N,) if it fires at every step, 0 without adaptation."""
        return 0.0 if self.kappa_raw is None else softplus(self.kappa_raw)

    @property
    def kernel(self) -> str:
        """Which kernel drives the neurons, a key of `neurofmx.kernels.path.LIBRARIES`."""
        return "alif" if self.slow else "lif_readout"

    def path_on(self, device: torch.device) -> Path:
        """The path that computes on a device; there is no kernel of a GPU for a slow state."""
        path = neuron_path(self.path, device, self.surrogate)
        return "reference" if self.slow and path == "cuda" else path

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
        ends = before * factors.to(before), before
        shift = torch.sub(*(end + torch.log(-torch.expm1(-end)) for end in ends))
        self.threshold_raw += shift.to(self.threshold_raw.dtype)

    def forward(
        self, current: Tensor, state: NeuronState | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, NeuronState]:
        """Drives the neurons and writes down every step.

        Args:
            current: Currents (B, L, N).
            state: State that the previous stretch ended with; `None` for neurons at rest.
            mask: False where a current is padding (B, L): there the state waits, and outputs are 0.

        Returns:
            Spikes (B, L, S, N) of 0 and 1, potentials (B, L, S, N), and the last state.
        """
        current = self._reaching(current)
        before, how = self._at_rest(current) if state is None else state, {**self._how(), "mask": mask}
        if isinstance(before, AlifState):
            slow = {"alpha": self.alpha, "rho": self.rho, "kappa": self.kappa}
            spikes, potentials, after = alif(current, before, hold=self.num_spike_steps, **slow, **how)
        else:
            spikes, potentials, after = lif(current, before, hold=self.num_spike_steps, **how)
        steps = (current.shape[1], self.num_spike_steps)
        return spikes.unflatten(1, steps), potentials.unflatten(1, steps), after

    def readout(
        self,
        current: Tensor,
        state: NeuronState | None = None,
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
        trace = torch.zeros_like(current[:, 0]) if trace is None else trace
        before = self._at_rest(current) if state is None else state
        if not isinstance(before, AlifState):
            driven = self._reaching(current), before, trace
            return lif_readout(*driven, weights=weights, carry=carry, mask=mask, **self._how())
        spikes, potentials, after = self(current, before, mask=mask)
        traces, trace = weighted(spikes, trace, weights, carry, mask)
        return Readout(traces, potentials[:, :, -1], after, trace, spikes.detach().sum((1, 2)))

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

    def _reaching(self, current: Tensor) -> Tensor:
        """The currents (B, L, N) without those of silent neurons."""
        return current if self.silent is None else current.masked_fill(self.silent, 0.0)

    def _how(self) -> dict[str, Any]:
        """What every kernel of neurons takes."""
        return {
            "beta": self.beta,
            "threshold": self.threshold,
            "reset": self.reset,
            "surrogate": self.surrogate,
            "slope": self.slope,
            "path": self.path_on(self.beta_logit.device),
        }

    def _at_rest(self, current: Tensor) -> NeuronState:
        """The state of neurons that nothing has driven yet."""
        rest = torch.zeros_like(current[:, 0])
        return AlifState(rest, rest, rest) if self.slow else rest
