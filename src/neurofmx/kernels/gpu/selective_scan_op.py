"""The selective scan as an operator of torch that runs kernels on a GPU, with its own backward.

Shapes: those of `neurofmx.kernels.selective_scan`. The backward keeps the inputs alone and finds the states anew, so
that what training remembers does not grow with `d_state`. While it runs, states between chunks take three times
`d_state / T` of the memory of `u`, and the parts of the gradients of `B` and `C` twice `d_state / LANES` of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.gpu import selective_scan as kernels
from neurofmx.kernels.gpu.triton_there import bytes_of, launch, rows_of


class Cut(NamedTuple):
    """How work is cut into programs: steps and channels of a tile, powers of 2."""

    T: int
    LANES: int


# The longest tiles whose rows fit into the registers of a warp, as the compiler reports for compute capability 9.0.
FORWARD, BACKWARD, CHAIN = Cut(32, 32), Cut(16, 32), Cut(32, 32)


class _Call(NamedTuple):
    """One scan, as its kernels take it; sequences come with the number of elements from row to row."""

    u: tuple[Tensor, int]
    dt: tuple[Tensor, int]
    z: tuple[Tensor, int]
    B: Tensor
    C: Tensor
    keep: Tensor
    rates: Tensor
    D: Tensor
    first: Tensor | None
    batch: int
    shape: tuple[int, int, int, int, int]  # length, d_inner, d_state, blocks of channels, chunks of a sequence
    cut: Cut
    flags: dict[str, bool]

    def run(self, kernel: Any, *arguments: Any, flags: str = "SOFT GATED MASKED") -> None:
        """Launches a kernel over all tiles."""
        tiles = self.batch * self.shape[3] * self.shape[4]
        chosen = {name: self.flags[name] for name in flags.split()}
        launch(kernel, tiles, *arguments, *self.shape, **chosen, **self.cut._asdict(), num_warps=1)

    def room(self, *sizes: int) -> Tensor:
        """New memory, in the type of the inputs."""
        return self.D.new_empty(sizes)


def _call(
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
    cut: Cut,
) -> _Call:
    """The arguments of a scan as its kernels take them."""
    batch, length, inner = u.shape
    blocks, chunks = -(-inner // cut.LANES), -(-length // cut.T)
    rates = (A * math.log2(math.e)).t().contiguous()
    return _Call(
        u=rows_of(u),
        dt=rows_of(dt),
        z=rows_of(u if gate is None else gate),
        B=_columns(B, mask, chunks * cut.T),
        C=_columns(C, mask, chunks * cut.T),
        keep=bytes_of(mask, rates),
        rates=rates,
        D=D.contiguous(),
        first=None if state is None else state.transpose(1, 2).contiguous(),
        batch=batch,
        shape=(length, inner, A.shape[1], blocks, chunks),
        cut=cut,
        flags={"SOFT": softplus, "GATED": gate is not None, "MASKED": mask is not None},
    )


def _columns(coefficients: Tensor, mask: Tensor | None, length: int) -> Tensor:
    """Coefficients (batch, d_state, length) with zeros at steps that do not count and behind the last one."""
    if mask is not None:
        coefficients = torch.where(mask.unsqueeze(2), coefficients, 0)
    columns = coefficients.new_zeros(coefficients.shape[0], coefficients.shape[2], length)
    columns[:, :, : coefficients.shape[1]] = coefficients.transpose(1, 2)
    return columns


def _chained(call: _Call, found: Tensor, spans: Tensor, first: Tensor | None, *, back: bool) -> Tensor:
    """The states between all chunks (batch, chunks + 1, d_state, d_inner), or the gradients at them."""
    _, inner, states, _, chunks = call.shape
    between, blocks = call.room(call.batch, chunks + 1, states, inner), -(-inner // CHAIN.LANES)
    arguments = (found, spans, call.rates, found if first is None else first, between, inner, states, blocks, chunks)
    constants = {"GIVEN": first is not None, "BACK": back, **CHAIN._asdict()}
    launch(kernels.chain, call.batch * states * blocks, *arguments, **constants, num_warps=1)
    return between


def _states(call: _Call) -> tuple[Tensor, Tensor, Tensor]:
    """The states between all chunks, and memory that is free again: a state and a step size for each chunk."""
    _, inner, states, _, chunks = call.shape
    found, spans = call.room(call.batch * chunks, states, inner), call.room(call.batch * chunks, inner)
    call.run(kernels.ends, *call.u, *call.dt, call.B, call.keep, call.rates, found, spans, flags="SOFT MASKED")
    return _chained(call, found, spans, call.first, back=False), found, spans


def _turned(states: Tensor) -> Tensor:
    """States (batch, d_state, d_inner) as (batch, d_inner, d_state), in memory of their own."""
    return states.transpose(1, 2).clone(memory_format=torch.contiguous_format)


@torch.library.custom_op("neurofmx::selective_scan_triton", mutates_args=())
def scan(
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
) -> tuple[Tensor, Tensor]:
    """Outputs and last state, see `neurofmx.kernels.selective_scan`, whose arguments these are."""
    call = _call(u, dt, A, B, C, D, gate, state, mask, softplus, FORWARD)
    between, _, _ = _states(call)
    y, given = call.room(*u.shape), (*call.u, *call.dt, *call.z, call.B, call.C, call.keep, call.rates, call.D)
    call.run(kernels.outputs, *given, between, y)
    return y, _turned(between[:, -1])


@scan.register_fake
def _(u, dt, A, B, C, D, gate, state, mask, softplus):
    return u.new_empty(u.shape), u.new_empty(u.shape[0], *A.shape)


@torch.library.custom_op("neurofmx::selective_scan_triton_backward", mutates_args=())
def scan_backward(
    dy: Tensor | None,
    dend: Tensor | None,
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
    """Gradients of u, dt, A, B, C, D, gate and state; that of the gate is empty where there is none."""
    call = _call(u, dt, A, B, C, D, gate, state, mask, softplus, BACKWARD)
    between, found, spans = _states(call)
    arriving = (*rows_of(torch.zeros_like(u) if dy is None else dy), *call.z)
    call.run(kernels.starts, *arriving, *call.dt, call.C, call.keep, call.rates, found, spans)
    behind = _chained(call, found, spans, None if dend is None else dend.transpose(1, 2).contiguous(), back=True)
    du, ddt = call.room(*u.shape), call.room(*u.shape)
    dz = call.room(*u.shape) if gate is not None else call.room(0, 0, 0)
    dB, dC = (call.room(call.batch, A.shape[1], call.shape[3], call.B.shape[2]) for _ in range(2))
    given = (*arriving[:2], *call.u, *call.dt, *call.z, call.B, call.C, call.keep, call.rates, call.D)
    # What the chain was made from is read no more: its memory takes the sums over every chunk.
    call.run(kernels.gradients, *given, between, behind, du, ddt, dz, found, dB, dC, spans)
    dB, dC = (part.sum(2)[:, :, : u.shape[1]].transpose(1, 2).contiguous() for part in (dB, dC))
    return du, ddt, found.sum(0).t().contiguous(), dB, dC, spans.sum(0), dz, _turned(behind[:, 0])


@scan_backward.register_fake
def _(dy, dend, u, dt, A, B, C, D, gate, state, mask, softplus):
    made = [u.new_empty(tensor.shape) for tensor in (u, dt, A, B, C, D)]
    return *made, u.new_empty(u.shape if gate is not None else (0, 0, 0)), u.new_empty(u.shape[0], *A.shape)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps the inputs."""
    *tensors, ctx.softplus = inputs
    ctx.save_for_backward(*tensors)
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, dy: Tensor | None, dend: Tensor | None) -> tuple[Tensor | None, ...]:
    """One gradient for each argument of `scan`."""
    given = ctx.saved_tensors  # read once, as what was checkpointed is made anew for one reading
    *found, dz, dstate = scan_backward(dy, dend, *given, ctx.softplus)
    gate, state = given[6:8]
    return *found, None if gate is None else dz, None if state is None else dstate, None, None


scan.register_autograd(_gradients, setup_context=_remember)
