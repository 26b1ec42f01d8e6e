"""The innermost loops of the selective scan: one group of channels, the lanes of a vector, through one tile.

Symbols: those of `neurofmx.kernels.selective_scan`; `e = exp(dt A)` decay, `g` gradient that arrives at a state, `q`
gradient that arrives at an output before the gate.

    forward    h[t] = e[t] h[t-1] + dt[t] u[t] B[t]                        y[t] = sum_n C[t] h[t] + D u[t]
    backward   g[t] = e[t+1] g[t+1] + C[t] q[t],                           p[t] = g[t] e[t] h[t-1]
               d(dt u) = sum_n g B,   ddt = sum_n p A + u d(dt u),         du = dt d(dt u) + D q
               dA = sum_t p dt,       dB = sum_channels g dt u,            dC = sum_channels q h

Tiles `dt`, `u`, `q` and `y` have `pitch` numbers per step, `B` and `C` have `states`. What belongs to a group's states
(`rates` A / ln 2, `h`, `g`, `dA`) has a vector per state, groups one after the other; what belongs to their history
(`decays` e, `faded` e h) has one per step and state, of which the sums over channels `dB` and `dC` have a quarter.
"""

from __future__ import annotations

import math

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.exp2 import exp2, exp2_within
from neurofmx.kernels.cpu.simd.lanes import (
    BYTES,
    every,
    fold,
    larger,
    largest,
    load,
    load_quarter,
    splat,
    splats,
    store,
    total,
)
from neurofmx.kernels.cpu.simd.tiles import OPTIONS

_LN2 = math.log(2)


@njit(**OPTIONS)
def size_of(x, count):
    """The largest number of `count`, without sign; NaN is passed over."""
    found = splat(x.dtype.type(0))
    for i in range(0, count, BYTES // x.itemsize):
        found = larger(load(x, i), found)
    return largest(found)


@njit(**OPTIONS)
def advance(group, steps, pitch, states, dt, u, rates, B, C, D, numbers, tame, h, y, again, q, decays, faded, dC):
    """Takes a group through a tile, `tame` or not; `again`, in the backward, keeps its history and adds to dC."""
    table = splats(numbers)
    lanes = BYTES // h.itemsize
    first = group * states * lanes
    for t in range(steps):
        at = t * pitch + group * lanes
        step, x = load(dt, at), load(u, at)
        drive, out = step * x, load(D, group * lanes) * x
        arrived = load(q, at) if again else x
        for n in range(states):
            k, here = first + n * lanes, (t * states + n) * lanes
            decay = exp2_within(step, load(rates, k), table) if tame else exp2(step, load(rates, k), table)
            before = decay * load(h, k)
            now = before + drive * every(B, t * states + n)
            out = out + every(C, t * states + n) * now
            store(h, k, now)
            if again:
                store(decays, here, decay)
                store(faded, here, before)
                store(dC, here // 4, load_quarter(dC, here // 4) + fold(arrived * now))
        store(y, at, out)


@njit(**OPTIONS)
def retreat(group, steps, pitch, states, dt, u, q, rates, B, C, D, decays, faded, g, dA, dB, dD):
    """Takes a group back through a tile; the gradients of `dt` and `u` take the place of these."""
    lanes = BYTES // g.itemsize
    first, ln2, skip = group * states * lanes, splat(g.dtype.type(_LN2)), load(D, group * lanes)
    to_skip = load(dD, group * lanes)
    for t in range(steps - 1, -1, -1):
        at = t * pitch + group * lanes
        step, x, out = load(dt, at), load(u, at), load(q, at)
        drive = step * x
        to_decay = to_drive = splat(g.dtype.type(0))
        for n in range(states):
            k, here = first + n * lanes, (t * states + n) * lanes
            arrived = load(g, k) + every(C, t * states + n) * out
            p = arrived * load(faded, here)
            to_decay = to_decay + p * load(rates, k)
            to_drive = to_drive + arrived * every(B, t * states + n)
            store(dA, k, load(dA, k) + p * step)
            store(dB, here // 4, load_quarter(dB, here // 4) + fold(arrived * drive))
            store(g, k, arrived * load(decays, here))
        store(dt, at, to_decay * ln2 + to_drive * x)
        store(u, at, to_drive * step + skip * out)
        to_skip = to_skip + out * x
    store(dD, group * lanes, to_skip)


@njit(**OPTIONS)
def totals(to, sums, t0, steps):
    """Adds up the lanes of a tile's history into steps from `t0` of `to` (length, d_state)."""
    lanes, states = BYTES // sums.itemsize, to.shape[1]
    for t in range(steps):
        for n in range(states):
            to[t0 + t, n] = total(load_quarter(sums, (t * states + n) * lanes // 4))
