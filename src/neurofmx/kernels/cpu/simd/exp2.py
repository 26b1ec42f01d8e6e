"""Powers of two of whole vectors in compiled code: what the decays of a state-space layer are made of.

    2^p = 2^k 2^f,    p = k + f,    |f| <= 1/2

The exponent is a product of two vectors, a step size and a rate, and is not rounded before it is split.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from neurofmx.kernels.cpu.simd.lanes import Lanes, call, intrinsic

_MANTISSA = {types.float32: 23, types.float64: 52}
# 2^f = 1 + f (...) on |f| <= 1/2: with the smallest largest error, or Taylor's
_POLYNOMIAL = {
    np.float32: (0.6931472029, 0.2402264791, 0.0555033246, 0.0096184374, 0.0013398877, 0.0001535336),
    np.float64: [math.log(2) ** k / math.factorial(k) for k in range(1, 14)],
}


def exp2_numbers(dtype: type[np.floating]) -> tuple[np.floating, ...]:
    """The numbers that `exp2` works with, to be handed to a compiled loop as data.

    Were they known to the compiler, it would read them from memory in every round of a loop, which takes longer than
    the arithmetic; so a loop reads them once, with `splats`.

    Args:
        dtype: float32 or float64.

    Returns:
        Lower bound, upper bound, what rounds, and the polynomial from its highest power down.
    """
    mantissa, bias = np.finfo(dtype).nmant, np.finfo(dtype).maxexp - 1
    twice = [2 * c for c in (1.0, *_POLYNOMIAL[dtype])]
    return tuple(map(dtype, (1.0 - bias, bias + 2.0, 1.5 * 2.0**mantissa + bias - 1, *twice[::-1])))


def _exp2(builder: Any, lanes: Lanes, x: Any, y: Any, numbers: Any, bounded: bool) -> Any:
    """Instructions for `2^(x y)`, of any product if `bounded`."""
    low, high, shift, *polynomial = (builder.extract_value(numbers, i) for i in range(len(numbers.type)))
    shifted = call(builder, "fmuladd", x, y, shift)
    f = call(builder, "fmuladd", x, y, builder.fsub(shift, shifted))
    if bounded:
        product = builder.fmul(x, y)
        for beyond, bound in (("<", low), (">", high)):  # NaN is neither, and stays
            outside = builder.fcmp_ordered(beyond, product, bound)
            shifted = builder.select(outside, builder.fadd(bound, shift), shifted)
            f = builder.select(outside, builder.fsub(bound, bound), f)
    result = polynomial[0]
    for c in polynomial[1:]:
        result = builder.fadd(builder.fmul(result, f), c)
    bits = ir.VectorType(ir.IntType(lanes.dtype.bitwidth), lanes.count)
    mantissa = ir.Constant(bits, [_MANTISSA[lanes.dtype]] * lanes.count)
    exponent = builder.shl(builder.bitcast(shifted, bits), mantissa)
    return builder.fmul(result, builder.bitcast(exponent, x.type))


@intrinsic
def exp2(_context, x, y, numbers):
    """`2^(x y)` in every lane: 0 about where normal numbers end, infinity above the largest, NaN for NaN.

    Adding 1.5 * 2^mantissa rounds the product to a whole number k, which stays in the lowest bits of the sum; shifted
    to the exponent they are 2^k. The bias in the sum is one too small and the polynomial twice 2^(x y - k), so that
    the largest numbers are reached.
    """

    def emit(_context, builder, _signature, arguments):
        return _exp2(builder, x, *arguments, bounded=True)

    return x(x, y, numbers), emit


@intrinsic
def exp2_within(_context, x, y, numbers):
    """The same bits as `exp2` in fewer steps, where no product is larger than minus the first of the numbers."""

    def emit(_context, builder, _signature, arguments):
        return _exp2(builder, x, *arguments, bounded=False)

    return x(x, y, numbers), emit
