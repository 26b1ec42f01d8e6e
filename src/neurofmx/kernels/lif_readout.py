"""Spiking neurons of which only a readout per token is kept.

A token's current drives the neurons for some steps. Who wants a weighted sum of a token's spikes, or the potential at
its end, need not write down the spikes and potentials in between: they take as many times the memory of the tokens as
there are steps.

Symbols: `s[l, i]` spike at step `i` of token `l`, `w` weight of a step, `d` share that is carried on, `c` trace.

    c[l] = d c[l-1] + sum_i w[i] s[l, i]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda, require_mask
from neurofmx.kernels.cuda import cuda_path
from neurofmx.kernels.lif import lif
from neurofmx.kernels.lif_neuron import Neuron, NeuronState, Reset, neuron_of, neuron_path
from neurofmx.kernels.path import Path
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.kernels.surrogate import Surrogate
from neurofmx.tables import pick


class Readout(NamedTuple):
    """What is kept of spiking neurons over a sequence of tokens.

    Args:
        traces: Weighted sums of spikes at the tokens' ends (batch, length, neurons).
        ends: Membrane potentials at the tokens' ends (batch, length, neurons).
        potential: The last potential (batch, neurons), to hand to the next call; all the state of adaptive neurons.
        trace: The last trace (batch, neurons), to hand to the next call.
        counts: Number of spikes of every neuron (batch, neurons), without gradient.
    """

    traces: Tensor
    ends: Tensor
    potential: NeuronState
    trace: Tensor
    counts: Tensor


class _Run(NamedTuple):
    """One call with everything checked."""

    current: Tensor
    potential: Tensor
    trace: Tensor
    neuron: Neuron
    weights: Sequence[float]
    carry: float
    mask: Tensor | None


@full_precision
def lif_readout(
    current: Tensor,
    potential: Tensor,
    trace: Tensor,
    *,
    beta: float | Tensor,
    threshold: float | Tensor,
    weights: list[float],
    carry: float,
    reset: Reset = "subtract",
    surrogate: Surrogate = "fast_sigmoid",
    slope: float = 25.0,
    mask: Tensor | None = None,
    path: Path = "auto",
) -> Readout:
    """Drives neurons as `lif` does, each current for some steps, and reads their spikes once per current.

    Args:
        current: Input currents (batch, length, neurons), one per token, in units of the threshold.
        potential: Membrane potentials before the first step (batch, neurons); zeros for neurons at rest.
        trace: Trace before the first step (batch, neurons); zeros for silence before.
        beta: Decay of the potential per step, from 0 to 1; one number or one per neuron (neurons,).
        threshold: Potential above which a neuron fires, above 0; one number or one per neuron (neurons,).
        weights: Weight of the spikes at every step of a token; there are as many steps as weights.
        carry: Share of a token's trace that the next token takes over.
        reset: After a spike, `subtract` the threshold (soft) or set to `zero` (hard).
        surrogate: Derivative of the spikes used in training, a key of `SURROGATES`; compiled are those of `QUADRATICS`.
        slope: Sharpness of the surrogate, above 0.
        mask: False where a token is padding (batch, length): there potential and trace wait, and outputs are 0.
        path: As for `lif`; `library` and the plain torch do write down the spikes.

    Returns:
        The traces and potentials at the tokens' ends, the states behind the last one, and the number of spikes.

    Raises:
        ValueError: If a shape, a device or another argument is wrong.
        ImportError: If the package behind `path` is missing.

    Source:
        The neurons: Eshraghian et al. (2023), Training Spiking Neural Networks, Proc. IEEE, equations 4 to 6.
    """
    batch, length, neurons = require_shape("current", current, batch=None, length=None, neurons=None)
    require_shape("potential", potential, batch=batch, neurons=neurons)
    require_shape("trace", trace, batch=batch, neurons=neurons)
    require_mask(mask, batch, length)
    if not weights:
        raise ValueError("weights must name the weight of one step or more, got none")
    neuron = neuron_of(current, beta, threshold, reset, surrogate, slope)
    run = pick(_PATHS, neuron_path(path, current.device, surrogate), "path")
    states = potential.to(current.dtype), trace.to(current.dtype)
    return run(_Run(current, *states, neuron, weights, carry, mask))


def weighted(
    spikes: Tensor, trace: Tensor, weights: Sequence[float], carry: float, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Traces of spikes that were written down.

    Args:
        spikes: Spikes (batch, length, steps, neurons).
        trace: Trace before them (batch, neurons).
        weights: Of the steps of a token (steps,).
        carry: Share of a token's trace that the next token takes over.
        mask: False where a token is padding (batch, length), or `None`.

    Returns:
        Traces at the tokens' ends (batch, length, neurons), and the last one (batch, neurons).
    """
    counted = (spike * weight for spike, weight in zip(spikes.unbind(2), weights, strict=True))
    traces, fresh = [], reduce(torch.add, counted)  # step by step, as a product would round by the length
    for token, arrived in enumerate(fresh.unbind(1)):
        after = torch.add(arrived, trace, alpha=carry)
        trace = after if mask is None else torch.where(mask[:, token, None], after, trace)
        traces.append(trace)
    stacked = torch.stack(traces, 1)
    return stacked if mask is None else torch.where(mask[..., None], stacked, torch.zeros_like(stacked)), trace


def _written(path: Path) -> Callable[[_Run], Readout]:
    """A path of `lif` whose spikes are written down and read."""

    def run(call: _Run) -> Readout:
        steps, neuron = len(call.weights), call.neuron
        spikes, potentials, potential = lif(
            call.current,
            call.potential,
            beta=neuron.beta,
            threshold=neuron.threshold,
            hold=steps,
            reset=neuron.reset,
            surrogate=neuron.surrogate,
            slope=neuron.slope,
            mask=call.mask,
            path=path,
        )
        spikes, potentials = spikes.unflatten(1, (-1, steps)), potentials.unflatten(1, (-1, steps))
        traces, trace = weighted(spikes, call.trace, call.weights, call.carry, call.mask)
        return Readout(traces, potentials[:, :, -1], potential, trace, spikes.detach().sum((1, 2)))

    return run


def _numba(call: _Run) -> Readout:
    """Compiled loops, forward and backward."""
    require_cpu("current", call.current)
    try:
        from neurofmx.kernels.cpu.direct import call as direct
        from neurofmx.kernels.cpu.lif_readout_op import lif_readout_op
    except ImportError as error:
        raise no_numba(error) from error

    beta, threshold = call.neuron.per_neuron(call.current.shape[2])
    settings = call.mask, [call.carry, *call.weights], call.neuron.knobs()
    given = call.current, call.potential, call.trace, beta, threshold, *settings
    return Readout(*direct(lif_readout_op, *given))


def _cuda(call: _Run) -> Readout:
    """Our kernels for a GPU, where they run, see `neurofmx.kernels.cuda`."""
    require_cuda("current", call.current)
    if cuda_path("lif_readout", call.current.device, call.current.dtype) == "reference":
        return _written("reference")(call)
    from neurofmx.kernels.gpu.lif_readout_op import run as compute

    beta, threshold = call.neuron.per_neuron(call.current.shape[2])
    reading, states = [call.carry, *call.weights], (call.potential, call.trace)
    return Readout(*compute(call.current, *states, beta, threshold, call.mask, reading, call.neuron.knobs()))


_PATHS: dict[str, Callable[[_Run], Readout]] = {
    "reference": _written("reference"),
    "numba": _numba,
    "library": _written("library"),
    "cuda": _cuda,
}
