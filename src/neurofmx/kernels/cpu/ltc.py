"""The LTC recurrence forward as compiled loops in SIMD lanes; the equations stand in `neurofmx.kernels.ltc`.

Samples run independently, in blocks of rows that share one pass over the synapses. What comes from the inputs is the
same in all steps of the solver, and made for some steps together.

Layouts, flat: neurons are filled up to whole vectors (`wide`), potentials and currents are [row][neuron], and neurons
as sources of synapses are the same rows. Of several steps, a row is [step][sample].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.course import counts
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, store
from neurofmx.kernels.cpu.simd.sigmoid import divide
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, copy, space
from neurofmx.kernels.cpu.synapses import Synapses, add_currents

_AHEAD = 16  # steps whose inputs are taken in together


class Cell(NamedTuple):
    """Neurons and synapses; the first three are filled up by neurons that nothing flows through."""

    capacitance: np.ndarray
    leak: np.ndarray
    rest: np.ndarray
    recurrent: Synapses
    sensory: Synapses


@njit(**OPTIONS)
def span_of(course, row, t, span):
    """The time of a step of the solver, for all neurons of a row."""
    samples, times, units = course.elapsed.shape
    copy(span, 0, course.elapsed[row if samples > 1 else 0, t if times > 1 else 0], 0, units)


@njit(**OPTIONS)
def take_in(x, course, first, rows, begin, steps, sensory, inputs, N, D):
    """Inputs of some steps and what flows from them, as rows [step][sample]."""
    count = sensory.reach.shape[0]
    for i in range(steps):
        for r in range(rows):
            at, there = (i * rows + r) * count, counts(course, first + r, begin + i)  # else not even NaN may pass
            for c in range(x.shape[2]):
                inputs[at + c] = x[first + r, begin + i, c] if there else 0
    for n in range(N.shape[0]):
        N[n] = 0
        D[n] = 0
    add_currents(steps * rows, inputs, sensory, N, D)


@njit(**OPTIONS)
def relax(v, at, to, there, N, D, here, span, cell):
    """One semi-implicit step of the solver for one row, from place `at` of `v` to place `there` of `to`."""
    lanes = BYTES // v.itemsize
    for u in range(0, cell.leak.shape[0], lanes):
        c, g, dt = load(cell.capacitance, u), load(cell.leak, u), load(span, u)
        enters = c * load(v, at + u) + dt * (g * load(cell.rest, u) + load(N, here + u))
        store(to, there + u, divide(enters, c + dt * (g + load(D, here + u))))


@njit(cache=True, **OPTIONS)
def forward(job, last, bounds, unfolds, x, course, cell, h, states):
    """Runs blocks `job` to `last` of the batch through the whole sequence.

    Args:
        job: First block.
        last: Block to stop before.
        bounds: First row of every block, and the number of rows at the end (blocks + 1,).
        unfolds: Steps of the solver in a step.
        x: Inputs (batch, time, inputs).
        course: Elapsed times and mask.
        cell: Neurons and synapses.
        h: States before the first step, replaced by those after the last (batch, units).
        states: Output (batch, time, units).
    """
    wide, units = cell.leak.shape[0], h.shape[1]
    for block in range(job, last):
        first, rows = bounds[block], bounds[block + 1] - bounds[block]
        size = rows * wide
        v, N, D, span = space(size, h), space(size, h), space(size, h), space(wide, h)
        from_inputs, against = space(_AHEAD * size, h), space(_AHEAD * size, h)
        inputs = space(_AHEAD * rows * cell.sensory.reach.shape[0], h)
        for r in range(rows):
            copy(v, r * wide, h[first + r], 0, units)
        for t in range(x.shape[1]):
            i = t % _AHEAD
            if i == 0:
                steps = min(_AHEAD, x.shape[1] - t)
                take_in(x, course, first, rows, t, steps, cell.sensory, inputs, from_inputs, against)
            for _ in range(unfolds):
                copy(N, 0, from_inputs, i * size, size)
                copy(D, 0, against, i * size, size)
                add_currents(rows, v, cell.recurrent, N, D)
                for r in range(rows):
                    if counts(course, first + r, t):
                        span_of(course, first + r, t, span)
                        relax(v, r * wide, v, r * wide, N, D, r * wide, span, cell)
            for r in range(rows):
                copy(states[first + r, t], 0, v, r * wide, units)
        for r in range(rows):
            copy(h[first + r], 0, v, r * wide, units)
