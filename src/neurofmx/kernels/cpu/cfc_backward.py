"""The CfC recurrence backward as compiled loops; symbols as in `neurofmx.kernels.cpu.cfc`.

The states, which are the outputs, are all that is kept: the backward goes in stretches of time, makes the features
and gates of a stretch anew in large products, walks through it in reverse, and adds to the gradients of the weights by
large products again. That is no slower than to keep features and gates, which would have to come from memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cfc import LECUN_SCALE, LECUN_SLOPE
from neurofmx.kernels.cpu.blend import open_gates, unblend
from neurofmx.kernels.cpu.cfc import OPTIONS, changes, counts, spans_of, squash
from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.fastmath import widest_lanes
from neurofmx.kernels.cpu.simd.panels import as_panels, into_panels, lay_out, multiply_add, out_of_panels
from neurofmx.kernels.cpu.simd.tiles import copy, scratch

_TOGETHER = 128  # rows of a product for the weights, so that two panels of them fit the first cache


class WayBack(NamedTuple):
    """The weights that gradients go back by, as panels."""

    from_gates: np.ndarray
    from_features: np.ndarray  # to the joined inputs and states
    zeros: np.ndarray  # a row of features


class Stretch(NamedTuple):
    """Some steps of all samples as panels (panels, batch * steps, width)."""

    joined: np.ndarray  # inputs and the state before the step, each filled up
    features: np.ndarray
    gates: np.ndarray  # become their gradients
    dfeatures: np.ndarray


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
    delapsed: np.ndarray  # added to (batch, time or 1, units)


@njit(cache=True, **OPTIONS)
def lay_out_backward(W, V, back):
    """Fills the way back by the weights of `CfCWeights`.

    Args:
        W: Weights of the features (features, inputs + units).
        V: Weights of the gates (4 units, features).
        back: Room for both.
    """
    slope, scale = W.dtype.type(LECUN_SLOPE), W.dtype.type(LECUN_SCALE)
    units, wide = V.shape[0] // 4, back.from_gates.shape[1] // 4
    for gate in range(4):
        here = back.from_gates[:, gate * wide : (gate + 1) * wide]
        lay_out(here, V[gate * units : (gate + 1) * units], scale)
    inputs = W.shape[1] - units
    before = back.from_features.shape[0] - wide // back.from_features.shape[2]
    lay_out(back.from_features[:before], W[:, :inputs], slope)
    lay_out(back.from_features[before:], W[:, inputs:], slope)
    back.zeros[:] = 0


@njit(**OPTIONS)
def _unsquash(z, dz):
    """Gradient through the hyperbolic tangent that gave `z`, in place."""
    widest_lanes()
    one = z.dtype.type(1)
    for r in range(dz.shape[0]):
        for k in range(dz.shape[1]):
            dz[r, k] *= one - z[r, k] * z[r, k]


@njit(**OPTIONS)
def _unblend(gates, spans, first, t, wide, course, constants, to, dh, dspans, held):
    """Turns gates into their gradients, in place; padded steps hand the state's gradient on through `held`."""
    arrived, by_sample, by_step = to.dstates
    rows, both, units = *held.shape, to.delapsed.shape[2]
    when = t if to.delapsed.shape[1] > 1 else 0
    open_gates(gates, spans, rows, wide, constants)
    for r in range(rows):
        at = (first + r) * by_sample + t * by_step
        for u in range(units):
            dh[r * wide + u] += arrived[at + u]
        if counts(course, first + r, t):
            held[r] = 0
            unblend(gates, spans, r, wide, dh, dspans)
            for u in range(units):
                to.delapsed[first + r, when, u] += dspans[r * wide + u]
        else:
            copy(held[r], both - wide, dh, r * wide, wide)
            gates[4 * r * wide : 4 * (r + 1) * wide] = 0


@njit(**OPTIONS)
def _recall(first, joined, z, past, layout, stretch):
    """Makes features and gates of a block's stretch anew out of its inputs and states."""
    rows, steps, inputs, width = joined.shape[0], joined.shape[1], past.x.shape[2], layout.to_gates.shape[2]
    before = joined.shape[2] - layout.to_gates.shape[0] * width // 4
    flat, units = joined.reshape(rows * steps, joined.shape[2]), past.states.shape[2]
    to_z = as_panels(z, width)
    multiply_add(to_z, layout.feature_bias, flat[:, :inputs], layout.from_input)
    multiply_add(to_z, to_z, flat[:, before : before + units], layout.from_state)
    squash(z.reshape(-1))
    to_gates = stretch.gates[:, first * steps : (first + rows) * steps]
    multiply_add(to_gates, layout.gate_bias, z[:, : layout.to_gates.shape[1]], layout.to_gates)
    into_panels(z, stretch.features, first * steps, 1)


@njit(**OPTIONS)
def _join(first, begin, past, course, wide, joined):
    """Puts inputs and the states before every step next to each other, for a block's stretch."""
    inputs, units = past.x.shape[2], past.states.shape[2]
    before = joined.shape[2] - wide
    for r in range(joined.shape[0]):
        for i in range(joined.shape[1]):
            there = counts(course, first + r, begin + i)  # else not even NaN may pass
            for c in range(inputs):
                joined[r, i, c] = past.x[first + r, begin + i, c] if there else 0
            for u in range(units):
                state = past.states[first + r, begin + i - 1, u] if begin + i else past.start[first + r, u]
                joined[r, i, before + u] = state


@njit(cache=True, **OPTIONS)
def backward(job, last, bounds, begin, steps, constants, past, course, layout, back, stretch, to):
    """Takes blocks `job` to `last` of the batch back through a stretch.

    Args:
        job: First block.
        last: Block to stop before.
        bounds: First row of every block, and the number of rows at the end (blocks + 1,).
        begin: First step of the stretch.
        steps: Number of its steps.
        constants: Of `blend.CONSTANTS`.
        past: Inputs and states.
        course: Elapsed times and mask.
        layout: The weights.
        back: The weights on the way back.
        stretch: Room for the stretch.
        to: Gradients.
    """
    width, into = back.zeros.shape[2], back.from_features.shape[1]
    features, wide = back.zeros.shape[0] * width, stretch.gates.shape[0] * width // 4
    both, units, like = stretch.joined.shape[0] * width, to.dh.shape[1], to.dh
    for block in range(job, last):
        first, rows = bounds[block], bounds[block + 1] - bounds[block]
        joined = np.zeros((rows, steps, both), like.dtype)
        _join(first, begin, past, course, wide, joined)
        into_panels(joined.reshape(rows * steps, both), stretch.joined, first * steps, 1)
        z, dz = np.empty((rows, steps, features), like.dtype), np.empty((rows, features), like.dtype)
        _recall(first, joined, z.reshape(rows * steps, features), past, layout, stretch)
        flat, spans = scratch(1, rows * 4 * wide, like)[0], scratch(1, rows * wide, like)[0]
        dh, dspans = scratch(1, rows * wide, like)[0], scratch(1, rows * wide, like)[0]
        gates, djoined = flat.reshape(rows, 4 * wide), np.empty((rows, both), like.dtype)
        held = np.zeros_like(djoined)
        to_dz, to_djoined, from_held = as_panels(dz, width), as_panels(djoined, width), as_panels(held, width)
        for r in range(rows):
            copy(dh, r * wide, to.dh[first + r], 0, units)
        for i in range(steps - 1, -1, -1):
            n, t = first * steps + i, begin + i
            out_of_panels(gates, stretch.gates, n, steps)
            if i == steps - 1 or changes(course):
                spans_of(course, first, t, wide, spans)
            _unblend(flat, spans, first, t, wide, course, constants, to, dh, dspans, held)
            into_panels(gates, stretch.gates, n, steps)
            multiply_add(to_dz, back.zeros, gates, back.from_gates)
            _unsquash(z[:, i], dz)
            into_panels(dz, stretch.dfeatures, n, steps)
            multiply_add(to_djoined, from_held, dz[:, :into], back.from_features)
            for r in range(rows):
                copy(to.dx[first + r, t], 0, djoined[r], 0, to.dx.shape[2])
                copy(dh, r * wide, djoined[r], both - wide, wide)
        for r in range(rows):
            copy(to.dh[first + r], 0, dh, r * wide, units)


@njit(cache=True, **OPTIONS)
def weights(job, last, stretch, dto_gates, dgate_bias, dto_features, dfeature_bias):
    """Adds a stretch to the gradients of the weights, one panel of gates, and then of features, per job.

    Args:
        job: First job.
        last: Job to stop before.
        stretch: The stretch after its way back.
        dto_gates: Gradient of the gates' weights as panels (panels of features, gates, width).
        dgate_bias: Gradient of their biases (panels of gates, 1, width).
        dto_features: Gradient of the features' weights as panels (panels of joined, features, width).
        dfeature_bias: Gradient of their biases (panels of features, 1, width).
    """
    for panel in range(job, last):
        if panel < stretch.gates.shape[0]:
            _add_products(panel, stretch.gates, stretch.features, dto_gates, dgate_bias)
        else:
            rest = panel - stretch.gates.shape[0]
            _add_products(rest, stretch.dfeatures, stretch.joined, dto_features, dfeature_bias)


@njit(**OPTIONS)
def _add_products(panel, gradients, inputs, total, bias):
    """Adds `gradient.T @ inputs` to a panel's rows of the total, and the sums of the gradient to those of the bias."""
    rows, width = gradients.shape[1:]
    out, sums = total[:, panel * width : (panel + 1) * width], bias[panel : panel + 1]
    ones = np.ones((1, _TOGETHER), total.dtype)
    for begin in range(0, rows, _TOGETHER):
        some = slice(begin, min(begin + _TOGETHER, rows))
        multiply_add(out, out, gradients[panel, some].T, inputs[:, some])
        multiply_add(sums, sums, ones[:, : some.stop - begin], gradients[panel : panel + 1, some])
