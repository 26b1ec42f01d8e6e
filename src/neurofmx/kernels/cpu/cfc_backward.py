"""The CfC recurrence backward as compiled loops; symbols as in `neurofmx.kernels.cpu.cfc`.

The states, which are the outputs, are all that is kept: the backward goes in stretches of time, makes the features
and gates of a stretch anew in large products, walks through it in reverse, and adds to the gradients of the weights by
large products again. That is no slower than to keep features and gates, which would have to come from memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.kernels.cpu.blend import open_gates, unblend
from neurofmx.kernels.cpu.cfc import OPTIONS, changes, spans_of, squash, unsquash
from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.course import counts
from neurofmx.kernels.cpu.simd.lanes import BYTES, load, store
from neurofmx.kernels.cpu.simd.panels import as_panels, lay_out, multiply_add
from neurofmx.kernels.cpu.simd.tiles import copy, scratch

_TOGETHER = 96  # rows of a product for the weights, so that two panels of them fit the first cache
_AT_ONCE = 64  # rows of inputs whose gradients are made together


class WayBack(NamedTuple):
    """The weights that gradients go back by, as panels."""

    from_gates: np.ndarray
    to_inputs: np.ndarray
    to_state: np.ndarray
    zeros: np.ndarray  # a row as long as the longest result


class Stretch(NamedTuple):
    """Some steps of some samples (samples * steps, columns), every row ending in a gap of a cache line.

    Without it rows would lie a power of two apart, for which a cache has few places.
    """

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
        back: Zeros, room for both.
    """
    units, wide = V.shape[0] // 4, back.from_gates.shape[1] // 4
    inputs = W.shape[1] - units
    for gate in range(4):
        lay_out(back.from_gates, gate * wide, V[gate * units : (gate + 1) * units], 0, V.shape[1])
    lay_out(back.to_inputs, 0, W, 0, inputs)
    lay_out(back.to_state, 0, W, inputs, units)


@njit(**OPTIONS)
def _add(to, place, source, at, width):
    """Adds numbers, whole vectors first."""
    lanes = BYTES // to.itemsize
    whole = width // lanes * lanes
    for i in range(0, whole, lanes):
        store(to, place + i, load(to, place + i) + load(source, at + i))
    for i in range(whole, width):
        to[place + i] += source[at + i]


@njit(**OPTIONS)
def _unblend(gates, spans, first, t, course, constants, to, dh, dspans, held):
    """Turns gates into their gradients, in place; padded steps hand the state's gradient on through `held`."""
    (arrived, by_sample, by_step), (_, times, units), wide = to.dstates, to.delapsed.shape, dh.shape[1]
    delapsed, flat, found = to.delapsed.reshape(-1), dh.reshape(-1), dspans.reshape(-1)
    open_gates(gates, spans, constants)
    for r in range(gates.shape[0]):
        _add(flat, r * wide, arrived, (first + r) * by_sample + t * by_step, units)
        if counts(course, first + r, t):
            unblend(gates, spans, r, dh, dspans)
            _add(delapsed, ((first + r) * times + (t if times > 1 else 0)) * units, found, r * wide, units)
            if course.mask.shape[1]:  # else it never was anything but 0
                held[r] = 0
        else:
            copy(held.reshape(-1), r * wide, flat, r * wide, wide)
            gates[r] = 0


@njit(**OPTIONS)
def _recall(joined, features, gates, inputs, units, layout):
    """Makes features and gates of a block's stretch anew out of its inputs and states."""
    width = layout.to_gates.shape[2]
    before, columns = joined.shape[1] - len(layout.to_gates) // 4 * width, len(layout.from_input) * width
    to_z, to_gates = as_panels(features[:, :columns], width), as_panels(gates, width)
    multiply_add(to_z, layout.feature_bias, joined[:, :inputs], layout.from_input)
    multiply_add(to_z, to_z, joined[:, before : before + units], layout.from_state)
    squash(features, columns)
    multiply_add(to_gates, layout.gate_bias, features[:, : layout.to_gates.shape[1]], layout.to_gates)


@njit(**OPTIONS)
def _join(first, begin, steps, past, course, before, joined):
    """Puts inputs and the states before every step next to each other, for a block's stretch."""
    (_, time, inputs), units, (rows, apart) = past.x.shape, past.states.shape[2], joined.shape
    to, x, states, start = joined.reshape(-1), past.x.reshape(-1), past.states.reshape(-1), past.start.reshape(-1)
    for row in range(rows):
        b, t, at = first + row // steps, begin + row % steps, row * apart
        there = inputs if counts(course, b, t) else 0  # else not even NaN may pass
        copy(to, at, x, (b * time + t) * inputs, there)
        for i in range(at + there, at + before):
            to[i] = 0
        if t:
            copy(to, at + before, states, (b * time + t - 1) * units, units)
        else:
            copy(to, at + before, start, b * units, units)
        for i in range(at + before + units, at + apart):
            to[i] = 0


@njit(**OPTIONS)
def _to_inputs(first, begin, steps, dfeatures, back, dx):
    """The gradient of the inputs of a block's stretch."""
    width, (_, time, inputs), to = back.zeros.shape[2], dx.shape, dx.reshape(-1)
    rows = scratch(_AT_ONCE, len(back.to_inputs) * width, dx)
    to_rows, flat, apart = as_panels(rows, width), rows.reshape(-1), rows.shape[1]
    for done in range(0, len(dfeatures), _AT_ONCE):
        some = dfeatures[done : done + _AT_ONCE, : back.to_inputs.shape[1]]
        multiply_add(to_rows, back.zeros, some, back.to_inputs)
        for r in range(len(some)):
            b, t = first + (done + r) // steps, begin + (done + r) % steps
            copy(to, (b * time + t) * inputs, flat, r * apart, inputs)


@njit(cache=True, **OPTIONS)
def backward(job, last, bounds, begin, steps, constants, past, course, layout, back, stretch, to):
    """Takes blocks `job` to `last` of the samples back through a stretch.

    Args:
        job: First block.
        last: Block to stop before.
        bounds: First row of every block, and the row at the end (blocks + 1,).
        begin: First step of the stretch.
        steps: Number of its steps.
        constants: Of `blend.CONSTANTS`.
        past: Inputs and states.
        course: Elapsed times and mask.
        layout: The weights.
        back: The weights on the way back.
        stretch: Room for the stretch of the samples from the first bound on.
        to: Gradients.
    """
    width, units, like, starts = back.zeros.shape[2], to.dh.shape[1], to.dh, to.dh.reshape(-1)
    features, before, wide = len(back.from_gates) * width, len(back.to_inputs) * width, len(back.to_state) * width
    for block in range(job, last):
        first, rows = bounds[block], bounds[block + 1] - bounds[block]
        own = slice((first - bounds[0]) * steps, (first - bounds[0] + rows) * steps)
        joined, gates = stretch.joined[own], stretch.gates[own, : 4 * wide]
        z, dz = stretch.features[own], stretch.dfeatures[own, :features]
        spans, dspans = scratch(rows, wide, like), scratch(rows, wide, like)
        dh, held = scratch(rows, wide, like), scratch(rows, wide, like)
        to_dh, from_held = as_panels(dh, width), as_panels(held, width)
        _join(first, begin, steps, past, course, before, joined)
        _recall(joined[:, : before + wide], z, gates, past.x.shape[2], units, layout)
        for r in range(rows):
            copy(dh.reshape(-1), r * wide, starts, (first + r) * units, units)
        for i in range(steps - 1, -1, -1):
            if i == steps - 1 or changes(course):
                spans_of(course, first, begin + i, spans)
            here, dhere = gates[i::steps], dz[i::steps]
            _unblend(here, spans, first, begin + i, course, constants, to, dh, dspans, held)
            multiply_add(as_panels(dhere, width), back.zeros, here, back.from_gates)
            unsquash(z[i::steps], dhere)
            multiply_add(to_dh, from_held, dhere[:, : back.to_state.shape[1]], back.to_state)
        _to_inputs(first, begin, steps, dz, back, to.dx)
        for r in range(rows):
            copy(starts, (first + r) * units, dh.reshape(-1), r * wide, units)


@njit(cache=True, **OPTIONS)
def weights(job, last, width, stretch, dto_gates, dgate_bias, dto_features, dfeature_bias):
    """Adds a stretch to the gradients of the weights, one panel of gates, and then of features, per job.

    Args:
        job: First job.
        last: Job to stop before.
        width: Columns of a panel.
        stretch: The stretch after its way back.
        dto_gates: Gradient of the gates' weights (gates, features).
        dgate_bias: Gradient of their biases (1, gates).
        dto_features: Gradient of the features' weights (features, joined).
        dfeature_bias: Gradient of their biases (1, features).
    """
    gates = len(dto_gates)
    for column in range(job * width, last * width, width):
        if column < gates:
            _add_products(column, width, stretch.gates, stretch.features, dto_gates, dgate_bias)
        else:
            rest = column - gates
            _add_products(rest, width, stretch.dfeatures, stretch.joined, dto_features, dfeature_bias)


@njit(**OPTIONS)
def _add_products(column, width, gradients, inputs, total, bias):
    """Adds `gradient.T @ inputs` to a panel's rows of the total, and the sums of the gradient to those of the bias."""
    columns = slice(column, column + width)
    to_total, to_bias = as_panels(total[columns], width), as_panels(bias[:, columns], width)
    ones = np.ones((1, _TOGETHER), total.dtype)
    for begin in range(0, len(gradients), _TOGETHER):
        some = gradients[begin : begin + _TOGETHER, columns]
        beside = as_panels(inputs[begin : begin + _TOGETHER, : total.shape[1]], width)
        multiply_add(to_total, to_total, some.T, beside)
        multiply_add(to_bias, to_bias, ones[:, : len(some)], as_panels(some, width))
