"""Spiking neurons with a synaptic current and a threshold that rises with their own spikes.

Symbols: those of `neurofmx.kernels.lif`, and `i` synaptic current with its decay `alpha`, `a` adaptation with its decay
`rho`, `kappa` rise of the threshold of a neuron that fires at every step.

    i[t] = alpha i[t-1] + x[t]
    a[t] = rho a[t-1] + (1 - rho) s[t-1],    theta[t] = theta + kappa a[t]
    s[t] = H(u[t] - theta[t])
    soft reset  u[t] = beta u[t-1] + i[t] - theta[t-1] s[t-1]
    hard reset  u[t] = beta (1 - s[t-1]) u[t-1] + i[t]

With `alpha = kappa = 0` these are the plain neurons. The spike that resets and adapts is read from the state that is
carried along, so potential, current and adaptation are the whole state. As in the plain neurons no gradient passes
through the reset; it does pass through the adaptation, which is how such neurons learn over long times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda, require_mask
from neurofmx.kernels.lif import snntorch_surrogate
from neurofmx.kernels.lif_neuron import AlifState, Neuron, Reset, neuron_of, neuron_path, per_neuron
from neurofmx.kernels.path import Path, import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.kernels.surrogate import Surrogate, spike
from neurofmx.tables import pick


class _Run(NamedTuple):
    """One call with everything checked."""

    current: Tensor
    state: AlifState
    neuron: Neuron
    alpha: Tensor
    rho: Tensor
    kappa: Tensor
    hold: int
    mask: Tensor | None


@full_precision
def alif(
    current: Tensor,
    state: AlifState,
    *,
    beta: float | Tensor,
    threshold: float | Tensor,
    alpha: float | Tensor = 0.0,
    rho: float | Tensor = 0.0,
    kappa: float | Tensor = 0.0,
    hold: int = 1,
    reset: Reset = "subtract",
    surrogate: Surrogate = "fast_sigmoid",
    slope: float = 25.0,
    mask: Tensor | None = None,
    path: Path = "auto",
) -> tuple[Tensor, Tensor, AlifState]:
    """Drives a layer of adaptive leaky integrate-and-fire neurons with currents.

    Args:
        current: Input currents (batch, time, neurons), in units of the threshold.
        state: State before the first step; zeros for neurons at rest.
        beta: Decay of the potential per step, from 0 to 1; one number or one per neuron (neurons,), as all that follow.
        threshold: Potential above which a neuron that has been silent fires, above 0.
        alpha: Decay of the synaptic current per step, from 0 (none is kept) to 1.
        rho: Decay of the adaptation per step, from 0 to 1.
        kappa: Rise of the threshold of a neuron that fires at every step, 0 (none) or more.
        hold: Steps for which each current is held, 1 or more.
        reset: After a spike, `subtract` the threshold (soft) or set to `zero` (hard).
        surrogate: Derivative of the spikes used in training, a key of `SURROGATES`; compiled are those of `QUADRATICS`.
        slope: Sharpness of the surrogate, above 0.
        mask: False where a current is padding (batch, time): there the state waits, and outputs are 0.
        path: As for `lif`. `library` is `snntorch.Synaptic`: no adaptation, no mask, the soft reset. On a GPU the plain
            torch runs.

    Returns:
        Spikes (batch, time * hold, neurons) of 0 and 1, potentials (batch, time * hold, neurons), and the last state.

    Raises:
        ValueError: If a shape, a device or another argument is wrong.
        ImportError: If the package behind `path` is missing.

    Source:
        Bellec et al. (2018), Long short-term memory and learning-to-learn in networks of spiking neurons, NeurIPS,
        equations 1 and 2 (adaptation); Eshraghian et al. (2023), Training Spiking Neural Networks, Proc. IEEE, appendix
        (synaptic current).
    """
    batch, time, neurons = require_shape("current", current, batch=None, time=None, neurons=None)
    for name, values in zip(AlifState._fields, state, strict=True):
        require_shape(f"state.{name}", values, batch=batch, neurons=neurons)
    require_mask(mask, batch, time)
    if hold < 1:
        raise ValueError(f"hold must be 1 step or more, got {hold}")
    neuron = neuron_of(current, beta, threshold, reset, surrogate, slope)
    slow = (per_neuron(name, value, current) for name, value in (("alpha", alpha), ("rho", rho), ("kappa", kappa)))
    run = pick(_PATHS, neuron_path(path, current.device, surrogate), "path")
    before = AlifState(*(values.to(current.dtype) for values in state))
    return run(_Run(current, before, neuron, *slow, hold=hold, mask=mask))


def _reference(run: _Run) -> tuple[Tensor, Tensor, AlifState]:
    """Step by step in torch."""
    neuron, (u, i, a), spikes, potentials = run.neuron, run.state, [], []
    kept = None if run.mask is None else run.mask.repeat_interleave(run.hold, 1).unsqueeze(2)
    theta = neuron.threshold + run.kappa * a
    s = spike(u - theta, surrogate=neuron.surrogate, slope=neuron.slope)
    for t, x in enumerate(run.current.repeat_interleave(run.hold, 1).unbind(1)):
        before = u, i, a, theta, s
        spiked = s.detach()
        i = run.alpha * i + x
        u = neuron.beta * u + i - spiked * theta if neuron.reset == "subtract" else neuron.beta * ((1 - spiked) * u) + i
        a = run.rho * a + (1.0 - run.rho) * s
        theta = neuron.threshold + run.kappa * a
        s = spike(u - theta, surrogate=neuron.surrogate, slope=neuron.slope)
        potentials.append(u)
        spikes.append(s)
        if kept is not None:
            now = u, i, a, theta, s
            u, i, a, theta, s = (torch.where(kept[:, t], *pair) for pair in zip(now, before, strict=True))
    outputs = [torch.stack(spikes, 1), torch.stack(potentials, 1)]
    if kept is not None:
        outputs = [torch.where(kept, out, torch.zeros_like(out)) for out in outputs]
    return outputs[0], outputs[1], AlifState(u, i, a)


def _library(run: _Run) -> tuple[Tensor, Tensor, AlifState]:
    """The same through `snntorch.Synaptic`, whose spikes are always float32."""
    if run.mask is not None or run.kappa.any() or run.neuron.reset != "subtract":
        raise ValueError(
            "path='library' has neither mask, adaptation nor such a hard reset: choose path='auto' or 'reference'"
        )
    snntorch = import_library("snntorch", install="'snntorch>=1.0'")
    neuron, gradient = run.neuron, snntorch_surrogate(run.neuron)
    synaptic = snntorch.Synaptic(run.alpha, neuron.beta, threshold=neuron.threshold, spike_grad=gradient)
    synaptic.instances.remove(synaptic)  # snnTorch keeps every neuron ever made in a list, with its graph
    (u, i, a), spikes, potentials, spiked = run.state, [], [], run.state.potential > neuron.threshold
    for x in run.current.repeat_interleave(run.hold, 1).unbind(1):
        a = run.rho * a + (1.0 - run.rho) * spiked
        spiked, i, u = synaptic(x, i, u)
        spikes.append(spiked.to(u.dtype))
        potentials.append(u)
    return torch.stack(spikes, 1), torch.stack(potentials, 1), AlifState(u, i, a)


def _cuda(run: _Run) -> tuple[Tensor, Tensor, AlifState]:
    """Plain torch: there is no kernel for a GPU."""
    require_cuda("current", run.current)
    return _reference(run)


def _numba(run: _Run) -> tuple[Tensor, Tensor, AlifState]:
    """Compiled loops, forward and backward."""
    require_cpu("current", run.current)
    try:
        from neurofmx.kernels.cpu.alif_op import alif_op
    except ImportError as error:
        raise no_numba(error) from error

    neurons, knobs = run.current.shape[2], run.neuron.knobs()
    numbers = *run.neuron.per_neuron(neurons), *(values.expand(neurons) for values in (run.alpha, run.rho, run.kappa))
    outputs = alif_op(run.current, *run.state, *numbers, run.mask, run.hold, knobs)
    return outputs[0], outputs[1], AlifState(*outputs[4:])


_PATHS: dict[str, Callable[[_Run], tuple[Tensor, Tensor, AlifState]]] = {
    "reference": _reference,
    "numba": _numba,
    "library": _library,
    "cuda": _cuda,
}
