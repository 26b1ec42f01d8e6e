"""The CfC recurrence forward as compiled loops; the equations stand in `neurofmx.kernels.cfc`.

Samples run independently, in blocks of rows that share one pass over the weights.

Symbols: `z` features; `f, g` targets, `a, b` rate and offset of the blend between them. Every axis that a product ends
in is filled up to whole panels, see `neurofmx.kernels.cpu.simd.panels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from neurofmx.kernels.cpu.blend import blend, open_gates, place_of
from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.course import counts
from neurofmx.kernels.cpu.simd.fastmath import tanh, widest_lanes
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, splat, store
from neurofmx.kernels.cpu.simd.panels import as_panels, lay_out_transposed, multiply_add
from neurofmx.kernels.cpu.simd.tiles import copy, scratch
from neurofmx.kernels.lecun_tanh import LECUN_SCALE, LECUN_SLOPE

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "arcp", "nsz", "afn"}}
_DRIVEN = 32  # steps whose input projections are made together


class Layout(NamedTuple):
    """The weights of a cell as panels (panels, inputs of the product, width); a bias is a product with one row."""

    from_input: np.ndarray
    from_state: np.ndarray
    feature_bias: np.ndarray
    to_gates: np.ndarray  # one gate behind the other, each filled up
    gate_bias: np.ndarray


@njit(cache=True, **OPTIONS)
def lay_out_forward(W, w, V, v, layout):
    """Fills a layout by the weights of `CfCWeights`.

    Args:
        W: Weights of the features (features, inputs + units).
        w: Their biases (features,).
        V: Weights of the gates (4 units, features).
        v: Their biases (4 units,).
        layout: Zeros, room for all of them.
    """
    units, wide = V.shape[0] // 4, layout.to_gates.shape[0] * layout.to_gates.shape[2] // 4
    lay_out_transposed(layout.from_input, 0, W, 0)
    lay_out_transposed(layout.from_state, 0, W, W.shape[1] - units)
    copy(layout.feature_bias.reshape(-1), 0, w, 0, len(w))
    for gate in range(4):
        lay_out_transposed(layout.to_gates, gate * wide, V[gate * units : (gate + 1) * units], 0)
        copy(layout.gate_bias.reshape(-1), gate * wide, v, gate * units, units)


@njit(forceinline=True, **OPTIONS)
def changes(course):
    """Whether elapsed times differ from step to step."""
    return course.elapsed.shape[1] > 1 or course.mask.shape[1] > 0


@njit(**OPTIONS)
def spans_of(course, first, t, spans):
    """The elapsed times of a step for the rows of a block that begins at `first`; 0 where a step is padding."""
    (samples, times, units), (rows, wide) = course.elapsed.shape, spans.shape
    elapsed, spans = course.elapsed.reshape(-1), spans.reshape(-1)
    for r in range(rows):
        at = (first + r if samples > 1 else 0) * times + (t if times > 1 else 0)
        there = counts(course, first + r, t)  # else not even NaN may pass
        copy(spans, r * wide, elapsed, at * units, units if there else 0)


@njit(**OPTIONS)
def squash(z, columns):
    """LeCun's tanh of the first columns, in place."""
    widest_lanes()
    scale, slope = z.dtype.type(LECUN_SCALE), z.dtype.type(LECUN_SLOPE)
    for row in range(z.shape[0]):
        for k in range(columns):
            z[row, k] = scale * tanh(slope * z[row, k])


@njit(**OPTIONS)
def unsquash(z, dz):
    """Gradient through LeCun's tanh that gave `z` (rows, wide), in place."""
    steepest, bend = splat(dz.dtype.type(LECUN_SCALE * LECUN_SLOPE)), splat(dz.dtype.type(LECUN_SLOPE / LECUN_SCALE))
    for row in range(dz.shape[0]):
        for k in range(0, dz.shape[1], BYTES // dz.itemsize):
            value, here = load(z, place_of(z, row) + k), place_of(dz, row) + k
            store(dz, here, load(dz, here) * (steepest - bend * value * value))


@njit(**OPTIONS)
def _project(x, first, t, layout, drive):
    """What biases and inputs of a block give to the features from step `t` on (panels, rows * steps, width)."""
    (_, time, inputs), (_, count, _) = x.shape, drive.shape
    steps = min(time, _DRIVEN)
    together = count if steps == time else steps  # rows that lie next to each other
    for row in range(0, count, together):
        rows = together if steps == time else min(steps, time - t)
        ahead = as_strided(x[first + row // steps, t:], (rows, inputs), x.strides[1:])
        multiply_add(drive[:, row : row + rows], layout.feature_bias, ahead, layout.from_input)


@njit(cache=True, **OPTIONS)
def forward(job, last, bounds, constants, x, course, layout, h, states):
    """Runs blocks `job` to `last` of the batch through the whole sequence.

    Args:
        job: First block.
        last: Block to stop before.
        bounds: First row of every block, and the number of rows at the end (blocks + 1,).
        constants: Of `blend.CONSTANTS`.
        x: Inputs (batch, time, inputs).
        course: Elapsed times and mask.
        layout: The weights.
        h: States before the first step, replaced by those after the last (batch, units).
        states: Output (batch, time, units).
    """
    width, units, steps = layout.from_input.shape[2], h.shape[1], min(x.shape[1], _DRIVEN)
    features, wide = layout.from_input.shape[0] * width, layout.to_gates.shape[0] * width // 4
    found, ends = states.reshape(-1), h.reshape(-1)
    for block in range(job, last):
        first, rows = bounds[block], bounds[block + 1] - bounds[block]
        drive = np.empty((features // width, rows * steps, width), x.dtype)
        z, gates = scratch(rows, features, x), scratch(rows, 4 * wide, x)
        v, spans = scratch(rows, wide, x), scratch(rows, wide, x)
        to_z, to_gates = as_panels(z, width), as_panels(gates, width)
        known, own, flat = z[:, : layout.to_gates.shape[1]], v[:, :units], v.reshape(-1)
        for r in range(rows):
            copy(flat, r * wide, ends, (first + r) * units, units)
        for t in range(x.shape[1]):
            if t % _DRIVEN == 0:
                _project(x, first, t, layout, drive)
            multiply_add(to_z, drive[:, t % _DRIVEN :: steps], own, layout.from_state)
            squash(z, features)
            multiply_add(to_gates, layout.gate_bias, known, layout.to_gates)
            if t == 0 or changes(course):
                spans_of(course, first, t, spans)
            open_gates(gates, spans, constants)
            for r in range(rows):
                if counts(course, first + r, t):
                    blend(gates, r, v)
                copy(found, ((first + r) * x.shape[1] + t) * units, flat, r * wide, units)
        for r in range(rows):
            copy(ends, (first + r) * units, flat, r * wide, units)
