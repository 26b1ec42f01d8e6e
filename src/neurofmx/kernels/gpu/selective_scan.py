"""The kernels of the selective scan for GPUs, forward and backward, in parallel over the sequence as well.

Symbols: those of `neurofmx.kernels.selective_scan`; `e = exp(dt A)` decay, `w = dt u` drive, `z` gate, `g` gradient
that arrives at a state, `q` gradient that arrives at an output before the gate.

    forward    h[t] = e[t] h[t-1] + w[t] B[t]              y[t] = sum_n C[t] h[t] + D u[t]
    backward   g[t] = e[t+1] g[t+1] + C[t] q[t]            p[t] = g[t] e[t] h[t-1]
               dw = sum_n g B,   ddt = sum_n p A + u dw,   du = dt dw + D q
               dA = sum_t p dt,  dB = sum_channels g w,    dC = sum_channels q h

The sequence is cut into chunks of `T` steps. `ends` finds, for all chunks at once, the state that each would end with
had it started from zero; `chain` goes over the chunks and finds the true state before each; `outputs` scans all chunks
at once from there. The way back is the same with `starts`, `chain` and `gradients`. A program has a tile, goes through
the states `n` one after the other, and writes sums to a place of its own, so that no bit depends on the order of
programs.

Arrays, time or channels innermost: sequences as rows (batch * length, d_inner), each `..._row` elements apart; `rates`,
which are `A log2(e)`, (d_state, d_inner); `B` and `C` (batch, d_state, chunks * T), with zeros at steps that do not
count; states between chunks (batch, chunks + 1, d_state, d_inner); spans, which are sums of `dt`, (batch * chunks,
d_inner).
"""

from __future__ import annotations

from neurofmx.kernels.gpu.scan_tiles import arriving, chained, column, counts, placed, sizes, sizes_after, tile
from neurofmx.kernels.gpu.triton_there import constexpr, kernel, tl


@kernel
def ends(
    u, u_row: int, dt, dt_row: int, B, keep, rates, found, spans,
    length: int, inner: int, states: int, blocks: int, chunks: int,
    SOFT: constexpr, MASKED: constexpr, T: constexpr, LANES: constexpr,
):  # fmt: skip
    """The states that chunks end with when they start from zero, (batch * chunks, d_state, d_inner), and the spans."""
    chunk, batch, _block, channels, steps, rows = placed(length, blocks, chunks, T, LANES)
    there, inside = counts(keep, rows, steps, length, MASKED), channels < inner
    wanted = there[:, None] & inside[None, :]
    step = sizes(dt, dt_row, rows, channels, wanted, SOFT)
    drive = step * tile(u, u_row, rows, channels, wanted)
    after = sizes_after(dt, dt_row, keep, rows, steps, length, channels, inside, SOFT, MASKED, T)
    until_end = tl.flip(tl.cumsum(tl.flip(after, 0), 0), 0)
    tl.store(spans + chunk * inner + channels, tl.sum(step, 0), mask=inside)
    for n in range(states):
        rate = tl.load(rates + n * inner + channels, mask=inside, other=0.0)[None, :]
        enter = column(B, n, batch, chunk, states, chunks, T)
        end = tl.sum(tl.exp2(rate * until_end) * (enter * drive), 0)
        tl.store(found + (chunk * states + n) * inner + channels, end, mask=inside)


@kernel
def starts(
    dy, dy_row: int, z, z_row: int, dt, dt_row: int, C, keep, rates, found, spans,
    length: int, inner: int, states: int, blocks: int, chunks: int,
    SOFT: constexpr, GATED: constexpr, MASKED: constexpr, T: constexpr, LANES: constexpr,
):  # fmt: skip
    """The gradients at the states before chunks when none arrives behind them, laid out as by `ends`, and the spans."""
    chunk, batch, _block, channels, steps, rows = placed(length, blocks, chunks, T, LANES)
    there, inside = counts(keep, rows, steps, length, MASKED), channels < inner
    wanted = there[:, None] & inside[None, :]
    q, _out, _gate = arriving(dy, dy_row, z, z_row, rows, channels, wanted, GATED)
    step = sizes(dt, dt_row, rows, channels, wanted, SOFT)
    since_start = tl.cumsum(step, 0)
    tl.store(spans + chunk * inner + channels, tl.sum(step, 0), mask=inside)
    for n in range(states):
        rate = tl.load(rates + n * inner + channels, mask=inside, other=0.0)[None, :]
        read = column(C, n, batch, chunk, states, chunks, T)
        start = tl.sum(tl.exp2(rate * since_start) * (read * q), 0)
        tl.store(found + (chunk * states + n) * inner + channels, start, mask=inside)


@kernel
def chain(
    found, spans, rates, first, between, inner: int, states: int, blocks: int, chunks: int,
    GIVEN: constexpr, BACK: constexpr, T: constexpr, LANES: constexpr,
):  # fmt: skip
    """The states before all chunks and after the last one, or, on the way `BACK`, the gradients at them.

    A program has one of the states of some channels and goes through `T` chunks at a time.
    """
    column, block = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    batch, n, channels = column // states, column % states, block * LANES + tl.arange(0, LANES)
    inside, place = channels < inner, n * inner + channels
    rate = tl.load(rates + place, mask=inside, other=0.0)
    h = tl.zeros_like(rate)
    if GIVEN:
        h = tl.load(first + batch * states * inner + place, mask=inside, other=0.0)
    slot = batch * (chunks + 1)
    tl.store(between + (slot + (chunks if BACK else 0)) * states * inner + place, h, mask=inside)
    for c in range(0, chunks, T):
        order = c + tl.arange(0, T)
        chunk = chunks - 1 - order if BACK else order
        wanted = (order < chunks)[:, None] & inside[None, :]
        decay = tl.exp2(rate[None, :] * tile(spans, inner, batch * chunks + chunk, channels, wanted))
        new = tile(found, states * inner, batch * chunks + chunk, place, wanted)
        new = tl.where((order == c)[:, None], decay * h[None, :] + new, new)
        _product, made = tl.associative_scan((decay, new), 0, chained)
        to = slot + (chunk if BACK else chunk + 1)
        tl.store(between + to[:, None] * states * inner + place[None, :], made, mask=wanted)
        h = tl.sum(tl.where((order == c + T - 1)[:, None], made, 0.0), 0)


@kernel
def outputs(
    u, u_row: int, dt, dt_row: int, z, z_row: int, B, C, keep, rates, D, between, y,
    length: int, inner: int, states: int, blocks: int, chunks: int,
    SOFT: constexpr, GATED: constexpr, MASKED: constexpr, T: constexpr, LANES: constexpr,
):  # fmt: skip
    """The outputs of every chunk, from the state before it."""
    chunk, batch, _block, channels, steps, rows = placed(length, blocks, chunks, T, LANES)
    there, inside = counts(keep, rows, steps, length, MASKED), channels < inner
    wanted = there[:, None] & inside[None, :]
    step, x = sizes(dt, dt_row, rows, channels, wanted, SOFT), tile(u, u_row, rows, channels, wanted)
    drive, out = step * x, tl.load(D + channels, mask=inside, other=0.0)[None, :] * x
    between += (chunk + batch) * states * inner
    for n in range(states):
        rate = tl.load(rates + n * inner + channels, mask=inside, other=0.0)[None, :]
        before = tl.load(between + n * inner + channels, mask=inside, other=0.0)[None, :]
        enter = column(B, n, batch, chunk, states, chunks, T)
        read = column(C, n, batch, chunk, states, chunks, T)
        decay, new = tl.exp2(rate * step), drive * enter
        new = tl.where((steps % T == 0)[:, None], decay * before + new, new)
        _product, h = tl.associative_scan((decay, new), 0, chained)
        out += h * read
    if GATED:
        gate = tile(z, z_row, rows, channels, wanted)
        out *= gate * tl.sigmoid(gate)
    tl.store(y + rows[:, None] * inner + channels[None, :], out, mask=(steps < length)[:, None] & inside[None, :])


@kernel
def gradients(
    dy, dy_row: int, u, u_row: int, dt, dt_row: int, z, z_row: int, B, C, keep, rates, D,
    between, behind, du, ddt, dz, dA, dB, dC, dD,
    length: int, inner: int, states: int, blocks: int, chunks: int,
    SOFT: constexpr, GATED: constexpr, MASKED: constexpr, T: constexpr, LANES: constexpr,
):  # fmt: skip
    """All gradients of every chunk, from the states before the chunks and the gradients behind them.

    `dA` (batch * chunks, d_state, d_inner) and `dD` (batch * chunks, d_inner) come per chunk, `dB` and `dC` (batch,
    d_state, blocks, chunks * T) per block of channels.
    """
    chunk, batch, block, channels, steps, rows = placed(length, blocks, chunks, T, LANES)
    there, inside = counts(keep, rows, steps, length, MASKED), channels < inner
    wanted = there[:, None] & inside[None, :]
    q, arrived, gate = arriving(dy, dy_row, z, z_row, rows, channels, wanted, GATED)
    step, x = sizes(dt, dt_row, rows, channels, wanted, SOFT), tile(u, u_row, rows, channels, wanted)
    after = tl.flip(sizes_after(dt, dt_row, keep, rows, steps, length, channels, inside, SOFT, MASKED, T), 0)
    skip = tl.load(D + channels, mask=inside, other=0.0)[None, :]
    tl.store(dD + chunk * inner + channels, tl.sum(q * x, 0), mask=inside)
    drive, out, to_rate, to_drive = step * x, skip * x, tl.zeros_like(x), tl.zeros_like(x)
    between += (chunk + batch) * states * inner
    behind += (chunk + batch + 1) * states * inner
    for n in range(states):
        rate = tl.load(rates + n * inner + channels, mask=inside, other=0.0)[None, :]
        before = tl.load(between + n * inner + channels, mask=inside, other=0.0)[None, :]
        beyond = tl.load(behind + n * inner + channels, mask=inside, other=0.0)[None, :]
        enter = column(B, n, batch, chunk, states, chunks, T)
        read = column(C, n, batch, chunk, states, chunks, T)
        decay, add = tl.exp2(rate * step), drive * enter
        new = tl.where((steps % T == 0)[:, None], decay * before + add, add)
        _product, h = tl.associative_scan((decay, new), 0, chained)
        new = tl.where(((steps + 1) % T == 0)[:, None], read * q + beyond, read * q)
        _product, g = tl.associative_scan((tl.exp2(rate * after), tl.flip(new, 0)), 0, chained)
        g = tl.flip(g, 0)
        p = g * (h - add)
        out += read * h
        to_rate += p * rate
        to_drive += g * enter
        tl.store(dA + (chunk * states + n) * inner + channels, tl.sum(p * step, 0), mask=inside)
        to = (((batch * states + n) * blocks + block) * chunks + chunk % chunks) * T + tl.arange(0, T)
        tl.store(dB + to, tl.sum(g * drive, 1))
        tl.store(dC + to, tl.sum(q * h, 1))
    x = tile(u, u_row, rows, channels, wanted)  # anew, since registers are scarce in the loop
    q, arrived, gate = arriving(dy, dy_row, z, z_row, rows, channels, wanted, GATED)
    to_step = to_rate * 0.6931471805599453 + to_drive * x
    if SOFT:
        to_step *= tl.sigmoid(tile(dt, dt_row, rows, channels, wanted))
    at, stored = rows[:, None] * inner + channels[None, :], (steps < length)[:, None] & inside[None, :]
    if GATED:
        half = tl.sigmoid(gate)
        tl.store(dz + at, arrived * out * half * (1.0 + gate * (1.0 - half)), mask=stored)
    tl.store(du + at, to_drive * step + skip * q, mask=stored)
    tl.store(ddt + at, tl.where(wanted, to_step, 0.0), mask=stored)
