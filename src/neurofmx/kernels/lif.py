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
from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda, require_mask
from neurofmx.kernels.cuda import cuda_path
from neurofmx.kernels.lif_neuron import Neuron, Reset, neuron_of, neuron_path
from neurofmx.kernels.path import Path, import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.kernels.surrogate import Surrogate, spike
from neurofmx.tables import pick


class _Run(NamedTuple):
    """One call with everything checked."""

    current: Tensor
    potential: Tensor
    neuron: Neuron
    hold: int
    mask: Tensor | None


@full_precision
def lif(
    current: Tensor,
    potential: Tensor,
    *,
    beta: float | Tensor,
    threshold: float | Tensor,
    hold: int = 1,
    reset: Reset = "subtract",
    surrogate: Surrogate = "fast_sigmoid",
    slope: float = 25.0,
    mask: Tensor | None = None,
    path: Path = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """Drives a layer of leaky integrate-and-fire neurons with currents.

    Args:
        current: Input currents (batch, time, neurons), in units of the threshold.
        potential: Membrane potentials before the first step (batch, neurons); zeros for neurons at rest.
        beta: Decay of the potential per step, from 0 to 1; one number or one per neuron (neurons,).
        threshold: Potential above which a neuron fires, above 0; one number or one per neuron (neurons,).
        hold: Steps for which each current is held, 1 or more.
        reset: After a spike, `subtract` the threshold (soft) or set to `zero` (hard).
        surrogate: Derivative of the spikes used in training, a key of `SURROGATES`; compiled are those of `QUADRATICS`.
        slope: Sharpness of the surrogate, above 0.
        mask: False where a current is padding (batch, time): there the potential waits, and outputs are 0.
        path: `auto`, `numba` (compiled, CPU), `reference` (plain torch), `library` (snnTorch) or `cuda` (our Triton
            kernels, and plain torch on a GPU that cannot run them, see `neurofmx.kernels.cuda`).

    Returns:
        Spikes (batch, time * hold, neurons) of 0 and 1, potentials (batch, time * hold, neurons), and the last
        potential (batch, neurons) to hand to the next call.

    Raises:
        ValueError: If a shape, a device or another argument is wrong.
        ImportError: If the package behind `path` is missing.

    Source:
        Eshraghian et al. (2023), Training Spiking Neural Networks, Proc. IEEE, equations 4 to 6.
    """
    batch, time, neurons = require_shape("current", current, batch=None, time=None, neurons=None)
    require_shape("potential", potential, batch=batch, neurons=neurons)
    require_mask(mask, batch, time)
    if hold < 1:
        raise ValueError(f"hold must be 1 step or more, got {hold}")
    neuron = neuron_of(current, beta, threshold, reset, surrogate, slope)
    run = pick(_PATHS, neuron_path(path, current.device, surrogate), "path")
    return run(_Run(current, potential.to(current.dtype), neuron, hold, mask))


def _soft(u: Tensor, x: Tensor, spiked: Tensor, neuron: Neuron) -> Tensor:
    """One step with the threshold subtracted after a spike."""
    return neuron.beta * u + x - spiked * neuron.threshold


def _hard(u: Tensor, x: Tensor, spiked: Tensor, neuron: Neuron) -> Tensor:
    """One step that starts from zero after a spike."""
    return neuron.beta * ((1.0 - spiked) * u) + x


_RESETS: dict[str, Callable[[Tensor, Tensor, Tensor, Neuron], Tensor]] = {"subtract": _soft, "zero": _hard}


def _reference(run: _Run) -> tuple[Tensor, Tensor, Tensor]:
    """Step by step in torch; the resets carry no gradient, so all spikes are fired at once at the end."""
    neuron, u, trajectory = run.neuron, run.potential, []
    step, kept = _RESETS[neuron.reset], None if run.mask is None else run.mask.repeat_interleave(run.hold, 1)
    for t, x in enumerate(run.current.repeat_interleave(run.hold, 1).unbind(1)):
        spiked = (u > neuron.threshold).to(u.dtype)
        after = step(u, x, spiked, neuron)
        u = after if kept is None else torch.where(kept[:, t, None], after, u)
        trajectory.append(u)
    potentials = torch.stack(trajectory, 1)
    spikes = spike(potentials - neuron.threshold, surrogate=neuron.surrogate, slope=neuron.slope)
    if kept is None:
        return spikes, potentials, u
    silence = torch.zeros_like(potentials)
    return torch.where(kept[..., None], spikes, silence), torch.where(kept[..., None], potentials, silence), u


def _numba(run: _Run) -> tuple[Tensor, Tensor, Tensor]:
    """Compiled loops, forward and backward."""
    require_cpu("current", run.current)
    try:
        from neurofmx.kernels.cpu.direct import call
        from neurofmx.kernels.cpu.lif_op import lif_op
    except ImportError as error:
        raise no_numba(error) from error

    beta, threshold = run.neuron.per_neuron(run.current.shape[2])
    return call(lif_op, run.current, run.potential, beta, threshold, run.mask, run.hold, run.neuron.knobs())


def snntorch_surrogate(neuron: Neuron) -> Callable[[Tensor], Tensor]:
    """The snnTorch function of the same name and slope.

    Args:
        neuron: The settings of the neurons.

    Returns:
        The function from distance to the threshold to spikes.

    Raises:
        ValueError: If snnTorch has none with this formula.
        ImportError: If snnTorch is missing.
    """
    surrogate = import_library("snntorch.surrogate", install="'snntorch>=1.0'")
    makers = {
        "fast_sigmoid": lambda: surrogate.fast_sigmoid(slope=neuron.slope),
        "atan": lambda: surrogate.atan(alpha=neuron.slope),
        "straight_through": surrogate.straight_through_estimator,
        "sigmoid": lambda: surrogate.sigmoid(slope=neuron.slope),
    }
    return pick(makers, neuron.surrogate, "surrogate of snnTorch with the same formula")()


def _library(run: _Run) -> tuple[Tensor, Tensor, Tensor]:
    """The same through `snntorch.Leaky`, whose spikes are always float32."""
    if run.mask is not None:
        raise ValueError("path='library' knows no mask: choose path='auto', 'numba' or 'reference'")
    snntorch = import_library("snntorch", install="'snntorch>=1.0'")
    neuron, gradient = run.neuron, snntorch_surrogate(run.neuron)
    leaky = snntorch.Leaky(neuron.beta, threshold=neuron.threshold, spike_grad=gradient, reset_mechanism=neuron.reset)
    leaky.instances.remove(leaky)  # snnTorch keeps every neuron ever made in a list, with its graph
    u, spikes, trajectory = run.potential, [], []
    for x in run.current.repeat_interleave(run.hold, 1).unbind(1):
        fired, u = leaky(x, u)
        spikes.append(fired.to(u.dtype))
        trajectory.append(u)
    return torch.stack(spikes, 1), torch.stack(trajectory, 1), u


def _cuda(run: _Run) -> tuple[Tensor, Tensor, Tensor]:
    """Our kernels for a GPU, where they run, see `neurofmx.kernels.cuda`."""
    require_cuda("current", run.current)
    if cuda_path("lif", run.current.device, run.current.dtype) == "reference":
        return _reference(run)
    from neurofmx.kernels.gpu.lif_op import run as compute

    beta, threshold = run.neuron.per_neuron(run.current.shape[2])
    return compute(run.current, run.potential, beta, threshold, run.mask, run.hold, run.neuron.knobs())


_PATHS: dict[str, Callable[[_Run], tuple[Tensor, Tensor, Tensor]]] = {
    "reference": _reference,
    "numba": _numba,
    "library": _library,
    "cuda": _cuda,
}
