"""Many graded synapses onto the same neurons, as compiled loops in SIMD lanes, forward and backward.

A synapse from source `i` to neuron `j` opens with the source's potential and pulls towards its reversal potential:

    s = sigmoid(sigma (v_i - mu))      N_j = sum_i w erev s      D_j = sum_i w s

The sigmoids take nearly all of the time, and are never stored beyond the first cache: the backward makes them anew,
once for the gradients of the sources and once for those of the synapses, whose sums stay in registers while a loop runs
over all rows.

Layouts, flat: synapses [group of neurons][source][slope, offset, pull = w erev, w][lane], where `2^(slope v + offset)`
is `exp(-sigma (v - mu))`; sources [row][source]; `N` and `D` [row][neuron]. Neurons are filled up to whole vectors and
sources to an even number, by synapses of no weight.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, splat, splats, store, total
from neurofmx.kernels.cpu.simd.matrix_block import fetch
from neurofmx.kernels.cpu.simd.sigmoid import opposite, opposite_within, quick_divide
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, space

PARTS = 4  # numbers of a synapse
_BLOCK = 64  # sources whose synapses with one group of neurons fit the first cache
_AHEAD = 16  # synapses between the request for their numbers and their use
_LN2 = math.log(2)

_fetch = fetch(PARTS)


class Synapses(NamedTuple):
    """Synapses as the loops take them.

    Args:
        numbers: As laid out above.
        ranges: First source that has a synapse with a group of neurons, and the one to stop before (groups, 2); both
            even.
        reach: Largest size of slope and of offset of a source's synapses (sources, 2).
        constants: What `opposite` works with.
    """

    numbers: np.ndarray
    ranges: np.ndarray
    reach: np.ndarray
    constants: tuple[np.floating, ...]


@njit(**OPTIONS)
def _within(synapses, sources, first):
    """Whether no exponent of a row leaves the bounds; NaN does."""
    within = True
    for i in range(synapses.reach.shape[0]):
        within &= abs(sources[first + i]) * synapses.reach[i, 0] + synapses.reach[i, 1] <= synapses.constants[1]
    return within


@njit(**OPTIONS)
def _open(synapses, at, sources, first, count, within, k, closed):
    """`1 / s` of the synapses from `count` sources to one group of neurons."""
    numbers, lanes = synapses.numbers, BYTES // closed.itemsize
    if within:
        for i in range(count):
            here = at + i * PARTS * lanes
            _fetch(numbers, here + _AHEAD * PARTS * lanes)
            x = load(numbers, here) * splat(sources[first + i]) + load(numbers, here + lanes)
            store(closed, i * lanes, opposite_within(x, k))
    else:
        for i in range(count):
            here = at + i * PARTS * lanes
            x = load(numbers, here) * splat(sources[first + i]) + load(numbers, here + lanes)
            store(closed, i * lanes, opposite(x, k))


@njit(forceinline=True, **OPTIONS)
def _two(closed, at, lanes, one):
    """Two sigmoids for one division."""
    p, q = load(closed, at), load(closed, at + lanes)
    both = quick_divide(one, p * q)
    return q * both, p * both


@njit(**OPTIONS)
def add_currents(rows, sources, synapses, N, D):
    """Adds what flows through all synapses to `N` and `D` of some rows.

    Args:
        rows: Number of rows.
        sources: Potentials of the sources, as laid out above.
        synapses: The synapses.
        N: Sums that are added to.
        D: Sums that are added to.
    """
    lanes, count = BYTES // N.itemsize, synapses.reach.shape[0]
    k, one, none = splats(synapses.constants), splat(N.dtype.type(1)), splat(N.dtype.type(0))
    closed, numbers, groups = space(_BLOCK * lanes, N), synapses.numbers, synapses.ranges.shape[0]
    within = np.empty(rows, np.bool_)
    for r in range(rows):
        within[r] = _within(synapses, sources, r * count)
    for group in range(groups):
        low, high = synapses.ranges[group, 0], synapses.ranges[group, 1]
        for first in range(low, high, _BLOCK):
            some, at = min(_BLOCK, high - first), (group * count + first) * PARTS * lanes
            for r in range(rows):
                _open(synapses, at, sources, r * count + first, some, within[r], k, closed)
                n, m, d, e = none, none, none, none  # two sums each, as additions wait for one another
                for i in range(0, some, 2):
                    here = at + i * PARTS * lanes
                    s, t = _two(closed, i * lanes, lanes, one)
                    n, d = n + load(numbers, here + 2 * lanes) * s, d + load(numbers, here + 3 * lanes) * s
                    m, e = m + load(numbers, here + 6 * lanes) * t, e + load(numbers, here + 7 * lanes) * t
                to = (r * groups + group) * lanes
                store(N, to, load(N, to) + (n + m))
                store(D, to, load(D, to) + (d + e))


@njit(**OPTIONS)
def add_to_sources(rows, sources, synapses, dN, dD, sums, dsources):
    """Adds the gradients of the sources of some rows.

    Args:
        rows: Number of rows.
        sources: Potentials of the sources, as laid out above.
        synapses: The synapses.
        dN: Gradient of `N`.
        dD: Gradient of `D`.
        sums: Room for a vector for every source of every row.
        dsources: Gradient of the sources, added to.
    """
    lanes, count = BYTES // dN.itemsize, synapses.reach.shape[0]
    k, one = splats(synapses.constants), splat(dN.dtype.type(1))
    closed, numbers, groups = space(_BLOCK * lanes, dN), synapses.numbers, synapses.ranges.shape[0]
    sums[: rows * count * lanes] = 0
    within = np.empty(rows, np.bool_)
    for r in range(rows):
        within[r] = _within(synapses, sources, r * count)
    for group in range(groups):
        low, high = synapses.ranges[group, 0], synapses.ranges[group, 1]
        for first in range(low, high, _BLOCK):
            some, at = min(_BLOCK, high - first), (group * count + first) * PARTS * lanes
            for r in range(rows):
                _open(synapses, at, sources, r * count + first, some, within[r], k, closed)
                here = (r * groups + group) * lanes
                n, d = load(dN, here), load(dD, here)
                for i in range(0, some, 2):
                    here, to = at + i * PARTS * lanes, (r * count + first + i) * lanes
                    s, t = _two(closed, i * lanes, lanes, one)
                    p = (load(numbers, here + 2 * lanes) * n + load(numbers, here + 3 * lanes) * d) * (s - s * s)
                    q = (load(numbers, here + 6 * lanes) * n + load(numbers, here + 7 * lanes) * d) * (t - t * t)
                    store(sums, to, load(sums, to) + load(numbers, here) * p)
                    store(sums, to + lanes, load(sums, to + lanes) + load(numbers, here + 4 * lanes) * q)
    ln2 = dN.dtype.type(_LN2)
    for i in range(rows * count):
        dsources[i] -= ln2 * total(load(sums, i * lanes))


@njit(**OPTIONS)
def add_to_synapses(group, rows, sources, synapses, dN, dD, gradients):
    """Adds the gradients of the synapses onto one group of neurons.

    Args:
        group: The group.
        rows: Number of rows, even.
        sources: Potentials of the sources [source][row].
        synapses: The synapses.
        dN: Gradient of `N` of this group [row][lane].
        dD: Gradient of `D` of this group [row][lane].
        gradients: Those of pull, w, sigma and mu, the last two but for factors; added to, laid out as the synapses.
    """
    lanes, count = BYTES // dN.itemsize, synapses.reach.shape[0]
    k, one, none = splats(synapses.constants), splat(dN.dtype.type(1)), splat(dN.dtype.type(0))
    closed, numbers = space(_BLOCK * lanes, dN), synapses.numbers
    for i in range(synapses.ranges[group, 0], synapses.ranges[group, 1]):
        at = (group * count + i) * PARTS * lanes
        slope, offset = load(numbers, at), load(numbers, at + lanes)
        pull, w = load(numbers, at + 2 * lanes), load(numbers, at + 3 * lanes)
        a, b, c, e = none, none, none, none
        for first in range(0, rows, _BLOCK):
            some = min(_BLOCK, rows - first)
            for r in range(some):
                x = slope * splat(sources[i * rows + first + r]) + offset
                store(closed, r * lanes, opposite(x, k))
            for r in range(0, some, 2):
                here = (first + r) * lanes
                s, t = _two(closed, r * lanes, lanes, one)
                n, d = load(dN, here), load(dD, here)
                m, f = load(dN, here + lanes), load(dD, here + lanes)
                p, q = (pull * n + w * d) * (s - s * s), (pull * m + w * f) * (t - t * t)
                u, v = splat(sources[i * rows + first + r]), splat(sources[i * rows + first + r + 1])
                a, b = a + (n * s + m * t), b + (d * s + f * t)
                c, e = c + (p * u + q * v), e + (p + q)
        store(gradients, at, load(gradients, at) + a)
        store(gradients, at + lanes, load(gradients, at + lanes) + b)
        store(gradients, at + 2 * lanes, load(gradients, at + 2 * lanes) + c)
        store(gradients, at + 3 * lanes, load(gradients, at + 3 * lanes) + e)
