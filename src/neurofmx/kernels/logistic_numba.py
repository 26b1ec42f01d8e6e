"""The exponential that gates are made of: within bounds where a product of three `1 + e^x` is still a number.

A division costs as much as an exponential, so compiled loops share one between several gates:
`1 / (1 + e^x)` and `1 / (1 + e^y)` are `q / (p q)` and `p / (p q)` with `p = 1 + e^x` and `q = 1 + e^y`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}

_BOUND = np.float32(27.7)  # 3 * 27.7 < ln(2^127)
_BOUND_DOUBLE = 230.0
_PER_LN2 = np.float32(1 / math.log(2))
_ROUND = np.float32(1.5 * 2**23)  # adding it leaves the rounded number in the lowest bits
_ONE_BITS = np.int32(127 << 23)
# 2^r on |r| <= 1/2 with the smallest largest relative error, and exactly 1 at 0
_ONE, _P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(c)
    for c in (1.0, 0.69314724207, 0.24022652209, 0.05550310388, 0.00961769279, 0.00134066434, 0.00015594678)
)


def bounded_exp(x: float) -> float:
    """`e^x` for `|x|` up to 27 in float32 and 230 in float64, and beyond that as at the bound; inside compiled code.

    Args:
        x: float32 or float64; NaN stays.

    Returns:
        The same type. A sigmoid made of it is off by less than 1e-12 beyond the bound.
    """
    return math.exp(max(-_BOUND_DOUBLE, min(_BOUND_DOUBLE, x)))


@njit(**_OPTIONS)
def _bounded_single(x):
    x = _BOUND if x > _BOUND else x  # written so that NaN stays
    x = -_BOUND if x < -_BOUND else x
    shifted = x * _PER_LN2 + _ROUND
    r = x * _PER_LN2 - (shifted - _ROUND)
    power = np.int32((np.float32(shifted).view(np.int32) << 23) + _ONE_BITS).view(np.float32)
    return power * (_ONE + r * (_P1 + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6))))))


@njit(**_OPTIONS)
def _bounded_double(x):
    x = _BOUND_DOUBLE if x > _BOUND_DOUBLE else x
    return math.exp(-_BOUND_DOUBLE if x < -_BOUND_DOUBLE else x)


@overload(bounded_exp, jit_options=_OPTIONS)
def _by_type(x):
    if x == types.float32:
        return lambda x: _bounded_single(x)
    return (lambda x: _bounded_double(x)) if x == types.float64 else None
