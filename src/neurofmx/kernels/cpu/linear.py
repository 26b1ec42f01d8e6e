"""The compiled products of `neurofmx.kernels.linear`: every output in one order, whatever the number of rows.

A sum runs over the inputs in vectors of 16, four vectors side by side and then those that are left, over the four, over
the lanes, halves first, and over the inputs that fill no vector. Where weights are integers, their zero point comes
last, as one product with the sum of the inputs:

    sum_k x[k] (q[k] - z) = sum_k x[k] q[k] - z sum_k x[k]

Several rows share the reading of a weight, and no sum.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.address import data_of
from neurofmx.kernels.cpu.simd.lanes import BYTES, call, fold_to, intrinsic
from neurofmx.kernels.cpu.simd.matrix_block import REGISTER, repeat

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
LANES = BYTES // 4
OUTPUTS = 32  # of a job
_ROWS = 4 if REGISTER == BYTES else 1  # that share a weight; more would not fit the registers
_SIDE_BY_SIDE = 4  # sums of an output, enough to hide how long an addition takes
_INT, _BYTE, _WIDE = ir.IntType(64), ir.IntType(8), ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def _reader(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """How generated code reads 16 numbers of a flat array from a place on, integers of 8 bits as float32."""
    data, short = data_of(context, builder, kind, array), kind.dtype == types.int8
    stored = ir.VectorType(_BYTE if short else ir.FloatType(), LANES).as_pointer()

    def read(place: Any) -> Any:
        found = builder.load(builder.bitcast(builder.gep(data, [place]), stored), align=1 if short else 4)
        return builder.sitofp(builder.sext(found, ir.VectorType(_WIDE, LANES)), _VECTOR) if short else found

    return read


def _dot(rows: int) -> Any:
    """A function for compiled code: what so many rows give with one output, over the inputs that fill vectors.

    It takes the inputs and the place of the first, the weights and the place of the first, the numbers of a row, and
    how many vectors they fill, 1 or more.
    """

    @intrinsic
    def dot(_context, x, at, weights, place, pitch, vectors):
        result = types.UniTuple(types.float32, rows)

        def emit(context, builder, _signature, arguments):
            source, begin, array, start, apart, count = arguments
            inputs, weight = _reader(context, builder, x, source), _reader(context, builder, weights, array)
            places = [builder.add(begin, builder.mul(apart, _INT(r))) for r in range(rows)]

            def add(k, sums):
                factor = weight(builder.add(start, k))
                found = [inputs(builder.add(one, k)) for one in places]
                return [call(builder, "fmuladd", value, factor, one) for value, one in zip(found, sums, strict=True)]

            def step(turn, sums):
                first = builder.mul(turn, _INT(LANES * _SIDE_BY_SIDE))
                parts = [sums[i * rows : (i + 1) * rows] for i in range(_SIDE_BY_SIDE)]
                after = [add(builder.add(first, _INT(i * LANES)), part) for i, part in enumerate(parts)]
                return [one for part in after for one in part]

            turns = builder.sdiv(count, _INT(_SIDE_BY_SIDE))
            sums = _if_any(builder, turns, [_VECTOR(None)] * (rows * _SIDE_BY_SIDE), step)
            done = builder.mul(turns, _INT(_SIDE_BY_SIDE))

            def rest(turn, sums):
                return [*add(builder.mul(builder.add(done, turn), _INT(LANES)), sums[:rows]), *sums[rows:]]

            sums = _if_any(builder, builder.sub(count, done), sums, rest)
            found = [reduce(builder.fadd, sums[r::rows]) for r in range(rows)]
            lane = ir.Constant(_WIDE, 0)
            folded = [builder.extract_element(fold_to(builder, one, 1, builder.fadd), lane) for one in found]
            return context.make_tuple(builder, result, folded)

        return result(x, types.intp, weights, types.intp, types.intp, types.intp), emit

    return dot


def _if_any(builder: Any, count: Any, before: list[Any], step: Any) -> list[Any]:
    """A loop that carries values along, or these as they are where there is nothing to loop over."""
    above = builder.block
    with builder.if_then(builder.icmp_signed(">", count, _INT(0))):
        after = repeat(builder, count, before, step)
        below = builder.block
    merged = [builder.phi(value.type) for value in before]
    for phi, old, new in zip(merged, before, after, strict=True):
        phi.add_incoming(old, above)
        phi.add_incoming(new, below)
    return merged


def _product(rows: int) -> Any:
    """A function for compiled code: writes the outputs of so many rows and one output channel."""
    dot, nothing = _dot(rows), (np.float32(0),) * rows

    @njit(**OPTIONS)
    def product(y, x, row, weights, n, pitch, affine, totals):
        (scale, zero, bias), outputs = affine, y.size // (x.size // pitch)
        vectors, sums = pitch // LANES, nothing
        if vectors > 0:
            sums = dot(x, row * pitch, weights, n * pitch, pitch, vectors)
        for r in range(rows):
            total, at = sums[r], (row + r) * pitch
            for k in range(vectors * LANES, pitch):
                total += x[at + k] * np.float32(weights[n * pitch + k])
            if scale.size > 0:
                total = (total - zero[n] * totals[row + r]) * scale[n]
            y[(row + r) * outputs + n] = total + bias[n] if bias.size > 0 else total

    return product


_several, _single = _product(_ROWS), _product(1)


@njit(cache=True, **OPTIONS)
def forward(first, last, pitch, x, weights, scale, zero, bias, totals, y):
    """Multiplies all rows for jobs `first` to `last`, of `OUTPUTS` output channels each.

    Args:
        first: A job.
        last: A later job.
        pitch: Number of inputs.
        x: Inputs (rows, inputs), flat like all that follow.
        weights: Weights (outputs, inputs), float32 or int8.
        scale: Scales (outputs,), or empty for weights as they are.
        zero: Zero points (outputs,), or empty.
        bias: Bias (outputs,), or empty.
        totals: Sums of the inputs (rows,), or empty.
        y: Outputs (rows, outputs), written.
    """
    rows = x.size // pitch
    outputs, together, affine = y.size // rows, rows // _ROWS * _ROWS, (scale, zero, bias)
    for begin in range(first * OUTPUTS, min(last * OUTPUTS, outputs), OUTPUTS):
        end = min(begin + OUTPUTS, outputs)
        for row in range(0, together, _ROWS):
            for n in range(begin, end):
                _several(y, x, row, weights, n, pitch, affine, totals)
        for row in range(together, rows):
            for n in range(begin, end):
                _single(y, x, row, weights, n, pitch, affine, totals)


@njit(cache=True, **OPTIONS)
def add_up_rows(pitch, x, totals):
    """The sum of every row of inputs (rows, inputs), flat, one number after the other."""
    for row in range(totals.size):
        total = x.dtype.type(0)
        for k in range(row * pitch, (row + 1) * pitch):
            total += x[k]
        totals[row] = total
