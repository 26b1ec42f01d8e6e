"""The compiled selective scan, forward and backward: tiles of time around the loops of `selective_scan_steps`.

A job is a stripe of channels of one sequence or of several short ones. It goes through time in tiles
(`neurofmx.kernels.cpu.simd.tiles`), and in a tile through one group of channels after the other, so that their states
stay in the nearest cache. The forward keeps the states at the start of every tile; the backward starts from these,
takes a group through its tile again and back. Sums over channels are made per block of channels, so that no bit depends
on the number of threads and the width of the stripes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.gate import gate, gate_with_slope, multiply, soften, soften_with_slope
from neurofmx.kernels.cpu.selective_scan_steps import advance, retreat, size_of, totals
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, Rows, copy, gather, read_tile, scratch, space, spread, write_tile

TILE = 32  # steps
BLOCK = 256  # channels whose gradients of B and C are added up together
WIDEST = 512  # channels of a job, which reads memory faster the wider it is
FEWEST = 64  # steps of a job, in several sequences if need be
_PER_LN2 = 1 / math.log(2)


class Given(NamedTuple):
    """What the scan is given.

    Args:
        u: Inputs.
        dt: Step sizes, or what they are the softplus of.
        B: Input coefficients.
        C: Output coefficients.
        z: Gate; any rows without one.
        A: Rates (1, d_inner, d_state).
        D: Weight of the input (d_inner,).
        start: First state (batch, d_inner, d_state); empty for zeros.
        mask: Steps that count (batch, length); empty if all do.
        soft: Whether `dt` wants its softplus.
        gated: Whether there is a gate.
        numbers: Those of `exp2`.
    """

    u: Rows
    dt: Rows
    B: Rows
    C: Rows
    z: Rows
    A: np.ndarray
    D: np.ndarray
    start: np.ndarray
    mask: np.ndarray
    soft: bool
    gated: bool
    numbers: tuple[np.floating, ...]


class Gradients(NamedTuple):
    """Where the gradients go, named after what they belong to.

    Args:
        u: (batch, length, d_inner).
        dt: (batch, length, d_inner).
        A: Per `together` sequences (parts, d_inner, d_state).
        B: Per block of channels (blocks, batch, length, d_state).
        C: Like `B`.
        D: Like `A` (parts, d_inner).
        z: (batch, length, d_inner); empty without a gate.
        start: (batch, d_inner, d_state), or empty.
    """

    u: np.ndarray
    dt: np.ndarray
    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    z: np.ndarray
    start: np.ndarray


@njit(cache=True, **OPTIONS)
def together(length):
    """How many sequences of a length make a job: short ones share what is done once per job."""
    return max(1, FEWEST // length)


@njit(**OPTIONS)
def _read_tiles(dt, u, z, B, C, given, pitch, b, t0, steps, c0, width):
    """Reads a tile of everything given; a step that does not count gets a size of 0, which holds the state."""
    zero = given.D.dtype.type(0)
    idle = given.D.dtype.type(-np.inf) if given.soft else zero
    states = given.A.shape[2]
    read_tile(dt, pitch, given.dt, given.mask, b, t0, steps, c0, width, idle)
    read_tile(u, pitch, given.u, given.mask, b, t0, steps, c0, width, zero)
    read_tile(B, states, given.B, given.mask, b, t0, steps, 0, states, zero)
    read_tile(C, states, given.C, given.mask, b, t0, steps, 0, states, zero)
    if given.gated:
        read_tile(z, pitch, given.z, given.mask, b, t0, steps, c0, width, zero)


@njit(**OPTIONS)
def _read_states(h, source, b, c0, width):
    """States of a stripe of channels, or zeros if `source` is empty."""
    if source.shape[0] > 0:
        spread(h, source, b, c0, width, h.dtype.type(1))
    else:
        h[:] = 0


@njit(cache=True, **OPTIONS)
def forward(first, last, wide, given, y, end, marks):
    """Runs jobs `first` to `last`, exclusive.

    Args:
        first: A job.
        last: A later job.
        wide: Channels of a job, a multiple of `BLOCK`.
        given: What the scan is given.
        y: Takes the outputs (batch, length, d_inner).
        end: Takes the last state (batch, d_inner, d_state).
        marks: Takes the states before every tile but the first (batch, tiles - 1, padded d_inner times d_state), or
            is empty.
    """
    batch, length, inner = y.shape
    states, lanes = end.shape[2], BYTES // y.itemsize
    stripes, pitch, shared = -(-inner // wide), min(wide, -(-inner // lanes) * lanes), together(length)
    tiles, narrow, held = scratch(4, TILE * pitch, y), scratch(2, TILE * states, y), scratch(2, pitch * states, y)
    dt, u, z, made, B, C, rates, h = (
        tiles[0], tiles[1], tiles[2], tiles[3], narrow[0], narrow[1], held[0], held[1],
    )  # fmt: skip
    D = space(pitch, y)
    for job in range(first, last):
        c0 = job % stripes * wide
        width = min(wide, inner - c0)
        groups = -(-width // lanes)
        spread(rates, given.A, 0, c0, width, y.dtype.type(_PER_LN2))
        fastest = size_of(rates, groups * lanes * states)
        copy(D, 0, given.D, c0, width)
        for b in range(job // stripes * shared, min(batch, (job // stripes + 1) * shared)):
            _read_states(h, given.start, b, c0, width)
            for t0 in range(0, length, TILE):
                steps = min(TILE, length - t0)
                if t0 > 0 and marks.shape[1] > 0:
                    copy(marks[b, t0 // TILE - 1], c0 * states, h, 0, groups * lanes * states)
                _read_tiles(dt, u, z, B, C, given, pitch, b, t0, steps, c0, width)
                if given.soft:
                    soften(dt, steps * pitch)
                tame = size_of(dt, steps * pitch) * fastest <= -given.numbers[0]
                for g in range(groups):
                    advance(
                        g, steps, pitch, states, dt, u, rates, B, C, D, given.numbers, tame, h, made, False, D, D, D, D
                    )
                if given.gated:
                    gate(made, z, steps * pitch)
                write_tile(y, made, pitch, given.mask, b, t0, steps, c0, width)
            gather(end, h, b, c0, width)


@njit(cache=True, **OPTIONS)
def backward(first, last, wide, given, marks, dy, dend, to):
    """Runs jobs `first` to `last`, exclusive, in reverse.

    Args:
        first: A job.
        last: A later job.
        wide: Channels of a job, a multiple of `BLOCK`.
        given: What the scan was given.
        marks: The states before every tile but the first.
        dy: Gradient of the outputs.
        dend: Gradient of the last state (batch, d_inner, d_state); empty for zeros.
        to: Takes the gradients.
    """
    batch, length, inner = to.u.shape
    states, lanes, zero = to.A.shape[2], BYTES // dend.itemsize, dend.dtype.type(0)
    stripes, pitch, shared = -(-inner // wide), min(wide, -(-inner // lanes) * lanes), together(length)
    tiles, narrow, held = (
        scratch(6, TILE * pitch, dend),
        scratch(2, TILE * states, dend),
        scratch(4, pitch * states, dend),
    )
    dt, u, z, made, q, slopes = tiles[0], tiles[1], tiles[2], tiles[3], tiles[4], tiles[5]
    B, C, rates, h, arrived, dA = narrow[0], narrow[1], held[0], held[1], held[2], held[3]
    size = min(TILE, length) * states * lanes
    history, sums = scratch(2, size, dend), scratch(2, size // 4, dend)
    decays, faded, dB, dC = history[0], history[1], sums[0], sums[1]
    D, dD = space(pitch, dend), space(pitch, dend)
    for job in range(first, last):
        c0 = job % stripes * wide
        width = min(wide, inner - c0)
        groups = -(-width // lanes)
        spread(rates, given.A, 0, c0, width, dend.dtype.type(_PER_LN2))
        fastest = size_of(rates, groups * lanes * states)
        copy(D, 0, given.D, c0, width)
        dA[:] = 0
        dD[:] = 0
        for b in range(job // stripes * shared, min(batch, (job // stripes + 1) * shared)):
            _read_states(arrived, dend, b, c0, width)
            for t0 in range((length - 1) // TILE * TILE, -1, -TILE):
                steps = min(TILE, length - t0)
                if t0 > 0:
                    copy(h, 0, marks[b, t0 // TILE - 1], c0 * states, groups * lanes * states)
                else:
                    _read_states(h, given.start, b, c0, width)
                _read_tiles(dt, u, z, B, C, given, pitch, b, t0, steps, c0, width)
                read_tile(q, pitch, dy, given.mask, b, t0, steps, c0, width, zero)
                if given.soft:
                    soften_with_slope(dt, slopes, steps * pitch)
                tame = size_of(dt, steps * pitch) * fastest <= -given.numbers[0]
                if given.gated:
                    gate_with_slope(q, z, steps * pitch)
                for g in range(groups):
                    if g * lanes % BLOCK == 0:
                        dB[:] = 0
                        dC[:] = 0
                    advance(
                        g,
                        steps,
                        pitch,
                        states,
                        dt,
                        u,
                        rates,
                        B,
                        C,
                        D,
                        given.numbers,
                        tame,
                        h,
                        made,
                        True,
                        q,
                        decays,
                        faded,
                        dC,
                    )
                    retreat(g, steps, pitch, states, dt, u, q, rates, B, C, D, decays, faded, arrived, dA, dB, dD)
                    if (g + 1) * lanes % BLOCK == 0 or g + 1 == groups:
                        totals(to.B[(c0 + g * lanes) // BLOCK, b], dB, t0, steps)
                        totals(to.C[(c0 + g * lanes) // BLOCK, b], dC, t0, steps)
                if given.soft:
                    multiply(dt, slopes, steps * pitch)
                if given.gated:
                    multiply(z, made, steps * pitch)
                    write_tile(to.z, z, pitch, given.mask, b, t0, steps, c0, width)
                write_tile(to.dt, dt, pitch, given.mask, b, t0, steps, c0, width)
                write_tile(to.u, u, pitch, given.mask, b, t0, steps, c0, width)
            if to.start.shape[0] > 0:
                gather(to.start, arrived, b, c0, width)
        gather(to.A, dA, job // stripes, c0, width)
        copy(to.D[job // stripes], c0, dD, 0, width)
