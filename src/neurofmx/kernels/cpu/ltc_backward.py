"""The LTC recurrence backward as compiled loops in SIMD lanes; layouts as in `neurofmx.kernels.cpu.ltc`.

The states, which are the outputs, are all that is kept: the backward goes in stretches of time, makes the potentials
and currents of all steps of the solver anew, walks through them in reverse, and adds to the gradients of the synapses
in loops over all rows of the stretch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.course import counts
from neurofmx.kernels.cpu.ltc import relax, span_of, take_in
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, splat, store
from neurofmx.kernels.cpu.simd.sigmoid import divide
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, copy, space
from neurofmx.kernels.cpu.synapses import add_currents, add_to_sources, add_to_synapses

_SUMS = 6  # rows of what adds up over the steps of the solver, see `_unrelax`


class Past(NamedTuple):
    """What went in and came out of the forward."""

    x: np.ndarray  # (batch, time, inputs)
    start: np.ndarray  # (batch, units)
    states: np.ndarray  # (batch, time, units)


class Gradients(NamedTuple):
    """What the way back through time finds, and what arrives."""

    dstates: tuple[np.ndarray, int, int]  # (batch, time, units) as numbers in a row, and strides of batch and time
    dh: np.ndarray  # at the stretch's end, and then at its start (batch, units)
    dx: np.ndarray  # (batch, time, inputs)
    delapsed: np.ndarray  # added to (batch, time or 1, units), per step of the solver
    dneurons: np.ndarray  # of capacitance, leak and rest, added to (batch, 3 * wide)


class Seen(NamedTuple):
    """What the gradients of synapses are made of; a row is one sample in one step of the solver."""

    sources: np.ndarray  # (sources, rows)
    dN: np.ndarray  # (groups of neurons, rows, lanes)
    dD: np.ndarray


@njit(**OPTIONS)
def _note(seen, row, sources, at, dN, dD, to):
    """Writes down one row for the gradients of synapses."""
    for i in range(seen.sources.shape[0]):
        seen.sources[i, row] = sources[at + i]
    groups, _, lanes = seen.dN.shape
    for group in range(groups):
        store(seen.dN[group, row], 0, load(dN, to + group * lanes))
        store(seen.dD[group, row], 0, load(dD, to + group * lanes))


@njit(forceinline=True, **OPTIONS)
def _add(total, at, x):
    """Adds a vector to a place."""
    store(total, at, load(total, at) + x)


@njit(**OPTIONS)
def _unrelax(v, at, after, N, D, here, span, cell, dv, dN, dD, row, total):
    """Takes the gradient of one row of potentials through a step of the solver, and down to that of its currents.

    To `total` is added: gradients of the two currents from inputs, of capacitance, leak and rest, and of the span.
    """
    lanes, wide, zero = BYTES // dv.itemsize, cell.leak.shape[0], splat(dv.dtype.type(0))
    for u in range(0, wide, lanes):
        c, g, rest, dt = load(cell.capacitance, u), load(cell.leak, u), load(cell.rest, u), load(span, u)
        enters, against = g * rest + load(N, here + u), g + load(D, here + u)
        old, new = load(v, at + u), load(v, after + u)
        above = divide(
            load(dv, row + u), c + dt * against
        )  # gradient of the numerator; the denominator's is -new above
        n, d = dt * above, zero - dt * above * new
        store(dv, row + u, c * above)
        store(dN, row + u, n)
        store(dD, row + u, d)
        _add(total, u, n)
        _add(total, wide + u, d)
        _add(total, 2 * wide + u, above * (old - new))
        _add(total, 3 * wide + u, n * (rest - new))
        _add(total, 4 * wide + u, n * g)
        _add(total, 5 * wide + u, above * (enters - new * against))


@njit(**OPTIONS)
def _recall(first, rows, begin, steps, unfolds, past, course, cell, inputs, v, N, D):
    """Makes inputs, potentials [step of the solver][row][neuron] and currents of a block's stretch anew."""
    wide, units = cell.leak.shape[0], past.start.shape[1]
    size, span = steps * rows * wide, space(wide, v)
    for i in range(steps):
        for r in range(rows):
            before = past.states[first + r, begin + i - 1] if begin + i else past.start[first + r]
            copy(v, (i * rows + r) * wide, before, 0, units)
    take_in(past.x, course, first, rows, begin, steps, cell.sensory, inputs, N[:size], D[:size])
    for k in range(1, unfolds):
        copy(N, k * size, N, 0, size)
        copy(D, k * size, D, 0, size)
    for k in range(unfolds):
        here = slice(k * size, (k + 1) * size)
        add_currents(steps * rows, v[here], cell.recurrent, N[here], D[here])
        for n in range(steps * rows):
            at, sample, t = k * size + n * wide, first + n % rows, begin + n // rows
            if counts(course, sample, t):
                span_of(course, sample, t, span)
                relax(v, at, v, at + size, N, D, at, span, cell)
            else:
                copy(v, at + size, v, at, wide)


@njit(**OPTIONS)
def _step_back(first, rows, t, course, cell, v, N, D, at, size, unfolds, dv, total, sums, seen, place):
    """Takes a block back through the steps of the solver in one step, the last one first."""
    wide, batch = cell.leak.shape[0], course.mask.shape[0]
    dN, dD, span = space(rows * wide, dv), space(rows * wide, dv), space(wide, dv)
    for k in range(unfolds - 1, -1, -1):
        here = at + k * size
        for r in range(rows):
            row = here + r * wide
            if counts(course, first + r, t):
                span_of(course, first + r, t, span)
                mine = total[r * _SUMS * wide : (r + 1) * _SUMS * wide]
                _unrelax(v, row, row + size, N, D, row, span, cell, dv, dN, dD, r * wide, mine)
            _note(seen, (place + k) * batch + first + r, v, row, dN, dD, r * wide)
        add_to_sources(rows, v[here : here + rows * wide], cell.recurrent, dN, dD, sums, dv)


@njit(cache=True, **OPTIONS)
def backward(job, last, bounds, begin, steps, unfolds, past, course, cell, recurrent, sensory, to):
    """Takes blocks `job` to `last` of the batch back through a stretch.

    Args:
        job: First block.
        last: Block to stop before.
        bounds: First row of every block, and the number of rows at the end (blocks + 1,).
        begin: First step of the stretch.
        steps: Number of its steps.
        unfolds: Steps of the solver in a step.
        past: Inputs and states.
        course: Elapsed times and mask.
        cell: Neurons and synapses.
        recurrent: Output, what the synapses between neurons saw.
        sensory: Output, what the synapses from inputs saw.
        to: Gradients.
    """
    wide, units, count, like = cell.leak.shape[0], to.dh.shape[1], cell.sensory.reach.shape[0], to.dh
    arrived, by_sample, by_step = to.dstates
    lanes, batch = BYTES // like.itemsize, past.x.shape[0]
    for block in range(job, last):
        first, rows = bounds[block], bounds[block + 1] - bounds[block]
        size = steps * rows * wide
        v, N, D = space((unfolds + 1) * size, like), space(unfolds * size, like), space(unfolds * size, like)
        inputs, sums = space(steps * rows * count, like), space(rows * max(wide, count) * lanes, like)
        _recall(first, rows, begin, steps, unfolds, past, course, cell, inputs, v, N, D)
        dv, total = space(rows * wide, like), space(rows * _SUMS * wide, like)
        dN, dD, dinputs = space(rows * wide, like), space(rows * wide, like), space(rows * count, like)
        for r in range(rows):
            copy(dv, r * wide, to.dh[first + r], 0, units)
        for i in range(steps - 1, -1, -1):
            t = begin + i
            for r in range(rows):
                for u in range(units):
                    dv[r * wide + u] += arrived[(first + r) * by_sample + t * by_step + u]
            at = i * rows * wide
            total[:] = 0
            _step_back(
                first, rows, t, course, cell, v, N, D, at, size, unfolds, dv, total, sums, recurrent, i * unfolds
            )
            _share_out(first, rows, t, course, total, wide, dN, dD, to)
            for r in range(rows):
                _note(sensory, i * batch + first + r, inputs, (i * rows + r) * count, dN, dD, r * wide)
            dinputs[:] = 0
            mine = inputs[i * rows * count : (i + 1) * rows * count]
            add_to_sources(rows, mine, cell.sensory, dN, dD, sums, dinputs)
            for r in range(rows):
                copy(to.dx[first + r, t], 0, dinputs, r * count, to.dx.shape[2])
        for r in range(rows):
            copy(to.dh[first + r], 0, dv, r * wide, units)


@njit(**OPTIONS)
def _share_out(first, rows, t, course, total, wide, dN, dD, to):
    """Hands on what added up over the steps of the solver in one step."""
    units = to.dh.shape[1]
    when = t if to.delapsed.shape[1] > 1 else 0
    for r in range(rows):
        mine = r * _SUMS * wide
        copy(dN, r * wide, total, mine, wide)
        copy(dD, r * wide, total, mine + wide, wide)
        for n in range(3 * wide):
            to.dneurons[first + r, n] += total[mine + 2 * wide + n]
        for u in range(units):
            to.delapsed[first + r, when, u] += total[mine + 5 * wide + u]


@njit(cache=True, **OPTIONS)
def synapses(job, last, cell, recurrent, sensory, drecurrent, dsensory):
    """Adds a stretch to the gradients of the synapses, those onto one group of neurons per job.

    Args:
        job: First group.
        last: Group to stop before.
        cell: Neurons and synapses.
        recurrent: What the synapses between neurons saw.
        sensory: What the synapses from inputs saw.
        drecurrent: Gradients, laid out as the synapses.
        dsensory: Gradients of the synapses from inputs.
    """
    for group in range(job, last):
        for kind, seen, gradients in ((cell.recurrent, recurrent, drecurrent), (cell.sensory, sensory, dsensory)):
            rows = seen.sources.shape[1]
            sources, dN, dD = seen.sources.reshape(-1), seen.dN[group].reshape(-1), seen.dD[group].reshape(-1)
            add_to_synapses(group, rows, sources, kind, dN, dD, gradients)
