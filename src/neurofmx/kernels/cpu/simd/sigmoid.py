"""The two halves of a sigmoid in SIMD lanes: `1 + 2^x`, and the division.

Both halves of `1 / (1 + 2^x)` are long chains of dependent instructions, and a processor looks only so far ahead, so
loops do better to run one half after the other. Two sigmoids share one division: with `p = 1 + 2^x` and `q = 1 + 2^y`
they are `q / (p q)` and `p / (p q)`, for which `x` and `y` must be bounded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types

# to a type checker: what this decorates is called by compiled code, without the context
intrinsic: Any = extending.intrinsic

# 2^f on |f| <= 1/2 with the smallest largest relative error, or Taylor's
_POLYNOMIAL = {
    np.float32: (1.0000001192, 0.693146944046, 0.240221202374, 0.055507130921, 0.009675540961, 0.001327647245),
    np.float64: [math.log(2) ** k / math.factorial(k) for k in range(14)],
}


def opposite_numbers(dtype: type[np.floating], *, factors: int = 2) -> tuple[np.floating, ...]:
    """The numbers that `opposite` works with, to be handed to a compiled loop as data, see `lanes.splats`.

    Args:
        dtype: float32 or float64.
        factors: How many of its results may be multiplied with each other.

    Returns:
        Lower bound, upper bound, what rounds, and the polynomial from its highest power down.
    """
    mantissa, bias = np.finfo(dtype).nmant, np.finfo(dtype).maxexp - 1
    bound = (bias - 7) / factors
    rounds = 1.5 * 2.0**mantissa + bias  # leaves the rounded exponent with its bias in the lowest bits
    return tuple(map(dtype, (-bound, bound, rounds, *_POLYNOMIAL[dtype][::-1])))


def _opposite(*, within: bool) -> Any:
    """A function for compiled code: `1 + 2^x` in every lane."""

    @intrinsic
    def one_plus_power(_context, x, numbers):
        def emit(context, builder, _signature, arguments):
            kind, bits = context.get_value_type(x), ir.VectorType(ir.IntType(x.dtype.bitwidth), x.count)
            low, high, shift, *terms = (builder.extract_value(arguments[1], i) for i in range(numbers.count))
            value = arguments[0]
            for worse, bound in () if within else (("<", low), (">", high)):  # NaN is neither, and stays
                value = builder.select(builder.fcmp_ordered(worse, value, bound), bound, value)
            shifted = builder.fadd(value, shift)
            f, polynomial = builder.fsub(value, builder.fsub(shifted, shift)), terms[0]
            for term in terms[1:]:
                polynomial = builder.fadd(builder.fmul(polynomial, f), term)
            mantissa = ir.Constant(bits, [23 if x.dtype == types.float32 else 52] * x.count)
            power = builder.bitcast(builder.shl(builder.bitcast(shifted, bits), mantissa), kind)
            return builder.fadd(builder.fmul(polynomial, power), kind([1.0] * x.count))

        return x(x, numbers), emit

    return one_plus_power


# `1 + 2^x`, for `x` beyond the bounds as at the bound; and the same for whoever knows that no `x` is beyond
opposite, opposite_within = _opposite(within=False), _opposite(within=True)


def _division(*flags: str) -> Any:
    """A function for compiled code: `x / y` in every lane."""

    @intrinsic
    def divide(_context, x, y):
        def emit(_context, builder, _signature, arguments):
            return builder.fdiv(*arguments, flags=flags)

        return x(x, y), emit

    return divide


# The first is exact. The second, for finite numbers and NaN, may estimate a reciprocal and refine it.
divide, quick_divide = _division("contract"), _division("arcp", "contract", "ninf")
