"""The compiled causal convolution with SiLU, forward and backward.

Symbols: those of `neurofmx.kernels.causal_conv`; `a` what goes into the SiLU, `g` gradient that arrives there.

    forward    a[t] = bias + sum_k w[k] u[t - K + 1 + k],    y[t] = a sigmoid(a)
    backward   g[t] = dy[t] silu'(a[t]),                     du[t] = sum_k w[k] g[t + K - 1 - k]
               dw[k] = sum_t g[t] u[t - K + 1 + k],          dbias = sum_t g[t]

A job is a block of channels of one sequence or of several short ones. It goes through time in tiles
(`neurofmx.kernels.cpu.simd.tiles`): a tile of inputs has the K - 1 steps before it on top, a tile of `g` the K - 1
steps after it below. The backward computes `a` again, so nothing but the inputs is kept.
"""

from __future__ import annotations

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.fastmath import sigmoid, widest_lanes
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, store
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, copy, read_tile, scratch, space, write_tile

TILE = 32  # steps, or as many as the convolution is wide
BLOCK = 256  # channels of a job
FEWEST = 256  # steps of a job, in several sequences if need be


@njit(cache=True, **OPTIONS)
def together(length):
    """How many sequences of a length make a job: short ones share what is done once per job."""
    return max(1, FEWEST // length)


@njit(**OPTIONS)
def silu(a, size):
    """Replaces numbers by their SiLU."""
    widest_lanes()
    for i in range(size):
        a[i] *= sigmoid(a[i])


@njit(**OPTIONS)
def through_silu(a, arrived, size):
    """Replaces numbers by their part in a gradient: `arrived` times the slope of the SiLU there."""
    widest_lanes()
    one = a.dtype.type(1)
    for i in range(size):
        s = sigmoid(a[i])
        a[i] = arrived[i] * (s * (one + a[i] * (one - s)))


@njit(**OPTIONS)
def read_inputs(x, pitch, rows, start, taps, b, t0, steps, c0, width):
    """Fills a tile with `steps` steps of inputs and the `taps - 1` before them."""
    numbers, by_sequence, by_step = rows
    for j in range(taps - 1 + steps):
        t = t0 - taps + 1 + j
        filled = width if t >= 0 or start.shape[0] > 0 else 0
        if t >= 0:
            copy(x, j * pitch, numbers, b * by_sequence + t * by_step + c0, width)
        elif filled > 0:
            copy(x, j * pitch, start[b, taps - 1 + t], c0, width)
        x[j * pitch + filled : (j + 1) * pitch] = 0


@njit(**OPTIONS)
def convolve(a, x, weight, bias, taps, steps, pitch):
    """A tile of `a` from a tile of inputs."""
    lanes = BYTES // a.itemsize
    for t in range(steps):
        for c in range(0, pitch, lanes):
            i = t * pitch + c
            total = load(bias, c)
            for k in range(taps):
                total = total + load(weight, k * pitch + c) * load(x, i + k * pitch)
            store(a, i, total)


@njit(**OPTIONS)
def correlate(du, g, x, weight, dweight, dbias, taps, steps, pitch):
    """The gradients of a tile of inputs, and additions to those of weight and bias."""
    lanes = BYTES // g.itemsize
    for c in range(0, pitch, lanes):
        to_bias = load(dbias, c)
        for t in range(steps):
            i = t * pitch + c
            back = load(weight, c) * load(g, i + (taps - 1) * pitch)
            for k in range(1, taps):
                back = back + load(weight, k * pitch + c) * load(g, i + (taps - 1 - k) * pitch)
            store(du, i, back)
            to_bias = to_bias + load(g, i)
        store(dbias, c, to_bias)
        for k in range(taps):
            to_weight = load(dweight, k * pitch + c)
            for t in range(steps):
                i = t * pitch + c
                to_weight = to_weight + load(g, i) * load(x, i + k * pitch)
            store(dweight, k * pitch + c, to_weight)


@njit(**OPTIONS)
def correlate_start(to, g, weight, taps, pitch, c0, width):
    """The gradient of the inputs before the first, from the first tile of `g`."""
    for j in range(taps - 1):
        for c in range(width):
            to[j, c0 + c] = 0
        for k in range(j + 1):
            for c in range(width):
                to[j, c0 + c] += weight[k * pitch + c] * g[(j - k) * pitch + c]


@njit(cache=True, **OPTIONS)
def forward(first, last, rows, weight, bias, start, y):
    """Runs jobs `first` to `last`, exclusive.

    Args:
        first: A job.
        last: A later job.
        rows: Inputs.
        weight: (taps, channels).
        bias: (channels,).
        start: The `taps - 1` inputs before the first (batch, taps - 1, channels); empty for zeros.
        y: Takes the outputs (batch, length, channels).
    """
    batch, length, channels = y.shape
    taps, lanes, shared = weight.shape[0], BYTES // y.itemsize, together(length)
    blocks, pitch = -(-channels // BLOCK), min(BLOCK, -(-channels // lanes) * lanes)
    everything, tile = np.empty((0, 0), np.bool_), max(TILE, taps)
    x, a = space((tile + taps - 1) * pitch, y), space(tile * pitch, y)
    w, shift = space(taps * pitch, y), space(pitch, y)
    for job in range(first, last):
        c0 = job % blocks * BLOCK
        width = min(BLOCK, channels - c0)
        copy(shift, 0, bias, c0, width)
        for k in range(taps):
            copy(w, k * pitch, weight[k], c0, width)
        for b in range(job // blocks * shared, min(batch, (job // blocks + 1) * shared)):
            for t0 in range(0, length, tile):
                steps = min(tile, length - t0)
                read_inputs(x, pitch, rows, start, taps, b, t0, steps, c0, width)
                convolve(a, x, w, shift, taps, steps, pitch)
                silu(a, steps * pitch)
                write_tile(y, a, pitch, everything, b, t0, steps, c0, width)


@njit(cache=True, **OPTIONS)
def backward(first, last, rows, weight, bias, start, dy, du, dweight, dbias, dstart):
    """Runs jobs `first` to `last`, exclusive, in reverse.

    Args:
        first: A job.
        last: A later job.
        rows: Inputs.
        weight: (taps, channels).
        bias: (channels,).
        start: As in `forward`.
        dy: Gradient of the outputs.
        du: Takes the gradient of the inputs (batch, length, channels).
        dweight: Takes that of the weight, per `together` sequences (parts, taps, channels).
        dbias: Likewise (parts, channels).
        dstart: Takes that of the inputs before the first (batch, taps - 1, channels); not if empty.
    """
    batch, length, channels = du.shape
    taps, lanes, shared, zero = weight.shape[0], BYTES // du.itemsize, together(length), du.dtype.type(0)
    blocks, pitch = -(-channels // BLOCK), min(BLOCK, -(-channels // lanes) * lanes)
    everything, above, tile = np.empty((0, 0), np.bool_), taps - 1, max(TILE, taps)
    room = scratch(3, (tile + above) * pitch, du)
    x, g, made = room[0], room[1], room[2]
    room = scratch(2, taps * pitch, du)
    w, to_weight = room[0], room[1]
    room = scratch(2, pitch, du)
    shift, to_bias = room[0], room[1]
    for job in range(first, last):
        c0 = job % blocks * BLOCK
        width = min(BLOCK, channels - c0)
        copy(shift, 0, bias, c0, width)
        for k in range(taps):
            copy(w, k * pitch, weight[k], c0, width)
        to_weight[:] = 0
        to_bias[:] = 0
        for b in range(job // blocks * shared, min(batch, (job // blocks + 1) * shared)):
            g[: above * pitch] = 0
            for t0 in range((length - 1) // tile * tile, -1, -tile):
                steps = min(tile, length - t0)
                read_inputs(x, pitch, rows, start, taps, b, t0, steps, c0, width)
                read_tile(made, pitch, dy, everything, b, t0, steps, c0, width, zero)
                copy(g, steps * pitch, g, 0, above * pitch)  # the later tile's first steps
                convolve(g, x, w, shift, taps, steps, pitch)
                through_silu(g, made, steps * pitch)
                correlate(made, g, x, w, to_weight, to_bias, taps, steps, pitch)
                write_tile(du, made, pitch, everything, b, t0, steps, c0, width)
            if dstart.shape[0] > 0:
                correlate_start(dstart[b], g, w, taps, pitch, c0, width)
        for k in range(taps):
            copy(dweight[job // blocks, k], c0, to_weight, k * pitch, width)
        copy(dbias[job // blocks], c0, to_bias, 0, width)
