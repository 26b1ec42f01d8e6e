"""The compiled attention with a window, backward.

Symbols: those of `neurofmx.kernels.cpu.window_attention`; `g` gradient that arrives.

    ds = (w g[q].V[k] - p g[q].y[q]) / sqrt(E),   dQ[q] = sum_k ds K[k],   dK[k] = sum_q ds Q[q],   dV[k] = sum_q w g[q]

A job sums up the gradients of all keys that the queries of its span see, and leaves those of keys before the span for
`settle` to add, in an order that does not depend on the number of threads.

Source:
    Dao et al. (2022), FlashAttention, algorithm 4.
"""

from __future__ import annotations

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.address import hold, start_of
from neurofmx.kernels.cpu.simd.dropped import hash_column, hash_rows, mix, thin
from neurofmx.kernels.cpu.simd.exp2 import exp2_within
from neurofmx.kernels.cpu.simd.lanes import above, lanes_in, load, splat, splats, store, total, zeros
from neurofmx.kernels.cpu.simd.part import load_first, store_first
from neurofmx.kernels.cpu.simd.products import multiply
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, scratch
from neurofmx.kernels.cpu.window_attention import CHUNK, clear, hide, into_lanes, out_of_lanes, read, write


@njit(**OPTIONS)
def _slope(room, y, g, pitch, count):
    """`g[q].y[q]` of the rows of a tile, a query in every lane; `y` is overwritten."""
    lanes = lanes_in(room)
    for q in range(count):
        dot = load(room, y + q * pitch) * load(room, g + q * pitch)
        for c in range(q * pitch + lanes, (q + 1) * pitch, lanes):
            dot = dot + load(room, y + c) * load(room, g + c)
        room[y + q] = total(dot)
    return load(room, y)


@njit(cache=True, **OPTIONS)
def backward(first, last, given, y, marks, arrived, dqueries, dboth, earlier):
    """Runs jobs `first` to `last`, exclusive.

    Args:
        first: A job.
        last: A later job.
        given: What the attention is given.
        y: Outputs.
        marks: What the forward kept.
        arrived: Gradient of the outputs.
        dqueries: Takes the gradient of the queries (batch, length, heads E).
        dboth: Takes that of keys and values (batch, keys, 2 heads E).
        earlier: Takes the part of it that belongs to keys before a span, by the later span
            (batch, heads, spans - 1, 2, window - 1, E).
    """
    (_, length, width), heads, lanes = dqueries.shape, given.heads, lanes_in(dqueries)
    size, every_key, window = width // heads, dboth.shape[1], given.window
    pitch, spans = -(-size // lanes) * lanes, -(-length // given.span)
    (queries, by_queries, by_query), (both, by_both, by_key) = given.queries, given.both
    (outputs, by_outputs, by_output), (gradients, by_gradients, by_gradient) = y, arrived
    Q, KV, Y, G, kept = start_of(queries), start_of(both), start_of(outputs), start_of(gradients), start_of(marks)
    dQ, dKV, halo = start_of(dqueries), start_of(dboth), start_of(earlier)
    tile, edges, s = pitch * lanes, 0, 3 * lanes
    w, q = s + CHUNK * lanes, s + 2 * CHUNK * lanes
    x, g, turned, found, out = q + tile, q + 2 * tile, q + 3 * tile, q + 4 * tile, q + 5 * tile
    dk, most = out + tile, min(every_key, given.span + window - 1) * pitch
    held, hashes = scratch(1, dk + 2 * most, dqueries)[0], np.empty(lanes, np.uint32)
    room, words = start_of(held), start_of(hashes)
    held[edges + lanes : edges + 2 * lanes] = -np.inf
    table, floor = splats(given.powers), splat(given.floor)
    (grow, scale, factor), mixed = splats(given.numbers), mix(given.high)
    for job in range(first, last):
        head, span, b = job % heads, job // heads % spans, job // (heads * spans)
        c0, own = head * size, given.past + span * given.span
        start, stop = max(0, own - window + 1), min(own + given.span, every_key)
        dv = dk + (stop - start) * pitch
        clear(room, dk, 2 * (stop - start) * pitch)
        for q0 in range(span * given.span, min(length, (span + 1) * given.span), lanes):
            count, at = min(lanes, length - q0), given.past + q0
            read(room, q, pitch, Q, b * by_queries + q0 * by_query + c0, by_query, count, size)
            read(room, g, pitch, G, b * by_gradients + q0 * by_gradient + c0, by_gradient, count, size)
            read(room, out, pitch, Y, b * by_outputs + q0 * by_output + c0, by_output, count, size)
            into_lanes(room, x, q, pitch)
            into_lanes(room, turned, g, pitch)
            slope = _slope(room, out, g, pitch, count)
            if given.drops:
                hash_rows(words, lanes, given.low, b * heads + head, at)
            place = (b * heads + head) * 2 * length + q0
            m, inverse = load_first(kept, place, count), load_first(kept, place + length, count)
            clear(room, found, tile)
            for k0 in range(max(0, at - window + 1), at + count, CHUNK):
                keys, place = min(CHUNK, at + count - k0), b * by_both + k0 * by_key + c0
                multiply(room, s, lanes, KV, place, by_key, 1, room, x, lanes, keys, size, False)
                hide(room, s, edges, k0, keys, at, window)
                multiply(room, w, lanes, KV, place + width, by_key, 1, room, turned, lanes, keys, size, False)
                for i in range(0, keys * lanes, lanes):
                    p = exp2_within(above(load(room, s + i) - m, floor), factor, table) * inverse
                    stays = p * grow
                    if given.drops:
                        stays = thin(stays, words, hash_column(mixed, k0 + i // lanes), given.threshold)
                    store(room, s + i, (stays * load(room, w + i) - p * slope) * scale)
                    store(room, w + i, stays)
                multiply(room, found, lanes, KV, place, 1, by_key, room, s, lanes, size, keys, True)
                into = (k0 - start) * pitch
                for c in range(0, pitch, lanes):
                    multiply(room, dk + into + c, pitch, room, s, lanes, 1, room, q + c, pitch, keys, count, True)
                    multiply(room, dv + into + c, pitch, room, w, lanes, 1, room, g + c, pitch, keys, count, True)
            out_of_lanes(room, out, found, pitch)
            write(dQ, (b * length + q0) * width + c0, width, room, out, pitch, count, size)
        before = 0 if span == 0 else own - start
        for i in range(2):
            sums, into = dk + i * (stop - start) * pitch, (b * every_key * 2 + i) * width + c0
            place = (((b * heads + head) * (spans - 1) + span - 1) * 2 + i) * (window - 1) * size
            write(halo, place, size, room, sums, pitch, before, size)
            here = start + before
            write(dKV, into + here * 2 * width, 2 * width, room, sums + before * pitch, pitch, stop - here, size)
            for k in range(start if span == 0 else 0):
                for e in range(0, size, lanes):
                    store_first(dKV, into + k * 2 * width + e, size - e, zeros(dboth))
    hold(held)
    hold(hashes)


@njit(cache=True, **OPTIONS)
def settle(first, last, past, window, span, earlier, dboth):
    """Adds what spans left for the keys before them; a job is a head of a sequence, its spans come in order."""
    (_, heads, later, _, rows, size), (_, every_key, width) = earlier.shape, dboth.shape
    to, source = dboth.reshape(-1), earlier.reshape(-1)
    for job in range(first, last):
        b, head = job // heads, job % heads
        for n in range(later):
            own = past + (n + 1) * span
            start = max(0, own - window + 1)
            for i in range(2):
                there = ((job * later + n) * 2 + i) * rows * size
                into = (b * every_key + start) * width + i * width // 2 + head * size
                for k in range(own - start):
                    for e in range(size):
                        to[into + k * width + e] += source[there + k * size + e]
