"""Small matrices times rows of SIMD lanes, and rows turned into lanes: the products of attention.

    to[r] = sum_j a[r, j] x[j]

Every `to[r]` and `x[j]` is one vector of `neurofmx.kernels.cpu.simd.lanes`, every `a[r, j]` one number that is read
where it lies, whatever its strides. So a head can have any width, and nothing is transposed or padded for `a`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.address import data_of
from neurofmx.kernels.cpu.simd.lanes import BYTES, call, intrinsic, lanes_of, load, splat_of
from neurofmx.kernels.cpu.simd.matrix_block import REGISTER
from neurofmx.kernels.cpu.simd.tiles import OPTIONS

# Sums at a time: enough to hide how long an addition takes, and not more than there are registers.
_ROWS = 16 if REGISTER == BYTES else 4


class _Flat:
    """A flat array inside generated code, for what reads or writes several vectors at once.

    Args:
        context: numba's context.
        builder: Takes the instructions.
        kind: numba's type of the array.
        value: The array.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        self.builder, self.vector = builder, context.get_value_type(lanes_of(kind.dtype))
        self._data, self._align = data_of(context, builder, kind, value), kind.dtype.bitwidth // 8

    def places(self, first: Any, step: Any, count: int) -> list[Any]:
        """So many places, a step apart."""
        found = [first]
        for _ in range(count - 1):
            found.append(self.builder.add(found[-1], step))
        return found

    def load(self, place: Any) -> Any:
        """The vector from a place on."""
        return self.builder.load(self._address(place), align=self._align)

    def store(self, place: Any, vector: Any) -> None:
        """Writes a vector from a place on."""
        self.builder.store(vector, self._address(place), align=self._align)

    def every(self, place: Any) -> Any:
        """The number at a place in every lane."""
        return splat_of(self.builder, self.vector, self.builder.load(self.builder.gep(self._data, [place])))

    def _address(self, place: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self._data, [place]), self.vector.as_pointer())


def _reader(rows: int) -> Any:
    """A function for compiled code: that many vectors from places a step apart; zeros where there is nothing."""

    @intrinsic
    def read(_context, array, place, step, there):
        vectors = types.UniTuple(lanes_of(array.dtype), rows)

        def emit(context, builder, _signature, arguments):
            flat = _Flat(context, builder, array, arguments[0])
            zero, (first, by, known) = flat.vector(None), arguments[1:]
            found = [builder.select(known, flat.load(place), zero) for place in flat.places(first, by, rows)]
            return context.make_tuple(builder, vectors, found)

        return vectors(array, types.intp, types.intp, types.boolean), emit

    return read


@intrinsic
def _write(_context, array, place, step, vectors):
    """Several vectors to places a step apart."""

    def emit(context, builder, _signature, arguments):
        flat = _Flat(context, builder, array, arguments[0])
        for i, at in enumerate(flat.places(arguments[1], arguments[2], vectors.count)):
            flat.store(at, builder.extract_value(arguments[3], i))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vectors), emit


@intrinsic
def _add_products(_context, sums, a, place, step, x):
    """To every sum a number times a vector; the numbers lie a step apart."""

    def emit(context, builder, _signature, arguments):
        flat, (first, by, vector) = _Flat(context, builder, a, arguments[1]), arguments[2:]
        factors = [flat.every(at) for at in flat.places(first, by, sums.count)]
        before = [builder.extract_value(arguments[0], i) for i in range(sums.count)]
        after = [call(builder, "fmuladd", factor, vector, one) for factor, one in zip(factors, before, strict=True)]
        return context.make_tuple(builder, sums, after)

    return sums(sums, a, types.intp, types.intp, x), emit


def _block(rows: int) -> Any:
    """A function for compiled code: `multiply` for that many rows."""
    read = _reader(rows)

    @njit(**OPTIONS)
    def block(to, into, by, a, at, down, along, x, start, step, inner, add):
        sums = read(to, into, by, add)
        for j in range(inner):
            sums = _add_products(sums, a, at + j * along, down, load(x, start + j * step))
        _write(to, into, by, sums)

    return block


_full, _half, _quarter, _single = (_block(rows) for rows in (_ROWS, _ROWS // 2, _ROWS // 4, 1))


@njit(**OPTIONS)
def multiply(to, into, by, a, at, down, along, x, start, step, rows, inner, add):
    """`to[r] = sum_j a[r, j] x[j]`, inside compiled code; every sum goes through `j` in order.

    Args:
        to: Takes the vectors, a flat array.
        into: Place of the first.
        by: Numbers from one to the next.
        a: The matrix, in a flat array.
        at: Place of its first number.
        down: Numbers from one row to the next.
        along: Numbers from one column to the next.
        x: The vectors to multiply, in a flat array.
        start: Place of the first.
        step: Numbers from one to the next.
        rows: Rows.
        inner: Columns.
        add: Whether to add to what is there.
    """
    r = 0
    while rows - r >= _ROWS:
        _full(to, into + r * by, by, a, at + r * down, down, along, x, start, step, inner, add)
        r += _ROWS
    if rows - r >= _ROWS // 2:
        _half(to, into + r * by, by, a, at + r * down, down, along, x, start, step, inner, add)
        r += _ROWS // 2
    if rows - r >= _ROWS // 4:
        _quarter(to, into + r * by, by, a, at + r * down, down, along, x, start, step, inner, add)
        r += _ROWS // 4
    while rows > r:
        _single(to, into + r * by, by, a, at + r * down, down, along, x, start, step, inner, add)
        r += 1


@intrinsic
def turn(_context, to, into, by, array, place, step):
    """A square of numbers from rows to columns: as many rows as a vector has numbers, each one vector.

    In every round, vectors exchange half of their numbers with the one whose place differs in one bit.
    """
    lanes = lanes_of(array.dtype)

    def emit(context, builder, _signature, arguments):
        target, source = (_Flat(context, builder, array, arguments[i]) for i in (0, 3))
        count, bit = lanes.count, 1
        rows = [source.load(at) for at in source.places(arguments[4], arguments[5], count)]
        while bit < count:
            swapped = [_swap(builder, rows[r & ~bit], rows[r | bit], bit, r & bit) for r in range(count)]
            rows, bit = swapped, 2 * bit
        for row, at in zip(rows, target.places(arguments[1], arguments[2], count), strict=True):
            target.store(at, row)
        return context.get_dummy_value()

    return types.void(to, types.intp, types.intp, array, types.intp, types.intp), emit


def _swap(builder: Any, lower: Any, upper: Any, bit: int, own: int) -> Any:
    """Numbers from two vectors: those whose place has the bit as `own` has it, then ordered by that bit."""
    count = lower.type.count
    picks = [(i & ~bit | own) + (count if i & bit else 0) for i in range(count)]
    return builder.shuffle_vector(lower, upper, ir.Constant(ir.VectorType(ir.IntType(32), count), picks))
