"""Exponentials that a compiled loop can run in SIMD lanes: `exp`, `sigmoid`, `tanh` and `softplus` of one number.

A call into the maths library ends vectorisation, so the float32 versions are polynomials without branches. They are
accurate to about one part in ten million, keep NaN, and have the right limits at both infinities. The float64 versions
call the maths library: there accuracy matters and speed does not.

    exp(x) = 2^k e^r,    x = k ln 2 + r,    |r| <= ln(2)/2

`k` comes from adding 1.5 * 2^23 to x / ln 2, which leaves the rounded number in the lowest bits. That step and the two
parts of ln 2 must not be reordered, so these functions allow the compiler to fuse operations but not to regroup them,
also where the loop around them does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import extending, types
from numba.extending import overload

from neurofmx.kernels.cpu.compiled import njit

# to a type checker: compiled code calls what this decorates with other arguments than Python would need
intrinsic: Any = extending.intrinsic
_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}

_ROUND = np.float32(1.5 * 2**23)
_ROUND_BITS = _ROUND.view(np.int32)
_BIAS = np.int32(127)  # of the exponent of a float32
_PER_LN2 = np.float32(1 / math.log(2))
_LN2_HIGH = np.float32(0.693359375)  # ends in so many zero bits that k times this is exact
_LN2_LOW = np.float32(math.log(2) - 0.693359375)
_LOWEST, _HIGHEST = np.float32(-104), np.float32(89)  # beyond them exp is 0 and infinity in float32
_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0, 0.5, 1, 2))

# (e^r - 1 - r) / r^2 with the smallest largest error of e^r on |r| <= ln(2)/2
_E2, _E3, _E4, _E5, _E6 = (
    np.float32(c) for c in (0.4999999345, 0.1666652063, 0.0416683880, 0.0083687169, 0.0013814599)
)
# (2 atanh(s) - 2 s) / s^3 as a polynomial of s^2 up to 1/9, likewise
_L3, _L5, _L7, _L9 = (np.float32(c) for c in (0.6666641313, 0.4002169907, 0.2799914072, 0.2802446087))


def exp(x: float) -> float:
    """`e^x`, inside compiled code.

    Args:
        x: float32 or float64.

    Returns:
        The same type; float32 results below 2^-126 are as exact as their few bits allow.
    """
    return math.exp(x)


def sigmoid(x: float) -> float:
    """`1 / (1 + e^-x)`, inside compiled code.

    Args:
        x: float32 or float64.

    Returns:
        The same type, in 0 to 1.
    """
    return 1 / (1 + math.exp(-x))


def tanh(x: float) -> float:
    """The hyperbolic tangent, inside compiled code; accurate also next to 0.

    Args:
        x: float32 or float64.

    Returns:
        The same type, in -1 to 1.
    """
    return math.tanh(x)


def softplus(x: float) -> float:
    """`log(1 + e^x)`, inside compiled code; accurate also where it is tiny.

    Args:
        x: float32 or float64.

    Returns:
        The same type, above 0.
    """
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@intrinsic
def widest_lanes(_context):
    """Asks for vectors of 512 bits, where the processor has them, in the compiled function that calls this.

    LLVM takes half of that on many processors, since the first ones with such vectors slowed down by using them.
    """

    def generate(context, builder, _signature, _arguments):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # which `add` itself does not know
        return context.get_dummy_value()

    return types.void(), generate


@njit(**_OPTIONS)
def _split(x):
    """`k` as bits of an integer and as a number, and `r`, with `x = k ln 2 + r`."""
    shifted = x * _PER_LN2 + _ROUND
    k = shifted - _ROUND
    return np.int32(np.float32(shifted).view(np.int32) - _ROUND_BITS), k, (x - k * _LN2_HIGH) - k * _LN2_LOW


@njit(**_OPTIONS)
def _expm1_near_zero(r):
    """`e^r - 1` for `|r| <= ln(2)/2`."""
    return r * (_ONE + r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * _E6)))))


@njit(**_OPTIONS)
def _power_of_two(k):
    """`2^k` of an integer from -127, which gives 0, to 128, which gives infinity."""
    return np.int32((k + _BIAS) << 23).view(np.float32)


@njit(**_OPTIONS)
def _exp_single(x):
    x = _LOWEST if x < _LOWEST else x  # written so that NaN stays
    x = _HIGHEST if x > _HIGHEST else x
    k, _, r = _split(x)
    half = k >> 1  # in two steps, as 2^k alone may be no normal number
    return (_ONE + _expm1_near_zero(r)) * _power_of_two(half) * _power_of_two(k - half)


@njit(**_OPTIONS)
def _sigmoid_single(x):
    return _ONE / (_ONE + _exp_single(-x))


@njit(**_OPTIONS)
def _expm1_negative(x):
    """`e^x - 1` for `x <= 0`."""
    x = _LOWEST if x < _LOWEST else x
    k, _, r = _split(x)
    k = -_BIAS if k < -_BIAS else k
    scale = _power_of_two(k)
    return scale * _expm1_near_zero(r) + (scale - _ONE)


@njit(**_OPTIONS)
def _tanh_single(x):
    below = _expm1_negative(-_TWO * abs(x))
    return math.copysign(-below / (_TWO + below), x)


@njit(**_OPTIONS)
def _softplus_single(x):
    z = _exp_single(-abs(x))
    s = z / (_TWO + z)  # log(1 + z) = 2 atanh(s)
    v = s * s
    log = s * (_TWO + v * (_L3 + v * (_L5 + v * (_L7 + v * _L9))))
    return (_ZERO if x < _ZERO else x) + log


@njit(**_OPTIONS)
def _exp_double(x):
    return math.exp(x)


@njit(**_OPTIONS)
def _sigmoid_double(x):
    return 1.0 / (1.0 + math.exp(-x))


@njit(**_OPTIONS)
def _tanh_double(x):
    return math.tanh(x)


@njit(**_OPTIONS)
def _softplus_double(x):
    return (0.0 if x < 0.0 else x) + math.log1p(math.exp(-abs(x)))


def _choose(name, single, double):
    """Lets compiled code call one name for both precisions."""

    def by_type(x):
        if x == types.float32:
            return lambda x: single(x)
        return (lambda x: double(x)) if x == types.float64 else None

    overload(name, jit_options=_OPTIONS)(by_type)


_choose(exp, _exp_single, _exp_double)
_choose(sigmoid, _sigmoid_single, _sigmoid_double)
_choose(tanh, _tanh_single, _tanh_double)
_choose(softplus, _softplus_single, _softplus_double)
