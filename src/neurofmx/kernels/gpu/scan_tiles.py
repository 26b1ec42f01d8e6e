"""Tiles of a selective scan on a GPU: which part of a sequence a program has, and how it is read.

A tile has `T` steps and `LANES` channels of one sequence; the arrays are those of `selective_scan`. What a step
that does not count would add is read as 0, and a step size of 0 holds the state. A thread has all steps of its
channels, so that it scans alone and turning a tile round costs nothing. For that, what has one axis is loaded along one
axis, and see `neurofmx.kernels.gpu.triton_there.kernel`.
"""

from __future__ import annotations

from neurofmx.kernels.gpu.triton_there import constexpr, part, tl


@part
def chained(a, b, c, d):
    """The steps `h -> a h + b` and then `h -> c h + d` as one step."""
    return c * a, c * b + d


@part
def softplus(x):
    """`log(1 + exp(x))`, with all digits also where the exponential is small: Kahan's way to `log(1 + e)`."""
    e = tl.exp(-tl.abs(x))
    one = 1.0 + e
    tiny = one == 1.0
    log = tl.where(tiny, e, tl.log(one) * (e / tl.where(tiny, 1.0, one - 1.0)))
    return tl.where(x > 0.0, x + log, log)


@part
def placed(length, blocks, chunks, T: constexpr, LANES: constexpr):
    """This program's chunk, counted over all sequences, its sequence, block, channels (LANES,), steps and rows (T,)."""
    chunk, block = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    batch = chunk // chunks
    steps = chunk % chunks * T + tl.arange(0, T)
    return chunk, batch, block, block * LANES + tl.arange(0, LANES), steps, batch * length + steps


@part
def counts(keep, rows, steps, length, MASKED: constexpr):
    """Which steps count (T,): those inside the sequence that are not masked."""
    there = steps < length
    if MASKED:
        there = there & (tl.load(keep + rows, mask=there, other=0) != 0)
    return there


@part
def tile(sequence, row, rows, channels, wanted):
    """A tile (T, LANES) of a sequence, 0 where it is not wanted."""
    return tl.load(sequence + rows[:, None] * row + channels[None, :], mask=wanted, other=0.0)


@part
def column(coefficients, n, batch, chunk, states, chunks, T: constexpr):
    """The coefficients of one state over a tile (T, 1)."""
    return tl.load(coefficients + ((batch * states + n) * chunks + chunk % chunks) * T + tl.arange(0, T))[:, None]


@part
def sizes(dt, row, rows, channels, wanted, SOFT: constexpr):
    """Step sizes of a tile (T, LANES)."""
    x = tile(dt, row, rows, channels, wanted)
    if SOFT:
        x = tl.where(wanted, softplus(x), 0.0)
    return x


@part
def sizes_after(dt, row, keep, rows, steps, length, channels, inside, SOFT: constexpr, MASKED: constexpr, T: constexpr):
    """The step size that follows each step of a tile (T, LANES), 0 after the last one."""
    there = counts(keep, rows + 1, steps + 1, length, MASKED) & ((steps + 1) % T != 0)
    return sizes(dt, row, rows + 1, channels, there[:, None] & inside[None, :], SOFT)


@part
def arriving(dy, dy_row, z, z_row, rows, channels, wanted, GATED: constexpr):
    """`q` of a tile (T, LANES), with the gradient of the gated output and the gate that it came through."""
    out = tile(dy, dy_row, rows, channels, wanted)
    gate = out
    q = out
    if GATED:
        gate = tile(z, z_row, rows, channels, wanted)
        q = out * (gate * tl.sigmoid(gate))
    return q, out, gate
