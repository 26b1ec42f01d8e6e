"""Lay synapses out for `neurofmx.kernels.cpu.synapses`, and gather their gradients from there.

Shapes: weight `w`, midpoint `mu`, steepness `sigma` and reversal potential `erev` (sources, neurons), `wired` likewise,
or (0, 0) where every source meets every neuron.
"""

from __future__ import annotations

import math

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.sigmoid import opposite_numbers
from neurofmx.kernels.cpu.simd.tiles import OPTIONS
from neurofmx.kernels.cpu.synapses import PARTS, Synapses

_PER_LN2 = 1 / math.log(2)


def synapses_of(
    w: np.ndarray, mu: np.ndarray, sigma: np.ndarray, erev: np.ndarray, wired: np.ndarray, rows: int
) -> Synapses:
    """Lays synapses out.

    Args:
        w: Weights, 0 or more.
        mu: Midpoints.
        sigma: Steepnesses.
        erev: Reversal potentials.
        wired: Which synapses there are.
        rows: Numbers in a row of sources, even, at least as many as there are sources.

    Returns:
        The synapses.
    """
    groups, numbers = room_of(w, rows)
    ranges, reach = np.zeros((groups, 2), np.int64), np.zeros((rows, 2), w.dtype)
    _lay_out(w, mu, sigma, erev, wired, numbers, ranges, reach)
    return Synapses(numbers.reshape(-1), ranges, reach, opposite_numbers(w.dtype.type))


def room_of(w: np.ndarray, rows: int) -> tuple[int, np.ndarray]:
    """Groups of neurons, and zeros for all synapses (groups, rows, parts, lanes)."""
    lanes = BYTES // w.itemsize
    groups = -(-w.shape[1] // lanes)
    return groups, aligned((groups, rows, PARTS, lanes), w.dtype)


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a cache line."""
    size = math.prod(shape)
    buffer = np.zeros(size + BYTES // dtype.itemsize, dtype)
    skip = -buffer.ctypes.data % BYTES // dtype.itemsize
    return buffer[skip : skip + size].reshape(shape)


@njit(cache=True, **OPTIONS)
def _lay_out(w, mu, sigma, erev, wired, numbers, ranges, reach):
    """Fills the layout; a range of sources is as short as the wiring allows."""
    groups, lanes = numbers.shape[0], numbers.shape[3]
    sources, neurons = w.shape
    scale = w.dtype.type(_PER_LN2)
    for group in range(groups):
        low, high = sources, 0
        for i in range(sources):
            for lane in range(min(lanes, neurons - group * lanes)):
                j = group * lanes + lane
                if wired.shape[0] and not wired[i, j]:
                    continue
                low, high = min(low, i), i + 1
                slope, offset = -scale * sigma[i, j], scale * sigma[i, j] * mu[i, j]
                numbers[group, i, 0, lane] = slope
                numbers[group, i, 1, lane] = offset
                numbers[group, i, 2, lane] = w[i, j] * erev[i, j]
                numbers[group, i, 3, lane] = w[i, j]
                reach[i, 0] = max(reach[i, 0], abs(slope))
                reach[i, 1] = max(reach[i, 1], abs(offset))
        ranges[group, 0], ranges[group, 1] = low // 2 * 2, (high + 1) // 2 * 2
        if low >= high:
            ranges[group] = 0


@njit(cache=True, **OPTIONS)
def gather(w, mu, sigma, erev, wired, gradients, dw, dmu, dsigma, derev):
    """Makes gradients of the parameters out of those that the loops find.

    Args:
        w: Weights.
        mu: Midpoints.
        sigma: Steepnesses.
        erev: Reversal potentials.
        wired: Which synapses there are.
        gradients: What `add_to_synapses` found, laid out as its synapses.
        dw: Output, gradient of the weights; synapses that are not there have none.
        dmu: Output.
        dsigma: Output.
        derev: Output.
    """
    lanes, one, none = BYTES // w.itemsize, w.dtype.type(1), w.dtype.type(0)
    groups = (w.shape[1] + lanes - 1) // lanes
    found = gradients.reshape(groups, -1, PARTS, lanes)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            group, lane = j // lanes, j % lanes
            there = one if wired.shape[0] == 0 or wired[i, j] else none
            pull, weight = there * found[group, i, 0, lane], there * found[group, i, 1, lane]
            slope, offset = there * found[group, i, 2, lane], there * found[group, i, 3, lane]
            dw[i, j] = weight + erev[i, j] * pull
            derev[i, j] = w[i, j] * pull
            dsigma[i, j] = slope - mu[i, j] * offset
            dmu[i, j] = -sigma[i, j] * offset
