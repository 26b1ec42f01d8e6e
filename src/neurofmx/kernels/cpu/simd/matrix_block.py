"""Generates the code of matrix blocks in SIMD registers, for loops that LLVM does not arrange well by itself.

A block multiplies some rows with neighbouring panels (strips of columns as wide as two registers, inputs-major). Each
input loads the panels' weights once and updates all rows, and the sums stay in registers until the panels are done:

    out[p, r] = start[p, r] + sum_k a[r, k] panels[p, k]

A loop that LLVM vectorises by itself keeps the sums in memory and reaches half of the speed. Every number is summed
in the order of `k` whatever the size of the block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from neurofmx.kernels.cpu.simd.lanes import BYTES, call, intrinsic, splat_of

_FEATURES = binding.get_host_cpu_features()
REGISTER = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16  # bytes
# Eight rows need more than the 16 registers that AVX has.
ROWS = 4 if REGISTER == 32 else 8
_AHEAD = 16  # inputs between the request for weights and their use
_INT, _ADDRESS = ir.IntType(64), ir.IntType(8).as_pointer()


class _Array:
    """A numpy array inside generated code, addressed in bytes."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder = builder
        self.start = builder.bitcast(array.data, _ADDRESS)
        self.shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
        self.strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)

    def at(self, *index: Any) -> Any:
        """Address of an element."""
        address = self.start
        for place, stride in zip(index, self.strides, strict=True):
            address = self.builder.gep(address, [self.builder.mul(place, stride)])
        return address


def _fetch(builder: Any, address: Any) -> None:
    """Asks for what will be loaded soon; an address behind the end of an array does no harm."""
    to_read, first_cache, data = (ir.IntType(32)(setting) for setting in (0, 3, 1))
    kind = ir.FunctionType(ir.VoidType(), [_ADDRESS, *[ir.IntType(32)] * 3])
    ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(ask, [address, to_read, first_cache, data])


def block(rows: int, panels: int) -> Any:
    """Makes a function for compiled code that multiplies a block.

    Args:
        rows: Rows of the block.
        panels: Neighbouring panels that it takes together.

    Returns:
        A function of `out`, `start`, `a`, `panels`, the first row and the first panel; shapes as in `multiply_add`.
    """

    @intrinsic
    def multiply(_context, out, start, a, weights, row, panel):
        def generate(context, builder, signature, values):
            arrays = [_Array(context, builder, *pair) for pair in zip(signature.args[:4], values[:4], strict=True)]
            row, panel = values[4:]
            _emit(context.get_value_type(out.dtype), arrays, row, panel, rows, panels)
            return context.get_dummy_value()

        return types.void(out, start, a, weights, types.intp, types.intp), generate

    return multiply


def _emit(number: Any, arrays: list[_Array], row: Any, panel: Any, rows: int, panels: int) -> None:
    """Generates a block of one kind of number: load its sums, loop over the inputs, store its sums."""
    (out, start, a, weights), builder = arrays, arrays[0].builder
    size = 8 if number == ir.DoubleType() else 4
    register = ir.VectorType(number, REGISTER // size)
    every_row = [builder.add(row, _INT(r)) for r in range(rows)]
    every_panel = [builder.add(panel, _INT(p)) for p in range(panels)]
    only_row = builder.icmp_signed("==", start.shape[1], _INT(1))
    start_rows = [builder.select(only_row, _INT(0), r) for r in every_row]

    def halves(addresses: list[Any]) -> list[Any]:
        return [builder.gep(address, [_INT(half * REGISTER)]) for address in addresses for half in range(2)]

    def load(kind: Any, address: Any) -> Any:
        return builder.load(builder.bitcast(address, kind.as_pointer()), align=size)

    numbers = [a.at(r, _INT(0)) for r in every_row]
    strips = halves([weights.at(p, _INT(0), _INT(0)) for p in every_panel])

    def step(k: Any, sums: list[Any]) -> list[Any]:
        across, down = builder.mul(k, a.strides[1]), builder.mul(k, weights.strides[1])
        here = [builder.gep(strip, [down]) for strip in strips]
        registers = [load(register, place) for place in here]
        for place in here:
            _fetch(builder, builder.gep(place, [_INT(_AHEAD * 2 * REGISTER)]))
        factors = [splat_of(builder, register, load(number, builder.gep(place, [across]))) for place in numbers]
        pairs = [(factor, weight) for factor in factors for weight in registers]
        return [call(builder, "fmuladd", *pair, total) for pair, total in zip(pairs, sums, strict=True)]

    places = halves([start.at(p, r, _INT(0)) for r in start_rows for p in every_panel])
    first = [load(register, place) for place in places]
    places = halves([out.at(p, r, _INT(0)) for r in every_row for p in every_panel])
    for total, place in zip(repeat(builder, a.shape[1], first, step), places, strict=True):
        builder.store(total, builder.bitcast(place, register.as_pointer()), align=size)


def repeat(builder: Any, count: Any, first: list[Any], step: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """Generates a loop over `k` below `count`, 1 or more, that carries values along in registers."""
    before, loop = builder.block, builder.append_basic_block("inputs")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, carried = builder.phi(_INT), [builder.phi(value.type) for value in first]
    later = step(k, carried)
    following = builder.add(k, _INT(1))
    for phi, start, end in zip([k, *carried], [_INT(0), *first], [following, *later], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(end, loop)
    after = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    return later


def fetch(lines: int) -> Any:
    """Makes a function for compiled code that asks early for what it will soon load.

    Straight code, where `prefetch_to_read` is a loop: inside the loop over synapses that one halved LTC's speed.

    Args:
        lines: Neighbouring cache lines to ask for.

    Returns:
        A function of a flat array and a place in it; a place behind its end does no harm.
    """

    @intrinsic
    def ask(_context, array, place):
        def generate(context, builder, signature, values):
            here = _Array(context, builder, signature.args[0], values[0]).at(values[1])
            for line in range(lines):
                _fetch(builder, builder.gep(here, [_INT(BYTES * line)]))
            return context.get_dummy_value()

        return types.void(array, types.intp), generate

    return ask


@intrinsic
def apart(_context):
    """Keeps the compiler from copying the compiled function that calls this into the places that call it."""

    def generate(context, builder, _signature, _arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate
