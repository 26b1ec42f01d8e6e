"""Vectors for compiled loops: as many numbers side by side as a cache line of 64 bytes holds.

numba hands loops over numbers to LLVM and hopes that they are vectorised. A recurrence has a loop over time with loops
over states inside, where the guesses go wrong: running sums are kept in memory and overlaps of arrays are checked at
every step. `Lanes` are LLVM's own vectors, so a value of 16 channels (8 in float64) is one variable that stays in a
register; on processors with shorter vectors LLVM splits them.

    x = load(array, place)      store(array, place, x)      every(array, place)      x + y, x - y, x * y

Sums over channels are the exception: kept in all lanes they would fill the caches, so a `fold` makes a quarter of them.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.typing import templates
from numba.extending import models

from neurofmx.kernels.cpu.simd.address import data_of

BYTES = 64

# to a type checker: what these decorate is called by compiled code with other arguments than Python would need
intrinsic: Any = extending.intrinsic
register_model: Any = extending.register_model
lower_builtin: Any = extending.lower_builtin
infer_global: Any = templates.infer_global


class Lanes(types.Type):
    """The type of one vector.

    Args:
        dtype: numba's float32 or float64.
        size: Bytes of the vector.
    """

    def __init__(self, dtype: Any, size: int) -> None:
        self.dtype = dtype
        self.count = size * 8 // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype} x {self.count})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    """A vector is one value of LLVM."""

    def __init__(self, manager: Any, lanes: Lanes) -> None:
        number = ir.FloatType() if lanes.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, lanes, ir.VectorType(number, lanes.count))


_NUMBERS: Any = (types.float32, types.float64)
_TYPES: dict[Any, Lanes] = {dtype: Lanes(dtype, BYTES) for dtype in _NUMBERS}
_QUARTERS: dict[Any, Lanes] = {dtype: Lanes(dtype, BYTES // 4) for dtype in _NUMBERS}


def lanes_of(dtype: Any) -> Lanes:
    """The type of a vector of such numbers.

    Args:
        dtype: numba's float32 or float64.

    Returns:
        The type.
    """
    return _TYPES[dtype]


def _register(operation: Any, instruction: str) -> None:
    """Makes an operator of Python work between vectors."""

    def emit(_context: Any, builder: Any, _signature: Any, operands: Any) -> Any:
        return getattr(builder, instruction)(*operands)

    cases = [templates.signature(lanes, lanes, lanes) for lanes in (*_TYPES.values(), *_QUARTERS.values())]
    infer_global(operation)(type(f"Lanes_{instruction}", (templates.ConcreteTemplate,), {"cases": cases}))
    lower_builtin(operation, Lanes, Lanes)(emit)


for _operation, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _register(_operation, _instruction)


def address_of(context: Any, builder: Any, lanes: Lanes, array: Any, arguments: Any) -> Any:
    """The address of a vector: that of a place of a flat array."""
    data = data_of(context, builder, array, arguments[0])
    return builder.bitcast(builder.gep(data, [arguments[1]]), context.get_value_type(lanes).as_pointer())


def _load(lanes: Lanes, array: Any) -> Any:
    """How to read a vector from an array that may start anywhere."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(address_of(context, builder, lanes, array, arguments), align=array.dtype.bitwidth // 8)

    return lanes(array, types.intp), emit


@intrinsic
def load(_context, array, place):
    """The numbers of a flat array from a place on."""
    return _load(_TYPES[array.dtype], array)


@intrinsic
def load_quarter(_context, array, place):
    """A quarter of a vector from a flat array, from a place on."""
    return _load(_QUARTERS[array.dtype], array)


@intrinsic
def store(_context, array, place, lanes):
    """Writes a vector, or a quarter of one, to a flat array from a place on."""

    def emit(context, builder, _signature, arguments):
        builder.store(
            arguments[2], address_of(context, builder, lanes, array, arguments), align=array.dtype.bitwidth // 8
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), emit


def splat_of(builder: Any, vector: ir.VectorType, number: Any) -> Any:
    """Instructions that put a number into all lanes."""
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


@intrinsic
def splat(_context, number):
    """A vector with the same number in every lane."""
    lanes = _TYPES[number]

    def emit(context, builder, _signature, arguments):
        return splat_of(builder, context.get_value_type(lanes), arguments[0])

    return lanes(number), emit


@intrinsic
def lanes_in(_context, array):
    """How many numbers of an array a vector has; a constant, where `BYTES // array.itemsize` is a division."""
    count = _TYPES[array.dtype].count

    def emit(context, _builder, _signature, _arguments):
        return context.get_constant(types.intp, count)

    return types.intp(array), emit


@intrinsic
def zeros(_context, array):
    """A vector of zeros like those of an array."""
    lanes = _TYPES[array.dtype]

    def emit(context, _builder, _signature, _arguments):
        return context.get_value_type(lanes)(None)

    return lanes(array), emit


@intrinsic
def splats(_context, numbers):
    """For every number of a tuple, a vector with it in every lane."""
    lanes = types.UniTuple(_TYPES[numbers.dtype], numbers.count)

    def emit(context, builder, _signature, arguments):
        vector = context.get_value_type(lanes.dtype)
        each = [splat_of(builder, vector, builder.extract_value(arguments[0], i)) for i in range(numbers.count)]
        return context.make_tuple(builder, lanes, each)

    return lanes(numbers), emit


@intrinsic
def every(_context, array, place):
    """A vector with one number of a flat array in every lane; the place must not be negative, as in `load`."""
    lanes = _TYPES[array.dtype]

    def emit(context, builder, _signature, arguments):
        number = builder.load(builder.gep(data_of(context, builder, array, arguments[0]), [arguments[1]]))
        return splat_of(builder, context.get_value_type(lanes), number)

    return lanes(array, types.intp), emit


def fold_to(builder: Any, x: Any, count: int, join: Any) -> Any:
    """Instructions that join halves of a vector until `count` numbers are left."""
    while x.type.count > count:
        half = x.type.count // 2
        parts = [[start + i for i in range(half)] for start in (0, half)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), half), part) for part in parts]
        x = join(*(builder.shuffle_vector(x, x, mask) for mask in masks))
    return x


def call(builder: Any, name: str, *operands: Any) -> Any:
    """Instructions that call one of LLVM's own functions of vectors by its name."""
    vector = operands[0].type
    suffix = f"v{vector.count}f{64 if vector.element == ir.DoubleType() else 32}"
    kind = ir.FunctionType(vector, [vector] * len(operands))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}"), operands)


@intrinsic
def fold(_context, lanes):
    """A quarter of a vector, in which every number is the sum of four."""
    quarter = _QUARTERS[lanes.dtype]

    def emit(_context, builder, _signature, arguments):
        return fold_to(builder, arguments[0], quarter.count, builder.fadd)

    return quarter(lanes), emit


@intrinsic
def total(_context, lanes):
    """The sum of the numbers of a vector or a quarter of one, halves first."""

    def emit(_context, builder, _signature, arguments):
        return builder.extract_element(fold_to(builder, arguments[0], 1, builder.fadd), ir.Constant(ir.IntType(32), 0))

    return lanes.dtype(lanes), emit


@intrinsic
def larger(_context, x, y):
    """The larger size, without sign, of two vectors in every lane; where one is NaN, `y`."""

    def emit(_context, builder, _signature, arguments):
        a, b = (call(builder, "fabs", operand) for operand in arguments)
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    return x(x, y), emit


@intrinsic
def above(_context, x, bound):
    """`x`, and the bound where it is larger; NaN stays."""

    def emit(_context, builder, _signature, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments), *arguments[::-1])

    return x(x, bound), emit


@intrinsic
def largest(_context, lanes):
    """The largest number of a vector."""

    def emit(_context, builder, _signature, arguments):
        def join(a, b):
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        return builder.extract_element(fold_to(builder, arguments[0], 1, join), ir.Constant(ir.IntType(32), 0))

    return lanes.dtype(lanes), emit
