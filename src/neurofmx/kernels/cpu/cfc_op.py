"""The compiled CfC recurrence as operators that torch can differentiate and trace.

Shapes: `x` (batch, time, inputs), `state` and `last` (batch, units), `states` (batch, time, units), `elapsed` (batch or
1, time or 1, units), `mask` (batch, time); `W, w, V, v` are the weights in the order of `CfCWeights`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu import cfc as forwards
from neurofmx.kernels.cpu import cfc_backward as backwards
from neurofmx.kernels.cpu.blend import CONSTANTS
from neurofmx.kernels.cpu.cfc import Layout
from neurofmx.kernels.cpu.cfc_backward import Gradients, Past, Stretch, WayBack
from neurofmx.kernels.cpu.course import Course, course_of
from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.matrix_block import ROWS
from neurofmx.kernels.cpu.simd.panels import padded, width_of
from neurofmx.kernels.cpu.simd.tiles import arriving, numbers_of

_FEWEST = 2  # rows of a block, as one row alone waits for the weights as long as two
_SAMPLES = 64  # that go back together, whatever the number of threads, as sums over them must not depend on it
_STRETCH, _SHORTEST = 2**17, 8  # gates of a stretch of theirs, half of the second cache, and its steps if they are more


@operator("neurofmx::cfc")
def cfc_op(
    x: Tensor,
    state: Tensor,
    W: Tensor,
    w: Tensor,
    V: Tensor,
    v: Tensor,
    elapsed: Tensor,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """States, and the last of them."""
    return go_on(x, state, _layout(_Sizes.of(x, state, W), [W, w, V, v]), elapsed, mask)


def go_on(x: Tensor, state: Tensor, layout: Layout, elapsed: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """What `cfc_op` computes, with weights that are laid out already."""
    found = states, last = _outputs(x, state)
    last.copy_(state)
    bounds = _blocks(len(x))
    course, jobs = course_of(elapsed, mask, len(x)), len(bounds) - 1
    given = bounds, CONSTANTS[layout.to_gates.dtype.type], numbers_of(x), course, layout
    in_parallel(forwards.forward, jobs, *given, last.numpy(), states.numpy())
    return found


def lay_out(weights: list[Tensor]) -> Layout:
    """Weights `W, w, V, v` as the loops take them."""
    W, _, V, _ = weights
    units = len(V) // 4
    like = W.new_empty(1, 1, W.shape[1] - units), W.new_empty(1, units)
    return _layout(_Sizes.of(*like, W), weights)


@cfc_op.register_fake
def _(x, state, W, w, V, v, elapsed, mask):
    """Shapes and types of `cfc_op`."""
    return _outputs(x, state)


@torch.library.custom_op("neurofmx::cfc_backward", mutates_args=())
def cfc_backward_op(
    dstates: Tensor | None,
    dlast: Tensor | None,
    states: Tensor,
    x: Tensor,
    state: Tensor,
    W: Tensor,
    w: Tensor,
    V: Tensor,
    v: Tensor,
    elapsed: Tensor,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, state, the weights and elapsed; those that arrive may be missing."""
    sizes = _Sizes.of(x, state, W)
    found = [torch.zeros_like(state) if dlast is None else dlast.clone(), torch.empty_like(x)]
    dstate, dx = (tensor.contiguous() for tensor in found)
    delapsed = states.new_zeros(len(x), elapsed.shape[1], sizes.units)
    to = Gradients(arriving(dstates, states), dstate.numpy(), dx.numpy(), delapsed.numpy())
    totals = _Totals.zeros(sizes, W)
    if len(x):
        past = Past(*map(numbers_of, (x, state, states)))
        _go_back(sizes, [W, w, V, v], past, course_of(elapsed, mask, len(x)), to, totals)
    return dx, dstate, *totals.weights(sizes), delapsed.sum(0, keepdim=True) if len(elapsed) == 1 else delapsed


@cfc_backward_op.register_fake
def _(dstates, dlast, states, x, state, W, w, V, v, elapsed, mask):
    """Shapes and types of `cfc_backward_op`."""
    return tuple(tensor.new_empty(tensor.shape) for tensor in (x, state, W, w, V, v, elapsed))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps what the backward needs."""
    ctx.save_for_backward(output[0], *inputs)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dstates: Tensor | None, dlast: Tensor | None) -> tuple[Tensor | None, ...]:
    """Hands the gradients to autograd."""
    return *cfc_backward_op(dstates, dlast, *ctx.saved_tensors), None


cfc_op.register_autograd(_backward, setup_context=_setup)


class _Sizes(NamedTuple):
    """Inputs, units and features, and what each takes filled up to whole panels."""

    inputs: int
    units: int
    features: int
    wide_inputs: int
    wide_units: int
    wide_features: int
    width: int

    @classmethod
    def of(cls, x: Tensor, state: Tensor, W: Tensor) -> _Sizes:
        """The sizes of a call."""
        true, itemsize = (x.shape[2], state.shape[1], W.shape[0]), x.element_size()
        inputs, units, features = (padded(size, itemsize) for size in true)
        return cls(*true, inputs, units, features, width_of(itemsize))


class _Totals(NamedTuple):
    """Gradients of the weights, filled up."""

    to_gates: np.ndarray
    gate_bias: np.ndarray
    to_features: np.ndarray
    feature_bias: np.ndarray

    @classmethod
    def zeros(cls, sizes: _Sizes, like: Tensor) -> _Totals:
        """Nothing added up yet."""
        features, gates, joined = sizes.wide_features, 4 * sizes.wide_units, sizes.wide_inputs + sizes.wide_units
        return cls(*_arrays(like.new_zeros, (gates, features), (1, gates), (features, joined), (1, features)))

    def weights(self, sizes: _Sizes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of `W, w, V, v`, without what fills them up."""
        inputs, units, features, before, wide = sizes[:5]
        V, v, W, w = self
        features_weight = np.concatenate([W[:features, :inputs], W[:features, before : before + units]], 1)
        gates_weight = V.reshape(4, wide, -1)[:, :units, :features].copy().reshape(4 * units, features)
        return (
            torch.from_numpy(features_weight),
            torch.from_numpy(w[0, :features].copy()),
            torch.from_numpy(gates_weight),
            torch.from_numpy(v.reshape(4, wide)[:, :units].flatten()),
        )


def _room(sizes: _Sizes, rows: int, like: Tensor) -> list[np.ndarray]:
    """Memory for one stretch after the other, in the order of `Stretch`."""
    gap = BYTES // like.element_size()
    joined, gates = sizes.wide_inputs + sizes.wide_units, 4 * sizes.wide_units
    columns = joined, sizes.wide_features, gates, sizes.wide_features
    return _arrays(like.new_empty, *((rows, wide + gap) for wide in columns))


def _go_back(sizes: _Sizes, weights: list[Tensor], past: Past, course: Course, to: Gradients, totals: _Totals) -> None:
    """Takes some samples after the others, and of those stretch after stretch, back through time."""
    batch, time, _ = past.x.shape
    gates = 4 * sizes.wide_units
    samples = min(batch, _SAMPLES)
    steps = min(time, max(_SHORTEST, _STRETCH // (samples * gates)))
    layout, back, room = _layout(sizes, weights), _way_back(sizes, weights), _room(sizes, samples * steps, weights[0])
    constants, panels = CONSTANTS[past.x.dtype.type], (gates + sizes.wide_features) // sizes.width
    for first in range(0, batch, samples):
        bounds = first + _blocks(min(samples, batch - first))
        for end in range(time, 0, -steps):
            begin = max(0, end - steps)
            stretch = Stretch(*(numbers[: (bounds[-1] - first) * (end - begin)] for numbers in room))
            given = bounds, begin, end - begin, constants, past, course, layout, back, stretch
            in_parallel(backwards.backward, len(bounds) - 1, *given, to)
            in_parallel(backwards.weights, panels, sizes.width, stretch, *totals)


def _layout(sizes: _Sizes, weights: list[Tensor]) -> Layout:
    """The weights as the forward takes them, in the order of `Layout`."""
    columns = *[sizes.wide_features] * 3, *[4 * sizes.wide_units] * 2
    rows = sizes.inputs, sizes.units, 1, sizes.features, 1
    layout = Layout(*_panels(sizes, columns, rows, weights[0]))
    forwards.lay_out_forward(*map(numbers_of, weights), layout)
    return layout


def _way_back(sizes: _Sizes, weights: list[Tensor]) -> WayBack:
    """The weights as the backward takes them, in the order of `WayBack`."""
    W, _, V, _ = weights
    columns = sizes.wide_features, sizes.wide_inputs, sizes.wide_units, max(sizes.wide_inputs, sizes.wide_features)
    rows = 4 * sizes.wide_units, sizes.features, sizes.features, 1
    back = WayBack(*_panels(sizes, columns, rows, W))
    backwards.lay_out_backward(numbers_of(W), numbers_of(V), back)
    return back


def _panels(sizes: _Sizes, columns: Iterable[int], rows: Iterable[int], like: Tensor) -> list[np.ndarray]:
    """Room for matrices as panels, filled with zeros."""
    shapes = ((wide // sizes.width, k, sizes.width) for wide, k in zip(columns, rows, strict=True))
    return _arrays(like.new_zeros, *shapes)


def _arrays(make: Callable[[int], Tensor], *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Arrays in one piece of torch's memory, which begins at a cache line, as numpy's need not, and so do they all."""
    ends = list(accumulate(map(math.prod, shapes)))
    whole = make(ends[-1]).numpy()
    return [whole[begin:end].reshape(shape) for begin, end, shape in zip([0, *ends], ends, shapes, strict=False)]


def _outputs(x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Room for states and the last of them."""
    batch, time, _ = x.shape
    return x.new_empty(batch, time, state.shape[1]), state.new_empty(state.shape)


def _blocks(batch: int) -> np.ndarray:
    """First rows of blocks of samples, and the number of samples; a block for every thread, if there are enough."""
    rows = min(ROWS, max(_FEWEST, -(-batch // torch.get_num_threads())))
    return np.minimum(np.arange(0, batch + rows, rows), batch)
