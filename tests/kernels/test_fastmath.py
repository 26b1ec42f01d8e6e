"""The vectorisable functions against numpy in extended precision, at their limits, and in the machine code."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from neurofmx.kernels.cpu.simd import fastmath as fast

# the loops around them allow this much; the functions must stay exact inside
LOOSE = {"contract", "reassoc", "arcp", "nsz", "afn"}
EXACT = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(0, x),
}
LIMITS = {  # at -inf, -1e30, -120, -0, 0, 120, 1e30, inf
    "exp": (0, 0, 0, 1, 1, np.inf, np.inf, np.inf),
    "sigmoid": (0, 0, 0, 0.5, 0.5, 1, 1, 1),
    "tanh": (-1, -1, -1, -0.0, 0.0, 1, 1, 1),
    "softplus": (0, 0, 0, np.log(2), np.log(2), 120, 1e30, np.inf),
}


def loop_of(name):
    """A compiled loop that applies one of the functions to every number."""
    function = getattr(fast, name)

    @njit(error_model="numpy", fastmath=LOOSE)
    def loop(x, y):
        fast.widest_lanes()
        for i in range(x.shape[0]):
            y[i] = function(x[i])

    return loop


LOOPS = {name: loop_of(name) for name in EXACT}


def applied(name, x):
    """The function of every number of an array."""
    y = np.empty_like(x)
    LOOPS[name](x, y)
    return y


def numbers(dtype):
    """Where exp is a normal float32: coarsely everywhere, finely around 0, and down to tiny magnitudes."""
    tiny = np.geomspace(1e-30, 1, 20_000)
    return np.concatenate([np.linspace(-87, 88, 300_001), np.linspace(-1, 1, 100_001), tiny, -tiny]).astype(dtype)


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 2.7e-7), (np.float64, 1e-14)])
@pytest.mark.parametrize("name", EXACT)
def test_relative_error_is_that_of_the_precision(name, dtype, error):
    x = numbers(dtype)
    exact = EXACT[name](x.astype(np.longdouble))
    seen = np.abs(exact) >= np.finfo(np.float32).tiny
    assert np.all(np.abs(applied(name, x) - exact)[seen] <= error * np.abs(exact)[seen])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_limits(name, dtype):
    x = np.array([-np.inf, -1e30, -120, -0.0, 0.0, 120, 1e30, np.inf], dtype)
    expected = np.array(LIMITS[name])
    if name == "exp" and dtype is np.float64:
        expected[[2, 5]] = np.exp([-120, 120])
    y = applied(name, x)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-45 if dtype is np.float32 else 1e-50)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_nan_stays_in_its_own_lane(name, dtype):
    x = np.linspace(-3, 3, 101).astype(dtype)
    x[::7] = np.nan
    np.testing.assert_array_equal(np.isnan(applied(name, x)), np.isnan(x))


def test_exp_loses_bits_gradually_and_overflows_late():
    x = np.array([-100, -95.5, -88, 88.5, 88.72], np.float32)
    np.testing.assert_allclose(applied("exp", x), np.exp(x.astype(np.float64)), rtol=2e-7, atol=1.5e-45)


@pytest.mark.parametrize("name", EXACT)
def test_float32_is_vectorised_without_calls_into_the_maths_library(name):
    loop = loop_of(name)
    loop(np.zeros(8, np.float32), np.zeros(8, np.float32))
    (code,) = loop.inspect_asm().values()
    packed = [line for line in code.splitlines() if any(op in line for op in ("mulps", "fmadd", "fmla"))]
    assert packed, "no packed arithmetic"
    assert not any(call in code for call in ("expf", "tanhf", "log1pf"))
