"""The first numbers of a vector: how a loop reads and writes the ends of rows that are no whole vectors."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from neurofmx.kernels.cpu.simd.lanes import Lanes, address_of, intrinsic, lanes_of, splat_of


def _first(context: Any, builder: Any, lanes: Lanes, count: Any) -> tuple[Any, Any, str]:
    """What a masked load or store takes beside the address: alignment, the lanes that count, and how it is called."""
    words = ir.VectorType(ir.IntType(32), lanes.count)
    wanted = splat_of(builder, words, builder.trunc(count, ir.IntType(32)))
    mask = builder.icmp_signed("<", ir.Constant(words, list(range(lanes.count))), wanted)
    return ir.Constant(ir.IntType(32), lanes.dtype.bitwidth // 8), mask, f"v{lanes.count}f{lanes.dtype.bitwidth}.p0"


@intrinsic
def load_first(_context, array, place, count):
    """The first numbers of a flat array from a place on, and 0 in the other lanes, whose memory is not touched."""
    lanes = lanes_of(array.dtype)

    def emit(context, builder, _signature, arguments):
        align, mask, name = _first(context, builder, lanes, arguments[2])
        given = [address_of(context, builder, lanes, array, arguments), align, mask]
        vector = context.get_value_type(lanes)
        kind = ir.FunctionType(vector, [value.type for value in given] + [vector])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.{name}")
        return builder.call(function, [*given, vector(None)])

    return lanes(array, types.intp, types.intp), emit


@intrinsic
def store_first(_context, array, place, count, lanes):
    """Writes the first numbers of a vector to a flat array from a place on."""

    def emit(context, builder, _signature, arguments):
        align, mask, name = _first(context, builder, lanes, arguments[2])
        given = [arguments[3], address_of(context, builder, lanes, array, arguments), align, mask]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.{name}"), given)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, lanes), emit
