"""The CfC recurrence on a GPU as an operator of torch, with its own backward.

Shapes: `x` (batch, time, inputs), `state` and `last` (batch, units), `states` (batch, time, units), `elapsed` any that
broadcasts to the states', `mask` (batch, time); `W, w, V, v` are the weights in the order of `CfCWeights`.

Time is cut into stretches, whose matrix products over all steps run outside the kernels. The forward keeps the states
alone, from which the backward makes the gates of a stretch anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from neurofmx.kernels.gpu import cfc as kernels
from neurofmx.kernels.gpu.triton_there import bytes_of, launch
from neurofmx.kernels.lecun_tanh import LECUN_SCALE, LECUN_SLOPE

ROWS, BLOCK = 16, 64  # samples of a program, the fewest that a product takes, and columns of a block of weights
AHEAD = 2  # blocks of weights in flight
STRETCH = 16384  # rows (batch * steps) of a stretch, enough for matrix products to run well
# Products of 32-bit numbers by the setting of torch: by default in three parts, which keeps their digits.
PRECISIONS = {"highest": "tf32x3", "high": "tf32", "medium": "tf32"}


class _Cell(NamedTuple):
    """The weights with LeCun's constants inside, filled up to whole blocks."""

    drive: Tensor  # (FEATURES, inputs)
    recurrent: Tensor  # (FEATURES, UNITS)
    offset: Tensor  # (FEATURES,)
    gates: Tensor  # (4, UNITS, FEATURES)
    bias: Tensor  # (4, UNITS)

    @classmethod
    def of(cls, W: Tensor, w: Tensor, V: Tensor, v: Tensor) -> _Cell:
        """Fills up the weights of a cell."""
        features, units = W.shape[0], V.shape[0] // 4
        more_features, more_units = -features % BLOCK, -units % BLOCK
        drive, recurrent = pad(LECUN_SLOPE * W, (0, more_units, 0, more_features)).tensor_split([W.shape[1] - units], 1)
        gates = pad(LECUN_SCALE * V.view(4, units, features), (0, more_features, 0, more_units))
        offset, bias = pad(LECUN_SLOPE * w, (0, more_features)), pad(v.view(4, units), (0, more_units))
        return cls(drive.contiguous(), recurrent.contiguous(), offset, gates, bias)

    def constants(self, mask: Tensor | None) -> dict[str, Any]:
        """What kernels are compiled for."""
        features, units = self.recurrent.shape
        exact = self.drive.dtype == torch.float64
        precision = "ieee" if exact else PRECISIONS[torch.get_float32_matmul_precision()]
        sizes = {"UNITS": units, "FEATURES": features, "ROWS": ROWS, "BLOCK": BLOCK, "AHEAD": AHEAD}
        return {"MASKED": mask is not None, **sizes, "PRECISION": precision, "num_warps": 8, "num_stages": 1}


def _stretches(batch: int, time: int) -> list[tuple[int, int]]:
    """First steps of stretches, and the steps to end before."""
    steps = max(1, STRETCH // max(1, batch))
    return [(begin, min(time, begin + steps)) for begin in range(0, time, steps)]


@torch.library.custom_op("neurofmx::cfc_triton", mutates_args=())
def cfc_op(
    x: Tensor, state: Tensor, W: Tensor, w: Tensor, V: Tensor, v: Tensor, elapsed: Tensor, mask: Tensor | None
) -> Tensor:
    """States; where a step does not count, that before it."""
    batch, time, _ = x.shape
    units, cell = state.shape[1], _Cell.of(W, w, V, v)
    states, span = x.new_empty(batch, time, units), elapsed.expand(batch, time, units)
    matrices = cell.recurrent.t().contiguous(), cell.gates.transpose(1, 2).contiguous(), cell.bias
    before, keep = state.contiguous(), bytes_of(mask, states)
    for begin, end in _stretches(batch, time):
        features = linear(x[:, begin:end], cell.drive, cell.offset)
        given = (features, before, before.stride(0), *matrices, span, *span.stride(), keep, states)
        sizes = batch, time, begin, end - begin, units
        launch(kernels.forward, -(-batch // ROWS), *given, *sizes, **cell.constants(mask))
        before = states[:, end - 1]
    return states


@cfc_op.register_fake
def _(x, state, W, w, V, v, elapsed, mask):
    return x.new_empty(*x.shape[:2], state.shape[1])


class _Gradients(NamedTuple):
    """Gradients of the filled-up weights, added up stretch by stretch."""

    input: Tensor
    recurrent: Tensor
    offset: Tensor
    gates: Tensor
    bias: Tensor

    def add(self, x: Tensor, previous: Tensor, features: Tensor, to_features: Tensor, to_gates: Tensor) -> None:
        """Adds those of a stretch."""
        x, previous, features, to_features, to_gates = (
            sequence.flatten(0, 1) for sequence in (x, previous, features, to_features, to_gates)
        )
        self.input.addmm_(to_features.t(), x)
        self.recurrent.addmm_(to_features.t(), previous)
        self.offset.add_(to_features.sum(0))
        self.gates.addmm_(to_gates.t(), features)
        self.bias.add_(to_gates.sum(0))

    def weights(self, features: int, units: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of `W, w, V, v`."""
        gates = self.gates.view(4, -1, self.gates.shape[1])[:, :units, :features].reshape(4 * units, features)
        return (
            torch.cat([self.input, self.recurrent], 1)[:features] * LECUN_SLOPE,
            self.offset[:features] * LECUN_SLOPE,
            gates * LECUN_SCALE,
            self.bias.view(4, -1)[:, :units].flatten(),
        )


@torch.library.custom_op("neurofmx::cfc_triton_backward", mutates_args=())
def cfc_backward_op(
    dstates: Tensor,
    states: Tensor,
    x: Tensor,
    state: Tensor,
    W: Tensor,
    w: Tensor,
    V: Tensor,
    v: Tensor,
    elapsed: Tensor,
    mask: Tensor | None,
    times: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, state, the weights and, if `times`, elapsed."""
    batch, time, units = states.shape
    cell, span, keep = _Cell.of(W, w, V, v), elapsed.expand(states.shape), bytes_of(mask, states)
    features, wide = cell.recurrent.shape
    dx, dh, dstates = torch.empty_like(x), torch.zeros_like(state), dstates.contiguous()
    dx, dh = dx.contiguous(), dh.contiguous()
    delapsed = torch.empty_like(states) if times else states
    shapes = cell.drive.shape, (features, units), (features,), (4 * wide, features), (4 * wide,)
    totals = _Gradients(*(x.new_zeros(shape) for shape in shapes))
    for begin, end in reversed(_stretches(batch, time)):
        previous = states[:, begin - 1 : end - 1] if begin else torch.cat([state[:, None], states[:, : end - 1]], 1)
        z = linear(x[:, begin:end], cell.drive, cell.offset)
        z = (z + linear(previous, cell.recurrent[:, :units])).tanh_()
        gates, to_features = linear(z, cell.gates.flatten(0, 1), cell.bias.flatten()), torch.empty_like(z)
        matrices, sizes = (cell.gates, cell.recurrent), (batch, time, begin, end - begin, units)
        given = (gates, z, to_features, *matrices, span, *span.stride(), keep, dstates, dh, delapsed)
        launch(kernels.backward, -(-batch // ROWS), *given, *sizes, TIMES=times, **cell.constants(mask))
        totals.add(x[:, begin:end], previous, z, to_features, gates)
        dx[:, begin:end] = to_features @ cell.drive
    dtimes = delapsed.sum_to_size(elapsed.shape) if times else elapsed.new_empty(0)
    return dx, dh, *totals.weights(W.shape[0], units), dtimes.clone() if dtimes is delapsed else dtimes


@cfc_backward_op.register_fake
def _(dstates, states, x, state, W, w, V, v, elapsed, mask, times):
    made = [tensor.new_empty(tensor.shape) for tensor in (x, state, W, w, V, v)]
    return *made, elapsed.new_empty(elapsed.shape if times else 0)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keeps inputs and states."""
    ctx.save_for_backward(output, *inputs)


def _gradients(ctx: Any, dstates: Tensor) -> tuple[Tensor | None, ...]:
    """One gradient for each argument of `cfc_op`."""
    times = ctx.needs_input_grad[6]
    *found, dtimes = cfc_backward_op(dstates, *ctx.saved_tensors, times)
    return *found, dtimes if times else None, None


cfc_op.register_autograd(_gradients, setup_context=_remember)


def run(
    x: Tensor, state: Tensor, W: Tensor, w: Tensor, V: Tensor, v: Tensor, elapsed: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Runs the cell, see `neurofmx.kernels.cfc`; `elapsed` need only broadcast to the states.

    Returns:
        States, with zeros where a step does not count, and the last state.
    """
    states = cfc_op(x, state, W, w, V, v, elapsed, mask)
    last = states[:, -1].clone()
    return states if mask is None else torch.where(mask.unsqueeze(2), states, 0), last
