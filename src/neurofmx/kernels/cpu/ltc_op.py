"""The compiled LTC recurrence as operators that torch can differentiate and trace.

Shapes: `x` (batch, time, inputs), `state` and `last` (batch, units), `states` (batch, time, units), `neurons`
(capacitance, leak and rest below each other) (3, units), `recurrent` (weight, midpoint, steepness and reversal
potential) (4, units, units), `sensory` (4, inputs, units), `span` the time of a step of the solver (batch or 1, time or
1, units), `mask` (batch, time), `wired` and `sensed` which synapses there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu import ltc as forwards
from neurofmx.kernels.cpu import ltc_backward as backwards
from neurofmx.kernels.cpu.course import Course, course_of
from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.ltc import Cell
from neurofmx.kernels.cpu.ltc_backward import Gradients, Past, Seen
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.tiles import arriving, numbers_of
from neurofmx.kernels.cpu.synapse_layout import aligned, gather, synapses_of
from neurofmx.kernels.cpu.synapses import Synapses

_BLOCK = 8  # most samples that share a pass over the synapses
_SEEN = 192  # rows of a stretch over the whole batch and the steps of the solver


@operator("neurofmx::ltc")
def ltc_op(
    x: Tensor,
    state: Tensor,
    neurons: Tensor,
    recurrent: Tensor,
    sensory: Tensor,
    span: Tensor,
    mask: Tensor | None,
    wired: Tensor | None,
    sensed: Tensor | None,
    unfolds: int,
) -> tuple[Tensor, Tensor]:
    """States, and the last of them."""
    found = states, last = _outputs(x, state)
    last.copy_(state)
    bounds, cell, course = (
        _blocks(len(x)),
        _cell(neurons, recurrent, sensory, wired, sensed),
        course_of(span, mask, len(x)),
    )
    given = bounds, unfolds, numbers_of(x), course, cell
    in_parallel(forwards.forward, len(bounds) - 1, *given, last.numpy(), states.numpy())
    return found


@ltc_op.register_fake
def _(x, state, neurons, recurrent, sensory, span, mask, wired, sensed, unfolds):
    """Shapes and types of `ltc_op`."""
    return _outputs(x, state)


@torch.library.custom_op("neurofmx::ltc_backward", mutates_args=())
def ltc_backward_op(
    dstates: Tensor | None,
    dlast: Tensor | None,
    states: Tensor,
    x: Tensor,
    state: Tensor,
    neurons: Tensor,
    recurrent: Tensor,
    sensory: Tensor,
    span: Tensor,
    mask: Tensor | None,
    wired: Tensor | None,
    sensed: Tensor | None,
    unfolds: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, state, neurons, recurrent, sensory and span; those that arrive may be missing."""
    batch, units = state.shape
    cell = _cell(neurons, recurrent, sensory, wired, sensed)
    dstate = torch.zeros_like(state) if dlast is None else dlast.clone()
    dstate, dx = dstate.contiguous(), torch.empty_like(x).contiguous()
    dspan, dneurons = x.new_zeros(batch, span.shape[1], units), x.new_zeros(batch, 3, len(cell.leak))
    to = Gradients(arriving(dstates, states), dstate.numpy(), dx.numpy(), dspan.numpy(), dneurons.flatten(1).numpy())
    found = [np.zeros_like(kind.numbers) for kind in (cell.recurrent, cell.sensory)]
    if batch:
        _go_back(Past(*map(numbers_of, (x, state, states))), course_of(span, mask, batch), cell, unfolds, to, found)
    drecurrent, dsensory = map(_gathered, (recurrent, sensory), (wired, sensed), found)
    dspan = dspan.sum(0, keepdim=True) if len(span) == 1 else dspan
    return dx, dstate, dneurons[..., :units].sum(0), drecurrent, dsensory, dspan


@ltc_backward_op.register_fake
def _(dstates, dlast, states, x, state, neurons, recurrent, sensory, span, mask, wired, sensed, unfolds):
    """Shapes and types of `ltc_backward_op`."""
    return tuple(tensor.new_empty(tensor.shape) for tensor in (x, state, neurons, recurrent, sensory, span))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps what the backward needs."""
    *tensors, ctx.unfolds = inputs
    ctx.save_for_backward(output[0], *tensors)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dstates: Tensor | None, dlast: Tensor | None) -> tuple[Tensor | None, ...]:
    """Hands the gradients to autograd."""
    return *ltc_backward_op(dstates, dlast, *ctx.saved_tensors, ctx.unfolds), None, None, None, None


ltc_op.register_autograd(_backward, setup_context=_setup)


def _go_back(past: Past, course: Course, cell: Cell, unfolds: int, to: Gradients, found: list[np.ndarray]) -> None:
    """Takes stretch after stretch back through time, the last one first."""
    batch, time, _ = past.x.shape
    longest, bounds = max(1, _SEEN // (batch * unfolds)), _blocks(batch)
    groups = len(cell.recurrent.ranges)
    for end in range(time, 0, -longest):
        begin = max(0, end - longest)
        steps = end - begin
        seen = (_seen(cell, cell.recurrent, batch * steps * unfolds), _seen(cell, cell.sensory, batch * steps))
        given = bounds, begin, steps, unfolds, past, course, cell
        in_parallel(backwards.backward, len(bounds) - 1, *given, *seen, to)
        in_parallel(backwards.synapses, groups, cell, *seen, *found)


def _seen(cell: Cell, kind: Synapses, rows: int) -> Seen:
    """Room for what synapses saw in some rows, and a row of zeros if their number is odd."""
    rows += rows % 2
    groups, lanes = len(kind.ranges), BYTES // cell.leak.itemsize
    currents = (aligned((groups, rows, lanes), cell.leak.dtype) for _ in range(2))
    return Seen(np.zeros((len(kind.reach), rows), cell.leak.dtype), *currents)


def _cell(neurons: Tensor, recurrent: Tensor, sensory: Tensor, wired: Tensor | None, sensed: Tensor | None) -> Cell:
    """Neurons and synapses as the loops take them."""
    units, inputs = neurons.shape[1], sensory.shape[1]
    lanes = BYTES // neurons.element_size()
    wide = -(-units // lanes) * lanes
    filled = aligned((3, wide), numbers_of(neurons).dtype)
    filled[0], filled[:, :units] = 1, numbers_of(neurons)
    capacitance, leak, rest = filled
    between = _synapses(recurrent, wired, wide)
    return Cell(capacitance, leak, rest, between, _synapses(sensory, sensed, inputs + inputs % 2))


def _synapses(parameters: Tensor, wired: Tensor | None, rows: int) -> Synapses:
    """Synapses as the loops take them, with sources in rows of so many numbers."""
    w, mu, sigma, erev = numbers_of(parameters)
    return synapses_of(w, mu, sigma, erev, _wiring(wired), rows)


def _gathered(parameters: Tensor, wired: Tensor | None, found: np.ndarray) -> Tensor:
    """The gradient of synapses in the shape of their parameters."""
    (w, mu, sigma, erev), gradient = numbers_of(parameters), torch.empty_like(parameters).contiguous()
    dw, dmu, dsigma, derev = gradient.numpy()
    gather(w, mu, sigma, erev, _wiring(wired), found, dw, dmu, dsigma, derev)
    return gradient


def _outputs(x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Room for states and the last of them."""
    batch, time, _ = x.shape
    return x.new_empty(batch, time, state.shape[1]), state.new_empty(state.shape)


def _blocks(batch: int) -> np.ndarray:
    """First rows of blocks of samples, and the number of samples; a block for every thread, if there are enough."""
    rows = min(_BLOCK, max(1, -(-batch // torch.get_num_threads())))
    return np.minimum(np.arange(0, batch + rows, rows), batch)


def _wiring(wired: Tensor | None) -> np.ndarray:
    """Which synapses there are, or an empty array for all."""
    return np.empty((0, 0), np.bool_) if wired is None else numbers_of(wired)
