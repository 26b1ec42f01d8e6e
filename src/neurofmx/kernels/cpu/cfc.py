"""The CfC recurrence forward as compiled loops; the equations stand in `neurofmx.kernels.cfc`.

Samples run independently, in blocks of rows that share one pass over the weights.

Symbols: `z` features `tanh(W [x, h] + w)`, with the constants of LeCun's tanh inside the weights; `f, g` targets,
`a, b` rate and offset of the blend between them. Every axis that a product ends in is filled up to whole panels, see
`neurofmx.kernels.cpu.simd.panels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neurofmx.kernels.cfc import LECUN_SCALE, LECUN_SLOPE
from neurofmx.kernels.cpu.blend import blend, open_gates
from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.fastmath import tanh, widest_lanes
from neurofmx.kernels.cpu.simd.panels import as_panels, lay_out, multiply_add
from neurofmx.kernels.cpu.simd.tiles import copy, scratch

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "arcp", "nsz", "afn"}}
_DRIVEN = 32  # steps whose input projections are made together


class Layout(NamedTuple):
    """The weights of a cell as panels (panels, inputs of the product, width); a bias is a product with one row."""

    from_input: np.ndarray
    from_state: np.ndarray
    feature_bias: np.ndarray
    to_gates: np.ndarray  # one gate behind the other, each filled up
    gate_bias: np.ndarray


class Course(NamedTuple):
    """What tells how the states change with time."""

    elapsed: np.ndarray  # (batch or 1, time or 1, units)
    mask: np.ndarray  # which steps are no padding (batch, time), or (batch, 0) where none is


@njit(cache=True, **OPTIONS)
def lay_out_forward(W, w, V, v, layout):
    """Fills a layout by the weights of `CfCWeights`.

    Args:
        W: Weights of the features (features, inputs + units).
        w: Their biases (features,).
        V: Weights of the gates (4 units, features).
        v: Their biases (4 units,).
        layout: Room for all of them.
    """
    slope, scale, one = W.dtype.type(LECUN_SLOPE), W.dtype.type(LECUN_SCALE), W.dtype.type(1)
    inputs, units, panels = layout.from_input.shape[1], V.shape[0] // 4, layout.to_gates.shape[0] // 4
    lay_out(layout.from_input, W[:, :inputs].T, slope)
    lay_out(layout.from_state, W[:, inputs:].T, slope)
    lay_out(layout.feature_bias, w.reshape(1, -1), slope)
    for gate in range(4):
        here, rows = slice(gate * panels, (gate + 1) * panels), slice(gate * units, (gate + 1) * units)
        lay_out(layout.to_gates[here], V[rows].T, scale)
        lay_out(layout.gate_bias[here], v[rows].reshape(1, -1), one)


@njit(forceinline=True, **OPTIONS)
def counts(course, row, t):
    """Whether a step is no padding."""
    return course.mask.shape[1] == 0 or course.mask[row, t]


@njit(forceinline=True, **OPTIONS)
def changes(course):
    """Whether elapsed times differ from step to step."""
    return course.elapsed.shape[1] > 1 or course.mask.shape[1] > 0


@njit(**OPTIONS)
def spans_of(course, first, t, wide, spans):
    """The elapsed times of a step for the rows of a block that begins at `first`; 0 where a step is padding."""
    samples, times, units = course.elapsed.shape
    for r in range(spans.shape[0] // wide):
        there = counts(course, first + r, t)  # else not even NaN may pass
        row = course.elapsed[first + r if samples > 1 else 0, t if times > 1 else 0]
        copy(spans, r * wide, row, 0, units if there else 0)


@njit(**OPTIONS)
def squash(z):
    """The hyperbolic tangent in place."""
    widest_lanes()
    for k in range(z.shape[0]):
        z[k] = tanh(z[k])


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
    width, units = layout.from_input.shape[2], h.shape[1]
    features, wide = layout.from_input.shape[0] * width, layout.to_gates.shape[0] * width // 4
    for block in range(job, last):
        first, rows = bounds[block], bounds[block + 1] - bounds[block]
        drive = np.empty((features // width, rows, _DRIVEN, width), x.dtype)
        z, gates = scratch(1, rows * features, x)[0], scratch(1, rows * 4 * wide, x)[0]
        v, spans = scratch(1, rows * wide, x)[0], scratch(1, rows * wide, x)[0]
        to_z, to_gates = as_panels(z.reshape(rows, features), width), as_panels(gates.reshape(rows, 4 * wide), width)
        known, own = z.reshape(rows, features)[:, : layout.to_gates.shape[1]], v.reshape(rows, wide)[:, :units]
        for r in range(rows):
            copy(v, r * wide, h[first + r], 0, units)
        for t in range(x.shape[1]):
            if t % _DRIVEN == 0:
                for r in range(rows):
                    ahead = x[first + r, t : t + _DRIVEN]
                    multiply_add(drive[:, r], layout.feature_bias, ahead, layout.from_input)
            multiply_add(to_z, drive[:, :, t % _DRIVEN], own, layout.from_state)
            squash(z)
            multiply_add(to_gates, layout.gate_bias, known, layout.to_gates)
            if t == 0 or changes(course):
                spans_of(course, first, t, wide, spans)
            open_gates(gates, spans, rows, wide, constants)
            for r in range(rows):
                if counts(course, first + r, t):
                    blend(gates, r, wide, v)
                copy(states[first + r, t], 0, v, r * wide, units)
        for r in range(rows):
            copy(h[first + r], 0, v, r * wide, units)
