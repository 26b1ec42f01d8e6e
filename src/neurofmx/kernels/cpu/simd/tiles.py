"""Tiles for compiled loops: a few steps of some channels, copied next to each other where a loop works on them.

A tile has `pitch` numbers per step, whole vectors of `neurofmx.kernels.cpu.simd.lanes`. Copying into it is where
strides, masked steps and a last, partly filled vector are dealt with, so that the loops between copies know none of
them. What a mask leaves out is not even read, so NaN in a padded step harms nobody, and is 0 where a tile is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.lanes import BYTES, lanes_in, load, store

Rows = tuple[np.ndarray, int, int]  # the numbers of (batch, length, channels), and the strides by sequence and by step

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def rows_of(sequences: Tensor) -> Rows:
    """Sequences as they lie in memory, for a compiled loop; copied only if a step's channels are apart.

    Args:
        sequences: Sequences (batch, length, channels).

    Returns:
        All numbers from the first to the last, and the strides by sequence and by step, 0 where a row is repeated.
    """
    if sequences.stride(2) != 1 or sequences.numel() == 0:
        once = [slice(None) if stride else slice(1) for stride in sequences.stride()[:2]]
        sequences = sequences[once[0], once[1]].contiguous().expand_as(sequences)
    by_sequence, by_step, _ = sequences.stride()
    batch, length, channels = sequences.shape
    reach = (batch - 1) * by_sequence + (length - 1) * by_step + channels if sequences.numel() else 0
    return sequences.detach().as_strided((reach,), (1,)).numpy(), by_sequence, by_step


def arriving(gradient: Tensor | None, like: Tensor) -> Rows:
    """The gradient that arrives at an output, as `rows_of` gives it; a sum hands back one row for all steps.

    Args:
        gradient: The gradient (batch, length, channels), or `None` for zeros.
        like: What has the shape and the type of number that it would have.

    Returns:
        As `rows_of`.
    """
    return rows_of(like.new_zeros(like.shape[2]).expand(like.shape) if gradient is None else gradient)


def numbers_of(tensor: Tensor) -> np.ndarray:
    """A tensor's numbers for a compiled loop, contiguous."""
    return tensor.detach().contiguous().numpy()


def array_of(tensor: Tensor | None, like: Tensor, *, axes: int) -> np.ndarray:
    """A tensor's numbers for a compiled loop.

    Args:
        tensor: A tensor, or `None`.
        like: What has the type of number that it would have.
        axes: Its number of axes.

    Returns:
        The numbers, contiguous; an empty array for `None`.
    """
    if tensor is None:
        return like.new_empty((0,) * axes).numpy()
    return numbers_of(tensor)


@njit(**OPTIONS)
def space(size, like):
    """Room for numbers, zeros from the start of a cache line on, as a vector across two lines takes twice the time."""
    buffer = np.zeros(size + BYTES // like.itemsize, like.dtype)
    skip = (-buffer.ctypes.data) % BYTES // like.itemsize
    return buffer[skip : skip + size]


@njit(**OPTIONS)
def scratch(rows, size, like):
    """Rows of zeros, each from the start of a cache line on."""
    lanes = BYTES // like.itemsize
    pitch = -(-size // lanes) * lanes
    return space(rows * pitch, like).reshape(rows, pitch)


@njit(**OPTIONS)
def counts(mask, b, t):
    """Whether a step counts; without a mask they all do."""
    return mask.shape[0] == 0 or mask[b, t]


@njit(**OPTIONS)
def copy(to, place, source, at, width):
    """Copies numbers, whole vectors first."""
    lanes = lanes_in(to)
    whole = width // lanes * lanes
    for i in range(0, whole, lanes):
        store(to, place + i, load(source, at + i))
    for i in range(whole, width):
        to[place + i] = source[at + i]


@njit(**OPTIONS)
def read_tile(tile, pitch, rows, mask, b, t0, steps, c0, width, nothing):
    """Fills a tile with `steps` steps from `t0` and `width` channels from `c0` of sequence `b`, else with `nothing`."""
    numbers, by_sequence, by_step = rows
    for t in range(steps):
        filled = width if counts(mask, b, t0 + t) else 0
        copy(tile, t * pitch, numbers, b * by_sequence + (t0 + t) * by_step + c0, filled)
        for i in range(t * pitch + filled, (t + 1) * pitch):
            tile[i] = nothing


@njit(**OPTIONS)
def write_tile(to, tile, pitch, mask, b, t0, steps, c0, width):
    """Writes a tile to its steps and channels of `to` (batch, length, channels)."""
    numbers, (_, length, channels) = to.reshape(-1), to.shape
    for t in range(steps):
        at = (b * length + t0 + t) * channels + c0
        if counts(mask, b, t0 + t):
            copy(numbers, at, tile, t * pitch, width)
        else:
            numbers[at : at + width] = 0


@njit(**OPTIONS)
def spread(to, source, b, c0, width, factor):
    """`source[b, channel, state]` times a factor in the order of vectors: group of channels, state, channel.

    Lanes without a channel become 0, or what a loop left there would get into sums over lanes.
    """
    lanes, (_, channels, states) = BYTES // to.itemsize, source.shape
    numbers = source.reshape(-1)
    for c in range(-(-width // lanes) * lanes):
        here, there = (b * channels + c0 + c) * states, c // lanes * states * lanes + c % lanes
        for n in range(states):
            to[there + n * lanes] = numbers[here + n] * factor if c < width else to.dtype.type(0)


@njit(**OPTIONS)
def gather(to, source, b, c0, width):
    """The reverse of `spread`, without the factor."""
    lanes, (_, channels, states) = BYTES // to.itemsize, to.shape
    numbers = to.reshape(-1)
    for c in range(width):
        here, there = (b * channels + c0 + c) * states, c // lanes * states * lanes + c % lanes
        for n in range(states):
            numbers[here + n] = source[there + n * lanes]


@njit(cache=True, **OPTIONS)
def add_up(parts, to):
    """Sums over the first axis of (parts, numbers), first part first."""
    to[:] = 0
    for k in range(parts.shape[0]):
        for i in range(to.shape[0]):
            to[i] += parts[k, i]
