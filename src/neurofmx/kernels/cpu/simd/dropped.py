"""Dropout in SIMD lanes: the hash of `neurofmx.kernels.dropout`, a vector of queries at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.address import data_of
from neurofmx.kernels.cpu.simd.lanes import intrinsic, splat_of
from neurofmx.kernels.cpu.simd.tiles import OPTIONS
from neurofmx.kernels.dropout import FIRST, GOLDEN, SECOND

_GOLDEN, _FIRST, _SECOND = (np.uint32(number) for number in (GOLDEN, FIRST, SECOND))
_SHIFT, _HALF = np.uint32(15), np.uint32(16)


@njit(**OPTIONS)
def mix(word):
    """A hash of 32 bits."""
    word = np.uint32((word ^ (word >> _HALF)) * _FIRST)
    word = np.uint32((word ^ (word >> _SHIFT)) * _SECOND)
    return np.uint32(word ^ (word >> _HALF))


@njit(**OPTIONS)
def hash_rows(to, count, seed, row, query):
    """The part of the hash that belongs to a row and `count` queries from one on."""
    by_row = mix(np.uint32(seed + np.uint32(row) * _GOLDEN))
    for i in range(count):
        to[i] = mix(np.uint32(by_row + np.uint32(query + i) * _GOLDEN))


@njit(**OPTIONS)
def hash_column(mixed, key):
    """The part of the hash that belongs to a key, given the mixed half of the seed."""
    return np.uint32(mixed + np.uint32(key) * _GOLDEN)


@intrinsic
def thin(_context, lanes, rows, column, threshold):
    """A vector with 0 where it is dropped, given what `hash_rows` and `hash_column` found."""

    def emit(context, builder, _signature, arguments):
        vector, rows_value, column, threshold = arguments
        word = ir.VectorType(ir.IntType(32), lanes.count)
        data = data_of(context, builder, rows, rows_value)
        word_bits = _scatter(builder, builder.load(builder.bitcast(data, word.as_pointer()), align=4), column)
        keeps = builder.icmp_unsigned(">=", word_bits, splat_of(builder, word, threshold))
        return builder.select(keeps, vector, vector.type(None))

    return lanes(lanes, rows, types.uint32, types.uint32), emit


def _scatter(builder: Any, rows: Any, column: Any) -> Any:
    """Instructions for the last hash."""
    word = builder.xor(rows, splat_of(builder, rows.type, column))
    for shift, factor in ((16, FIRST), (15, SECOND)):
        mixed = builder.xor(word, builder.lshr(word, _all(rows.type, shift)))
        word = builder.mul(mixed, _all(rows.type, factor))
    return word


def _all(kind: ir.VectorType, number: int) -> ir.Constant:
    """A constant in every lane."""
    return ir.Constant(kind, [number] * kind.count)
