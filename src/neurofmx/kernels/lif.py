"""Leaky integrate-and-fire neurons over a sequence of input currents.

Symbols: `u` membrane potential, `x` input current, `s` spike, `beta` decay per step, `theta` threshold, `H` step.

    s[t] = H(u[t] - theta)
    soft reset  u[t] = beta u[t-1] + x[t] - theta s[t-1]
    hard reset  u[t] = beta (1 - s[t-1]) u[t-1] + x[t]

The spike that resets the neuron is read from the potential that is carried along, so the potential is the whole
state. No gradient passes through the reset; it passes through the spikes by their surrogate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.path import Path, import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.kernels.surrogate import Surrogate, spike
from neurofmx.tables import pick

Reset = Literal["subtract", "zero"]


class _Neuron(NamedTuple):
    """What all steps of one call share."""

    beta: Tensor
    threshold: Tensor
    reset: Reset
    surrogate: Surrogate
    slope: float


@full_precision
def lif(
    current: Tensor,
    potential: Tensor,
    *,
    beta: float | Tensor,
    threshold: float | Tensor,
    reset: Reset = "subtract",
    surrogate: Surrogate = "fast_sigmoid",
    slope: float = 25.0,
    path: Path = "reference",
) -> tuple[Tensor, Tensor, Tensor]:
    """Drives a layer of leaky integrate-and-fire neurons with currents.

    Args:
        current: Input currents (batch, time, neurons), in units of the threshold.
        potential: Membrane potentials before the first step (batch, neurons); zeros for neurons at rest.
        beta: Decay of the potential per step, from 0 to 1; one number or one per neuron (neurons,).
        threshold: Potential above which a neuron fires, above 0; one number or one per neuron (neurons,).
        reset: After a spike, `subtract` the threshold (soft) or set to `zero` (hard).
        surrogate: Derivative of the spikes used in training, a key of `SURROGATES`.
        slope: Sharpness of the surrogate, above 0.
        path: `reference` (plain torch) or `library` (snnTorch).

    Returns:
        Spikes (batch, time, neurons) of 0 and 1, potentials (batch, time, neurons), and the last potential
        (batch, neurons) to hand to the next call.

    Raises:
        ValueError: If a shape, `reset`, `surrogate`, `slope` or `path` is wrong.
        ImportError: If `path` is `library` and snnTorch is missing.

    Source:
        Eshraghian et al. (2023), Training Spiking Neural Networks, Proc. IEEE, equations 4 to 6.
    """
    batch, _, neurons = require_shape("current", current, batch=None, time=None, neurons=None)
    require_shape("potential", potential, batch=batch, neurons=neurons)
    run = pick(_PATHS, path, "path")
    pick(_RESETS, reset, "reset")
    decay = torch.as_tensor(beta, dtype=current.dtype, device=current.device)
    level = torch.as_tensor(threshold, dtype=current.dtype, device=current.device)
    return run(current, potential, _Neuron(decay, level, reset, surrogate, slope))


def _soft(u: Tensor, x: Tensor, spiked: Tensor, neuron: _Neuron) -> Tensor:
    """One step with the threshold subtracted after a spike."""
    return neuron.beta * u + x - spiked * neuron.threshold


def _hard(u: Tensor, x: Tensor, spiked: Tensor, neuron: _Neuron) -> Tensor:
    """One step that starts from zero after a spike."""
    return neuron.beta * ((1.0 - spiked) * u) + x


_RESETS: dict[str, Callable[[Tensor, Tensor, Tensor, _Neuron], Tensor]] = {"subtract": _soft, "zero": _hard}


def _reference(current: Tensor, potential: Tensor, neuron: _Neuron) -> tuple[Tensor, Tensor, Tensor]:
    """Step by step in torch; the resets carry no gradient, so all spikes are fired at once at the end."""
    step, u, trajectory = _RESETS[neuron.reset], potential, []
    for x in current.unbind(1):
        spiked = (u > neuron.threshold).to(u.dtype)
        u = step(u, x, spiked, neuron)
        trajectory.append(u)
    potentials = torch.stack(trajectory, 1)
    spikes = spike(potentials - neuron.threshold, surrogate=neuron.surrogate, slope=neuron.slope)
    return spikes, potentials, u


def _snntorch_surrogate(neuron: _Neuron) -> Callable[[Tensor], Tensor]:
    """The snnTorch function of the same name and slope."""
    surrogate = import_library("snntorch.surrogate", install="'snntorch>=1.0'")
    makers = {
        "fast_sigmoid": lambda: surrogate.fast_sigmoid(slope=neuron.slope),
        "atan": lambda: surrogate.atan(alpha=neuron.slope),
        "straight_through": surrogate.straight_through_estimator,
    }
    return pick(makers, neuron.surrogate, "surrogate")()


def _library(current: Tensor, potential: Tensor, neuron: _Neuron) -> tuple[Tensor, Tensor, Tensor]:
    """The same through `snntorch.Leaky`, whose spikes are always float32."""
    snntorch = import_library("snntorch", install="'snntorch>=1.0'")
    gradient = _snntorch_surrogate(neuron)
    leaky = snntorch.Leaky(neuron.beta, threshold=neuron.threshold, spike_grad=gradient, reset_mechanism=neuron.reset)
    leaky.instances.remove(leaky)  # snnTorch keeps every neuron ever made in a list, with its graph
    u, spikes, trajectory = potential, [], []
    for x in current.unbind(1):
        fired, u = leaky(x, u)
        spikes.append(fired.to(u.dtype))
        trajectory.append(u)
    return torch.stack(spikes, 1), torch.stack(trajectory, 1), u


_PATHS: dict[str, Callable[[Tensor, Tensor, _Neuron], tuple[Tensor, Tensor, Tensor]]] = {
    "reference": _reference,
    "library": _library,
}
