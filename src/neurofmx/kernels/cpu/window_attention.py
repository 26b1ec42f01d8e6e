"""The compiled attention with a window, forward.

Symbols: those of `neurofmx.kernels.window_attention`; `s` scores, `p` weights, `w` weights as they multiply values,
`m` largest score of a query, `z` sum of its powers.

    s = K[k].Q[q],   p = 2^(c (s - m)) / z,   w = p kept / (1 - dropout),   y[q] = sum_k w V[k]

A tile is as many queries as a vector has lanes, one in each, and meets a chunk of keys at a time; keys and values are
read where they lie, one number for all lanes. With more than one chunk `m` grows and what was summed shrinks. Only `m`
and `1/z` are kept for the backward, which computes the weights again. A job is a span of queries of one head.

Where asked, the entropy of the weights before any is dropped is a by-product: with `d = s - m` and `e = sum_k z p d`,

    H = -sum_k p log p = log z - e / (z sqrt(E))

Source:
    Dao et al. (2022), FlashAttention, algorithm 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.address import hold, start_of
from neurofmx.kernels.cpu.simd.dropped import hash_column, hash_rows, mix, thin
from neurofmx.kernels.cpu.simd.exp2 import exp2_within
from neurofmx.kernels.cpu.simd.lanes import above, lanes_in, load, splat, splats, store, zeros
from neurofmx.kernels.cpu.simd.part import load_first, store_first
from neurofmx.kernels.cpu.simd.products import multiply, turn
from neurofmx.kernels.cpu.simd.sigmoid import divide
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, Rows, scratch

SPAN = 256  # queries of a job, or as many as a window
CHUNK = 192  # keys that meet a tile together


class Given(NamedTuple):
    """What the attention is given.

    Args:
        queries: Queries.
        both: Keys, and values behind them.
        heads: Number of heads.
        past: Keys before the first query.
        window: Keys that a query sees.
        span: Queries of a job.
        drops: Whether weights are dropped.
        threshold: What a hash must reach to keep its weight.
        low: The lower half of the seed.
        high: The upper half.
        numbers: `1 / (1 - dropout)`, `1 / sqrt(E)`, and `c`, which is that by `ln 2`.
        floor: Differences of scores below this, times `c`, have no power but 0.
        powers: Those of `exp2`.
        measures: Whether `e` is added up beside.
    """

    queries: Rows
    both: Rows
    heads: int
    past: int
    window: int
    span: int
    drops: bool
    threshold: np.uint32
    low: np.uint32
    high: np.uint32
    numbers: tuple[np.floating, ...]
    floor: np.floating
    powers: tuple[np.floating, ...]
    measures: bool


@njit(**OPTIONS)
def read(room, into, pitch, source, at, step, rows, size):
    """Copies rows into room, where they are whole vectors with 0 behind the numbers."""
    lanes = lanes_in(room)
    for r in range(rows):
        for e in range(0, size, lanes):
            store(room, into + r * pitch + e, load_first(source, at + r * step + e, size - e))


@njit(**OPTIONS)
def write(to, into, step, room, at, pitch, rows, size):
    """The reverse."""
    lanes = lanes_in(room)
    for r in range(rows):
        for e in range(0, size, lanes):
            store_first(to, into + r * step + e, size - e, load(room, at + r * pitch + e))


@njit(**OPTIONS)
def into_lanes(room, to, rows, pitch):
    """A tile of rows with a query in every lane."""
    lanes = lanes_in(room)
    for c in range(0, pitch, lanes):
        turn(room, to + c * lanes, lanes, room, rows + c, pitch)


@njit(**OPTIONS)
def out_of_lanes(room, to, found, pitch):
    """The reverse."""
    lanes = lanes_in(room)
    for c in range(0, pitch, lanes):
        turn(room, to + c, pitch, room, found + c * lanes, lanes)


@njit(**OPTIONS)
def clear(room, at, count):
    """Fills whole vectors with 0."""
    for i in range(at, at + count, lanes_in(room)):
        store(room, i, zeros(room))


@njit(**OPTIONS)
def hide(room, s, edges, k0, keys, at, window):
    """Minus infinity for scores of keys that a query does not see; `at` is where the first query stands.

    `edges` is a stretch of minus infinity between two of zeros, each as long as a vector.
    """
    lanes = lanes_in(room)
    for k in range(max(k0, at + 1), k0 + keys):
        i = s + (k - k0) * lanes
        store(room, i, load(room, i) + load(room, edges + 2 * lanes - (k - at)))
    for k in range(k0, min(k0 + keys, at - window + lanes)):
        i = s + (k - k0) * lanes
        store(room, i, load(room, i) + load(room, edges + lanes - (window + k - at)))


@njit(cache=True, **OPTIONS)
def forward(first, last, given, y, marks, spread):
    """Runs jobs `first` to `last`, exclusive.

    Args:
        first: A job.
        last: A later job.
        given: What the attention is given.
        y: Takes the outputs (batch, length, heads E).
        marks: Takes `m` and `1/z` (batch, heads, 2, length).
        spread: Takes `e/z` where that is measured (batch, heads, length).
    """
    (_, length, width), heads, lanes, dtype = y.shape, given.heads, lanes_in(y), y.dtype.type
    size, window = width // heads, given.window
    pitch, spans = -(-size // lanes) * lanes, -(-length // given.span)
    (queries, by_queries, by_query), (both, by_both, by_key) = given.queries, given.both
    Q, KV, Y, kept, apart = start_of(queries), start_of(both), start_of(y), start_of(marks), start_of(spread)
    tile, edges, s = pitch * lanes, 0, 3 * lanes
    rows = s + CHUNK * lanes
    x, found = rows + tile, rows + 2 * tile
    held, hashes = scratch(1, found + tile, y)[0], np.empty(lanes, np.uint32)
    room, words = start_of(held), start_of(hashes)
    held[edges + lanes : edges + 2 * lanes] = -np.inf
    table, floor, zero, one = splats(given.powers), splat(given.floor), zeros(y), splat(dtype(1))
    (grow, _, factor), mixed = splats(given.numbers), mix(given.high)
    for job in range(first, last):
        head, span, b = job % heads, job // heads % spans, job // (heads * spans)
        c0 = head * size
        for q0 in range(span * given.span, min(length, (span + 1) * given.span), lanes):
            count, at = min(lanes, length - q0), given.past + q0
            read(room, rows, pitch, Q, b * by_queries + q0 * by_query + c0, by_query, count, size)
            into_lanes(room, x, rows, pitch)
            if given.drops:
                hash_rows(words, lanes, given.low, b * heads + head, at)
            clear(room, found, tile)
            m, z, e = splat(dtype(-np.inf)), zero, zero
            for k0 in range(max(0, at - window + 1), at + count, CHUNK):
                keys, place = min(CHUNK, at + count - k0), b * by_both + k0 * by_key + c0
                multiply(room, s, lanes, KV, place, by_key, 1, room, x, lanes, keys, size, False)
                hide(room, s, edges, k0, keys, at, window)
                before, stop = m, s + keys * lanes
                for i in range(s, stop, lanes):
                    m = above(m, load(room, i))
                fall = above(before - m, floor)
                shrink = exp2_within(fall, factor, table)
                if given.measures:
                    e = (e + z * fall) * shrink
                z = z * shrink
                for i in range(s, stop, lanes):
                    d = above(load(room, i) - m, floor)
                    p = exp2_within(d, factor, table)
                    z = z + p
                    if given.measures:
                        e = e + p * d
                    if given.drops:
                        p = thin(p, words, hash_column(mixed, k0 + (i - s) // lanes), given.threshold)
                    store(room, i, p)
                for i in range(found, found + size * lanes, lanes):
                    store(room, i, load(room, i) * shrink)
                multiply(room, found, lanes, KV, place + width, 1, by_key, room, s, lanes, size, keys, True)
            inverse = divide(one, z)
            for i in range(found, found + size * lanes, lanes):
                store(room, i, load(room, i) * (inverse * grow))
            out_of_lanes(room, rows, found, pitch)
            write(Y, (b * length + q0) * width + c0, width, room, rows, pitch, count, size)
            place = (b * heads + head) * 2 * length + q0
            store_first(kept, place, count, m)
            store_first(kept, place + length, count, inverse)
            if given.measures:
                store_first(apart, (b * heads + head) * length + q0, count, e * inverse)
    hold(held)
    hold(hashes)
