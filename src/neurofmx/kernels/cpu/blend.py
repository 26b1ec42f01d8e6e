"""The gates of a CfC cell in SIMD lanes, forward and backward.

    h = start + share (end - start),    start = tanh(f), end = tanh(g), share = sigmoid(a e + b)

First all exponentials are made, then the rest, as a processor keeps either loop full but not both in one. With
`p = 1 + exp(-2 f)`, `q = 1 + exp(-2 g)` and `r = 1 + exp(-(a e + b))`, one division by `p q r` serves all three.

Layouts: gates (rows, 4 wide), `f, g, a, b` one behind the other; spans `e`, states and their gradients (rows, wide).
Units are filled up to whole vectors (`wide`). Rows may lie apart, their numbers may not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, splat, splats, store
from neurofmx.kernels.cpu.simd.sigmoid import opposite, opposite_numbers, quick_divide

_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
_PER_LN2 = 1 / math.log(2)
# What `opposite` works with, within bounds that three powers of two can be multiplied in
CONSTANTS = {dtype: opposite_numbers(dtype, factors=3) for dtype in (np.float32, np.float64)}


@njit(forceinline=True, **_OPTIONS)
def place_of(rows, row):
    """Where a row begins, in numbers from the first of all; a slice of one row would cost a count of references."""
    return row * (rows.strides[0] // rows.itemsize)


@njit(**_OPTIONS)
def open_gates(gates, spans, constants):
    """Replaces `f, g, b` by `p, q, r`.

    Args:
        gates: Gates of some rows.
        spans: Their elapsed times.
        constants: Of `CONSTANTS`.
    """
    lanes, wide, k = BYTES // gates.itemsize, spans.shape[1], splats(constants)
    once = splat(gates.dtype.type(-_PER_LN2))
    twice = splat(gates.dtype.type(-2 * _PER_LN2))
    for row in range(gates.shape[0]):
        for u in range(0, wide, lanes):
            f = place_of(gates, row) + u
            g, a, b = f + wide, f + 2 * wide, f + 3 * wide
            rate = load(gates, a) * load(spans, place_of(spans, row) + u) + load(gates, b)
            store(gates, f, opposite(load(gates, f) * twice, k))
            store(gates, g, opposite(load(gates, g) * twice, k))
            store(gates, b, opposite(rate * once, k))


@njit(forceinline=True, **_OPTIONS)
def _targets_and_share(gates, f, wide, one):
    """`start`, `end` and `share` out of `p, q, r`."""
    p, q, r = load(gates, f), load(gates, f + wide), load(gates, f + 3 * wide)
    pq = p * q
    both = quick_divide(one, pq * r)
    across = r * both
    half_start, half_end = q * across, p * across
    return half_start + half_start - one, half_end + half_end - one, pq * both


@njit(**_OPTIONS)
def blend(gates, row, h):
    """The state of a row after a step, in place.

    Args:
        gates: Opened gates.
        row: The row.
        h: States.
    """
    lanes, wide, one = BYTES // gates.itemsize, h.shape[1], splat(gates.dtype.type(1))
    for u in range(0, wide, lanes):
        start, end, share = _targets_and_share(gates, place_of(gates, row) + u, wide, one)
        store(h, place_of(h, row) + u, start + share * (end - start))


@njit(**_OPTIONS)
def unblend(gates, spans, row, dh, dspans):
    """Turns the opened gates of a row into the gradients of `f, g, a, b`, in place.

    Args:
        gates: Opened gates.
        spans: Elapsed times.
        row: The row.
        dh: Gradient of the state after the step.
        dspans: Output, gradient of the elapsed times.
    """
    lanes, wide, one = BYTES // gates.itemsize, dh.shape[1], splat(gates.dtype.type(1))
    for u in range(0, wide, lanes):
        f, here = place_of(gates, row) + u, place_of(dh, row) + u
        start, end, share = _targets_and_share(gates, f, wide, one)
        d = load(dh, here)
        dend = d * share
        doffset = dend * (one - share) * (end - start)
        store(dspans, here, doffset * load(gates, f + 2 * wide))
        store(gates, f, (d - dend) * (one - start * start))
        store(gates, f + wide, dend * (one - end * end))
        store(gates, f + 2 * wide, doffset * load(spans, here))
        store(gates, f + 3 * wide, doffset)
