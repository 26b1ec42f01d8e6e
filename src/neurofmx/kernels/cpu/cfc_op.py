"""The compiled CfC recurrence as operators that torch can differentiate and trace.

Shapes: `x` (batch, time, inputs), `state` and `last` (batch, units), `states` (batch, time, units), `elapsed` (batch or
1, time or 1, units), `mask` (batch, time); `W, w, V, v` are the weights in the order of `CfCWeights`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cfc import LECUN_SCALE, LECUN_SLOPE
from neurofmx.kernels.cpu import cfc as forwards
from neurofmx.kernels.cpu import cfc_backward as backwards
from neurofmx.kernels.cpu.blend import CONSTANTS
from neurofmx.kernels.cpu.cfc import Course, Layout
from neurofmx.kernels.cpu.cfc_backward import Gradients, Past, Stretch, WayBack
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.matrix_block import ROWS
from neurofmx.kernels.cpu.simd.panels import padded, width_of
from neurofmx.kernels.cpu.simd.tiles import rows_of

_FEWEST = 2  # rows of a block, as one row alone waits for the weights as long as two
_STRETCH, _SHORTEST = 256, 8  # rows of a stretch over the whole batch, whose gates fit the second cache, and its steps


@torch.library.custom_op("neurofmx::cfc", mutates_args=())
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
    found = states, last = _outputs(x, state)
    last.copy_(state)
    bounds, layout = _blocks(len(x)), _layout(_Sizes.of(x, state, W), list(map(_array, (W, w, V, v))))
    course, jobs = _course(elapsed, mask, len(x)), len(bounds) - 1
    given = bounds, CONSTANTS[layout.to_gates.dtype.type], _array(x), course, layout
    in_parallel(forwards.forward, jobs, *given, last.numpy(), states.numpy())
    return found


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
    weights, arrays = list(map(_array, (W, w, V, v))), list(map(_array, (x, state, states)))
    arrived = rows_of(states.new_zeros(sizes.units).expand(states.shape) if dstates is None else dstates)
    found = [torch.zeros_like(state) if dlast is None else dlast.clone(), torch.empty_like(x)]
    dstate, dx = (tensor.contiguous() for tensor in found)
    delapsed = states.new_zeros(len(x), elapsed.shape[1], sizes.units)
    to = Gradients(arrived, dstate.numpy(), dx.numpy(), delapsed.numpy())
    totals = _Totals.zeros(sizes, weights[0].dtype)
    if len(x):
        _go_back(sizes, weights, Past(*arrays), _course(elapsed, mask, len(x)), to, totals)
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
    """Gradients of the weights, those of matrices as panels."""

    to_gates: np.ndarray
    gate_bias: np.ndarray
    to_features: np.ndarray
    feature_bias: np.ndarray

    @classmethod
    def zeros(cls, sizes: _Sizes, dtype: np.dtype) -> _Totals:
        """Nothing added up yet."""
        features, gates, width = sizes.wide_features, 4 * sizes.wide_units, sizes.width
        joined = sizes.wide_inputs + sizes.wide_units
        shapes = (features, gates), (gates, 1), (joined, features), (features, 1)
        return cls(*(np.zeros((columns // width, rows, width), dtype) for columns, rows in shapes))

    def weights(self, sizes: _Sizes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of `W, w, V, v`, without what fills up panels and with LeCun's constants."""
        inputs, units, features, before, wide = sizes[:5]
        W = self.to_features.swapaxes(0, 1).reshape(sizes.wide_features, -1)[:features]
        V = self.to_gates.swapaxes(0, 1).reshape(4, wide, -1)[:, :units, :features]
        return (
            torch.from_numpy(np.concatenate([W[:, :inputs], W[:, before : before + units]], 1) * LECUN_SLOPE),
            torch.from_numpy(self.feature_bias.reshape(-1)[:features] * LECUN_SLOPE),
            torch.from_numpy(V.reshape(4 * units, features) * LECUN_SCALE),
            torch.from_numpy(self.gate_bias.reshape(4, wide)[:, :units].flatten()),
        )


class _Room:
    """Memory for one stretch after the other."""

    def __init__(self, sizes: _Sizes, rows: int, dtype: np.dtype) -> None:
        self.width, joined, gates = sizes.width, sizes.wide_inputs + sizes.wide_units, 4 * sizes.wide_units
        self.columns = joined, sizes.wide_features, gates, sizes.wide_features
        self.numbers = [np.empty(rows * columns, dtype) for columns in self.columns]

    def stretch(self, rows: int) -> Stretch:
        """Room for some rows."""
        pairs = zip(self.numbers, self.columns, strict=True)
        return Stretch(*(numbers[: rows * columns].reshape(-1, rows, self.width) for numbers, columns in pairs))


def _go_back(
    sizes: _Sizes, weights: list[np.ndarray], past: Past, course: Course, to: Gradients, totals: _Totals
) -> None:
    """Takes stretch after stretch back through time, the last one first."""
    batch, time, _ = past.x.shape
    longest, bounds = min(time, max(_SHORTEST, _STRETCH // batch)), _blocks(batch)
    layout, back, room = _layout(sizes, weights), _way_back(sizes, weights), _Room(sizes, batch * longest, past.x.dtype)
    constants = CONSTANTS[past.x.dtype.type]
    panels = (4 * sizes.wide_units + sizes.wide_features) // sizes.width
    for end in range(time, 0, -longest):
        begin = max(0, end - longest)
        stretch = room.stretch(batch * (end - begin))
        given = bounds, begin, end - begin, constants, past, course, layout, back, stretch
        in_parallel(backwards.backward, len(bounds) - 1, *given, to)
        in_parallel(backwards.weights, panels, stretch, *totals)


def _layout(sizes: _Sizes, weights: list[np.ndarray]) -> Layout:
    """The weights as the forward takes them."""
    (W, w, V, v), features, gates = weights, sizes.wide_features, 4 * sizes.wide_units
    layout = Layout(
        from_input=_panels(sizes, features, sizes.inputs, W.dtype),
        from_state=_panels(sizes, features, sizes.units, W.dtype),
        feature_bias=_panels(sizes, features, 1, W.dtype),
        to_gates=_panels(sizes, gates, sizes.features, W.dtype),
        gate_bias=_panels(sizes, gates, 1, W.dtype),
    )
    forwards.lay_out_forward(W, w, V, v, layout)
    return layout


def _way_back(sizes: _Sizes, weights: list[np.ndarray]) -> WayBack:
    """The weights as the backward takes them."""
    W, _, V, _ = weights
    back = WayBack(
        from_gates=_panels(sizes, sizes.wide_features, 4 * sizes.wide_units, W.dtype),
        from_features=_panels(sizes, sizes.wide_inputs + sizes.wide_units, sizes.features, W.dtype),
        zeros=_panels(sizes, sizes.wide_features, 1, W.dtype),
    )
    backwards.lay_out_backward(W, V, back)
    return back


def _panels(sizes: _Sizes, columns: int, rows: int, dtype: np.dtype) -> np.ndarray:
    """Room for a matrix as panels."""
    return np.empty((columns // sizes.width, rows, sizes.width), dtype)


def _outputs(x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Room for states and the last of them."""
    batch, time, _ = x.shape
    return x.new_empty(batch, time, state.shape[1]), state.new_empty(state.shape)


def _blocks(batch: int) -> np.ndarray:
    """First rows of blocks of samples, and the number of samples; a block for every thread, if there are enough."""
    rows = min(ROWS, max(_FEWEST, -(-batch // torch.get_num_threads())))
    return np.minimum(np.arange(0, batch + rows, rows), batch)


def _course(elapsed: Tensor, mask: Tensor | None, batch: int) -> Course:
    """Elapsed times and mask as the loops take them."""
    return Course(_array(elapsed), np.empty((batch, 0), np.bool_) if mask is None else _array(mask))


def _array(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor, contiguous."""
    return tensor.detach().contiguous().numpy()
