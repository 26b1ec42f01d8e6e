"""The compiled selective scan as operators that torch can differentiate and trace.

Shapes: `u`, `dt`, `y` and `gate` (batch, length, d_inner), `A` (d_inner, d_state), `B` and `C` (batch, length,
d_state), `D` (d_inner,), `state` and `end` (batch, d_inner, d_state), `mask` (batch, length). `marks` are the states
from which the backward starts, one per tile of the loops; it computes the others again, so that memory grows with the
inputs and outputs alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.selective_scan import BLOCK, TILE, WIDEST, Given, Gradients, backward, forward, together
from neurofmx.kernels.cpu.simd.exp2 import exp2_numbers
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.tiles import add_up, array_of, arriving, rows_of

_NUMBERS = {torch.float32: exp2_numbers(np.float32), torch.float64: exp2_numbers(np.float64)}


@operator("neurofmx::selective_scan")
def selective_scan_op(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    gate: Tensor | None,
    state: Tensor | None,
    mask: Tensor | None,
    softplus: bool,
    remember: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, last state and marks, which are left out unless it shall `remember` them for the backward."""
    y, end, marks = _outputs(u, A, remember)
    jobs, wide = _jobs(u)
    given = _given(u, dt, A, B, C, D, gate, state, mask, softplus)
    in_parallel(forward, jobs, wide, given, y.numpy(), end.numpy(), marks.numpy())
    return y, end, marks


@torch.library.custom_op("neurofmx::selective_scan_backward", mutates_args=())
def selective_scan_backward_op(
    dy: Tensor | None,
    dend: Tensor | None,
    marks: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    gate: Tensor | None,
    state: Tensor | None,
    mask: Tensor | None,
    softplus: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, dt, A, B, C, D, gate and state; the last two are empty where there is none."""
    found = _gradients(u, A, gate, state)
    parts, blocks = _parts(u), -(-u.shape[2] // BLOCK)
    to = Gradients(*(tensor.numpy() for tensor in found))
    scattered = to._replace(
        A=np.empty((parts, *to.A.shape), to.A.dtype),
        B=np.empty((blocks, *to.B.shape), to.B.dtype),
        C=np.empty((blocks, *to.C.shape), to.C.dtype),
        D=np.empty((parts, *to.D.shape), to.D.dtype),
    )
    jobs, wide = _jobs(u)
    given = _given(u, dt, A, B, C, D, gate, state, mask, softplus)
    in_parallel(backward, jobs, wide, given, marks.numpy(), arriving(dy, u), array_of(dend, u, axes=3), scattered)
    for name in ("A", "B", "C", "D"):
        several, whole = getattr(scattered, name), getattr(to, name)
        add_up(several.reshape(len(several), whole.size), whole.reshape(-1))
    return found


@selective_scan_op.register_fake
def _(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    gate: Tensor | None,
    state: Tensor | None,
    mask: Tensor | None,
    softplus: bool,
    remember: bool,
) -> tuple[Tensor, ...]:
    return _outputs(u, A, remember)


@selective_scan_backward_op.register_fake
def _(
    dy: Tensor | None,
    dend: Tensor | None,
    marks: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    gate: Tensor | None,
    state: Tensor | None,
    mask: Tensor | None,
    softplus: bool,
) -> tuple[Tensor, ...]:
    return _gradients(u, A, gate, state)


def _outputs(u: Tensor, A: Tensor, remember: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Room for outputs, last state and marks."""
    (batch, length, inner), states, lanes = u.shape, A.shape[1], BYTES // u.element_size()
    tiles = (length - 1) // TILE if remember else 0
    marks = u.new_empty(batch, tiles, -(-inner // lanes) * lanes * states)
    return u.new_empty(u.shape), u.new_empty(batch, inner, states), marks


def _gradients(
    u: Tensor, A: Tensor, gate: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Room for all gradients, in the order of `Gradients`."""
    (batch, length, inner), states = u.shape, A.shape[1]
    none = (0, 0, 0)
    return (
        u.new_empty(u.shape),
        u.new_empty(u.shape),
        u.new_empty(inner, states),
        u.new_empty(batch, length, states),
        u.new_empty(batch, length, states),
        u.new_empty(inner),
        u.new_empty(none if gate is None else u.shape),
        u.new_empty(none if state is None else (batch, inner, states)),
    )


def _parts(u: Tensor) -> int:
    """Number of jobs per stripe of channels."""
    return -(-u.shape[0] // together(u.shape[1]))


def _jobs(u: Tensor) -> tuple[int, int]:
    """Number of jobs, and channels of each: wide stripes where they are enough for all threads."""
    parts, inner = _parts(u), u.shape[2]
    wide = WIDEST if parts * -(-inner // WIDEST) >= torch.get_num_threads() else BLOCK
    return parts * -(-inner // wide), wide


def _given(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    gate: Tensor | None,
    state: Tensor | None,
    mask: Tensor | None,
    softplus: bool,
) -> Given:
    """The arguments as arrays."""
    rows = rows_of(u)
    return Given(
        u=rows,
        dt=rows_of(dt),
        B=rows_of(B),
        C=rows_of(C),
        z=rows if gate is None else rows_of(gate),
        A=array_of(A, u, axes=2)[None],
        D=array_of(D, u, axes=1),
        start=array_of(state, u, axes=3),
        mask=np.empty((0, 0), np.bool_) if mask is None else array_of(mask, mask, axes=2),
        soft=softplus,
        gated=gate is not None,
        numbers=_NUMBERS[u.dtype],
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps what the backward needs."""
    *tensors, ctx.softplus, _ = inputs
    ctx.save_for_backward(output[2], *tensors)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dy: Tensor | None, dend: Tensor | None, _marks: None) -> tuple[Tensor | None, ...]:
    """Hands the gradients to autograd."""
    given = ctx.saved_tensors  # read once, as what was checkpointed is made anew for one reading
    *found, dgate, dstate = selective_scan_backward_op(dy, dend, *given, ctx.softplus)
    gate, state = given[7:9]
    return *found, None if gate is None else dgate, None if state is None else dstate, None, None, None


selective_scan_op.register_autograd(_backward, setup_context=_setup)
