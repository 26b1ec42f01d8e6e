"""Liquid time-constant (LTC) recurrence: neurons with a leak and graded synapses, solved step by step.

Symbols: `v` potential of a neuron, `c` capacitance, `g` leak conductance, `v_rest` its resting potential; of a synapse
from `i` to `j`, `w` largest conductance, `mu` midpoint and `sigma` steepness of its opening, `erev` reversal potential;
`e` elapsed time, `n` steps of the solver (unfolds), `N` and `D` sums over synapses from neurons and from inputs.

    s = sigmoid(sigma (v_i - mu))      N_j = sum_i w erev s      D_j = sum_i w s
    c dv/dt = g (v_rest - v) + N - D v
    v <- (c v + dt (g v_rest + N)) / (c + dt (g + D)),    dt = e / n,    n times a step

The sums are taken at the potentials before a solver's step, all else after it (semi-implicit), which is stable for any
`dt` and of first order. The time constant `c / (g + D)` depends on the inputs; a factor on it is the same as one on
`c`, or as its inverse on `e`, and that is how it enters: a time constant doubled is an elapsed time halved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda, require_mask
from neurofmx.kernels.course import elapsed_of, without_padding
from neurofmx.kernels.cuda import cuda_path
from neurofmx.kernels.path import Path, import_library, resolve
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick


class Synapses(NamedTuple):
    """Synapses from all sources to all neurons, each (sources, units).

    Args:
        weight: `w`, 0 or more.
        midpoint: `mu`.
        steepness: `sigma`.
        reversal: `erev`.
        wired: Which synapses there are (bool), or `None` for all. Those that are not have no effect and no gradient.
    """

    weight: Tensor
    midpoint: Tensor
    steepness: Tensor
    reversal: Tensor
    wired: Tensor | None = None


class LTCWeights(NamedTuple):
    """The weights of an LTC cell.

    Args:
        capacitance: `c` (units,), above 0.
        leak: `g` (units,), 0 or more.
        rest: `v_rest` (units,).
        recurrent: Synapses between the neurons (units, units).
        sensory: Synapses from the inputs (inputs, units).
    """

    capacitance: Tensor
    leak: Tensor
    rest: Tensor
    recurrent: Synapses
    sensory: Synapses


class _Run(NamedTuple):
    """One call with everything checked."""

    x: Tensor
    state: Tensor
    weights: LTCWeights
    elapsed: Tensor  # (batch or 1, time or 1, units)
    unfolds: int
    mask: Tensor | None


@full_precision
def ltc(
    x: Tensor,
    state: Tensor,
    weights: LTCWeights,
    *,
    elapsed: float | Tensor = 1.0,
    unfolds: int = 6,
    mask: Tensor | None = None,
    path: Path = "auto",
) -> tuple[Tensor, Tensor]:
    """Runs a liquid time-constant cell over a sequence.

    Args:
        x: Inputs (batch, time, inputs).
        state: Potentials before the first step (batch, units).
        weights: The cell's weights.
        elapsed: Time that passes at a step, 0 or more: one number, or a tensor that broadcasts to (batch, time,
            units). A time constant doubled is an elapsed time halved.
        unfolds: Steps of the solver in a step, 1 or more.
        mask: False where a step is padding (batch, time): there the potentials wait, and the output is 0.
        path: `auto`, `numba` (compiled, CPU), `reference` (plain torch), `library` (ncps) or `cuda` (on a GPU, where
            plain torch computes it too).

    Returns:
        Potentials (batch, time, units), and the last ones (batch, units) to hand to the next call.

    Raises:
        ValueError: If a shape, a device, `unfolds` or `path` is wrong.
        ImportError: If the package behind `path` is missing.

    Source:
        Hasani et al. (2021), Liquid Time-constant Networks, AAAI 35, equation 1 and algorithm 1; synapses and solver
        as in Lechner et al. (2020), Neural circuit policies, Nature Machine Intelligence 2, equations 1 to 5.
    """
    batch, time, inputs = require_shape("x", x, batch=None, time=None, inputs=None)
    _, units = require_shape("state", state, batch=batch, units=None)
    _require_weights(weights, inputs, units)
    require_mask(mask, batch, time)
    if unfolds < 1:
        raise ValueError(f"unfolds must be 1 or more, got {unfolds}; the usual value is 6")
    span = elapsed_of(elapsed, x, units)
    run = pick(_PATHS, resolve(path, x.device), "path")
    return run(_Run(x, state.to(x.dtype), weights, span, unfolds, mask))


def _require_weights(weights: LTCWeights, inputs: int, units: int) -> None:
    """Checks the shapes of the weights."""
    for name in ("capacitance", "leak", "rest"):
        require_shape(name, getattr(weights, name), units=units)
    for kind, sources in (("recurrent", units), ("sensory", inputs)):
        for name, tensor in getattr(weights, kind)._asdict().items():
            if tensor is not None:
                require_shape(f"{kind}.{name}", tensor, sources=sources, units=units)


def _currents(sources: Tensor, synapses: Synapses) -> tuple[Tensor, Tensor]:
    """`N` and `D` of every neuron, given the sources (batch, sources)."""
    weight, midpoint, steepness, reversal, wired = synapses
    opening = weight * torch.sigmoid(steepness * (sources.unsqueeze(2) - midpoint))
    if wired is not None:
        opening = opening.masked_fill(~wired, 0)
    return (reversal * opening).sum(1), opening.sum(1)


def _reference(run: _Run) -> tuple[Tensor, Tensor]:
    """Step by step in torch, with the synapses from the inputs taken out of the solver's loop."""
    weights, mask, v, states = run.weights, run.mask, run.state, []
    spans = without_padding(run.elapsed.expand(*run.x.shape[:2], -1), mask) / run.unfolds
    for t, (x, dt) in enumerate(zip(without_padding(run.x, mask).unbind(1), spans.unbind(1), strict=True)):
        sensory, after = _currents(x, weights.sensory), v
        for _ in range(run.unfolds):
            N, D = (a + b for a, b in zip(sensory, _currents(after, weights.recurrent), strict=True))
            enters = weights.capacitance * after + dt * (weights.leak * weights.rest + N)
            after = enters / (weights.capacitance + dt * (weights.leak + D))
        v = after if mask is None else torch.where(mask[:, t, None], after, v)
        states.append(v)
    return without_padding(torch.stack(states, 1), mask), v


def _numba(run: _Run) -> tuple[Tensor, Tensor]:
    """Compiled loops, forward and backward."""
    require_cpu("x", run.x)
    try:
        from neurofmx.kernels.cpu.direct import call
        from neurofmx.kernels.cpu.ltc_op import ltc_op
    except ImportError as error:
        raise no_numba(error) from error

    capacitance, leak, rest, recurrent, sensory = run.weights
    neurons = torch.stack([capacitance, leak, rest])
    kinds = torch.stack(recurrent[:4]), torch.stack(sensory[:4])
    for name, tensor in (("neurons", neurons), ("recurrent", kinds[0]), ("sensory", kinds[1])):
        if tensor.dtype != run.x.dtype:
            raise ValueError(f"{name} weights must be {run.x.dtype} like x, got {tensor.dtype}: convert one of them")
    given = neurons, *kinds, run.elapsed / run.unfolds, run.mask, recurrent.wired, sensory.wired
    states, last = call(ltc_op, run.x, run.state, *given, run.unfolds)
    return without_padding(states, run.mask), last


def _ncps_cell(run: _Run) -> torch.nn.Module:
    """`ncps.torch.LTCCell` with our weights, in the form that is positive without a softplus."""
    ncps = import_library("ncps", install="'ncps>=1.0.1'")
    cells = import_library("ncps.torch", install="'ncps>=1.0.1'")
    weights, units = run.weights, run.state.shape[1]
    wiring = ncps.wirings.Wiring(units)
    wiring.set_output_dim(units)
    with torch.random.fork_rng(devices=[]):  # it draws weights that are then replaced
        cell = cells.LTCCell(wiring, run.x.shape[2], None, None, ode_unfolds=run.unfolds, epsilon=0.0)
    cell._params = {"cm": weights.capacitance, "gleak": weights.leak, "vleak": weights.rest}
    for prefix, synapses in (("", weights.recurrent), ("sensory_", weights.sensory)):
        weight, midpoint, steepness, reversal, wired = synapses
        there = torch.ones_like(weight) if wired is None else wired.to(weight.dtype)
        names = ("w", "mu", "sigma", "erev", "sparsity_mask")
        values = (weight, midpoint, steepness, reversal, there)
        cell._params |= {prefix + name: value for name, value in zip(names, values, strict=True)}
    return cell


def _library(run: _Run) -> tuple[Tensor, Tensor]:
    """The same through `ncps.torch.LTCCell`, which takes no elapsed time of 0."""
    if run.mask is not None:
        raise ValueError("path='library' knows no mask: choose path='auto', 'numba' or 'reference'")
    cell, v, states = _ncps_cell(run), run.state, []
    spans = run.elapsed.expand(*run.x.shape[:2], -1)
    for x, span in zip(run.x.unbind(1), spans.unbind(1), strict=True):
        _, v = cell(x, v, span)
        states.append(v)
    return torch.stack(states, 1), v


def _cuda(run: _Run) -> tuple[Tensor, Tensor]:
    """On a GPU, where the loop is that of the reference; asked all the same, so that reports name it."""
    require_cuda("x", run.x)
    cuda_path("ltc", run.x.device, run.x.dtype)
    return _reference(run)


_PATHS: dict[str, Callable[[_Run], tuple[Tensor, Tensor]]] = {
    "reference": _reference,
    "numba": _numba,
    "library": _library,
    "cuda": _cuda,
}
