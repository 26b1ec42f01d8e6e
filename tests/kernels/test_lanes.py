"""Vectors in compiled code against numpy, and the tiles that they work on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit

from neurofmx.kernels.cpu.simd.address import hold, start_of
from neurofmx.kernels.cpu.simd.exp2 import exp2, exp2_numbers, exp2_within
from neurofmx.kernels.cpu.simd.lanes import (
    BYTES,
    above,
    fold,
    lanes_in,
    larger,
    largest,
    load,
    load_quarter,
    splat,
    splats,
    store,
    total,
    zeros,
)
from neurofmx.kernels.cpu.simd.part import load_first, store_first
from neurofmx.kernels.cpu.simd.products import multiply, turn
from neurofmx.kernels.cpu.simd.tiles import array_of, gather, read_tile, rows_of, scratch, spread, write_tile

DTYPES = [np.float32, np.float64]


@njit(fastmath={"contract"})
def powers(x, y, numbers):
    table = splats(numbers)
    for i in range(0, x.shape[0], BYTES // x.itemsize):
        store(y, i, exp2(load(x, i), splat(x.dtype.type(1)), table))


@njit(fastmath={"contract"})
def powers_within(x, y, z, numbers):
    table = splats(numbers)
    for i in range(0, x.shape[0], BYTES // x.itemsize):
        store(z, i, exp2_within(load(x, i), load(y, i), table))
        store(y, i, exp2(load(x, i), load(y, i), table))


@njit
def sizes(x, y):
    y[0] = largest(larger(load(x, 0), splat(x.dtype.type(0))))


@njit
def arithmetic(a, b, c, y):
    store(y, 3, load(a, 1) * load(b, 2) - load(a, 0) + splat(c))


@njit
def parts(x, y, count):
    numbers, to = start_of(x), start_of(y)
    store_first(to, 1, count, load_first(numbers, 0, count + 1) + splat(x.dtype.type(1)))
    store(y, y.shape[0] - lanes_in(y), load_first(x, 1, count))
    hold(x)
    hold(y)


@njit
def bounded(x, y):
    store(y, 0, above(load(x, 0), zeros(x)))


@njit
def product(to, a, x, add):
    (rows, inner), lanes = a.shape, lanes_in(x)
    multiply(to, 0, lanes, a.reshape(-1), 0, inner, 1, x, 0, lanes, rows, inner, add)
    multiply(to, rows * lanes, lanes, a.reshape(-1), 0, 1, inner, x, 0, lanes, inner, rows, add)


@njit
def turned(x, y):
    turn(y, 0, lanes_in(y), x, 0, 2 * lanes_in(x))


@njit
def added(x, y):
    y[0] = total(load(x, 0))
    store(y, 1, load_quarter(y, 1) + fold(load(x, 0)))
    y[0] -= total(load_quarter(y, 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_arithmetic_is_that_of_numbers(dtype):
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(size=(3, 30)).astype(dtype)
    c, lanes, before = dtype(0.3), BYTES // np.dtype(dtype).itemsize, y.copy()
    arithmetic(a, b, c, y)
    expected = a[1 : lanes + 1] * b[2 : lanes + 2] - a[:lanes] + c
    np.testing.assert_allclose(y[3 : lanes + 3], expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)
    np.testing.assert_array_equal(y[:3], before[:3])
    np.testing.assert_array_equal(y[lanes + 3 :], before[lanes + 3 :])


@pytest.mark.parametrize("dtype", DTYPES)
def test_totals_and_folds_add_every_lane(dtype):
    lanes = BYTES // np.dtype(dtype).itemsize
    x, y = (2.0 ** np.arange(lanes)).astype(dtype), np.ones(lanes, dtype)
    added(x, y)
    np.testing.assert_array_equal(y[1 : 1 + lanes // 4], 1 + x.reshape(4, -1).sum(0))
    np.testing.assert_array_equal(y[1 + lanes // 4 :], 1)
    assert y[0] == -(lanes // 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two_are_exact_to_the_last_bits(dtype):
    highest = np.finfo(dtype).maxexp
    x = np.linspace(-highest + 4, highest, 160_000, endpoint=False).astype(dtype)
    y = np.empty_like(x)
    powers(x, y, exp2_numbers(dtype))
    exact = np.exp2(x.astype(np.longdouble))
    assert np.all(np.abs(y - exact) <= np.finfo(dtype).eps * exact)
    whole = x == np.rint(x)
    assert whole.any()
    np.testing.assert_array_equal(y[whole], exact[whole].astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_two_at_their_limits(dtype):
    highest = np.finfo(dtype).maxexp
    x = np.array([-np.inf, -1e30, -highest * 1.5, highest, highest + 0.7, highest * 3, np.inf, np.nan, 0, -0.0] * 8)
    y = np.empty(80, dtype)
    powers(x.astype(dtype), y, exp2_numbers(dtype))
    expected = np.array([0, 0, 0, np.inf, np.inf, np.inf, np.inf, np.nan, 1, 1] * 8)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_small_products_have_the_same_bits_without_bounds(dtype):
    numbers = exp2_numbers(dtype)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 16_000)).astype(dtype)
    y *= -numbers[0] / np.abs(x * y).max() * 0.999
    exact, z = np.exp2(x.astype(np.longdouble) * y.astype(np.longdouble)), np.empty_like(x)
    powers_within(x, y, z, numbers)
    np.testing.assert_array_equal(y, z)
    assert np.all(np.abs(y - exact) <= np.finfo(dtype).eps * exact)  # the product is not rounded


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_number_is_found_without_sign_and_past_nan(dtype):
    lanes, y = BYTES // np.dtype(dtype).itemsize, np.zeros(1, dtype)
    for place in range(lanes):
        x = np.linspace(-1, 1, lanes).astype(dtype)
        x[place], x[place - 1] = -3, np.nan
        sizes(x, y)
        assert y[0] == 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_numbers_of_a_vector_alone_are_read_and_written(dtype):
    lanes = BYTES // np.dtype(dtype).itemsize
    for count in range(lanes):
        x, y = np.arange(2.0, 3 + lanes, dtype=dtype)[: count + 1].copy(), np.full(2 + 2 * lanes, -1, dtype)
        parts(x, y, count)
        np.testing.assert_array_equal(y[: 2 + count], [-1, *(x[:count] + 1), -1])
        np.testing.assert_array_equal(y[-lanes:], [*x[1:], *[0] * (lanes - count)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bound_from_below_keeps_nan(dtype):
    lanes = BYTES // np.dtype(dtype).itemsize
    x, y = np.linspace(-1, 1, lanes).astype(dtype), np.empty(lanes, dtype)
    x[[1, -2]] = np.nan
    bounded(x, y)
    np.testing.assert_array_equal(y, np.where(x < 0, 0, x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "inner"), [(1, 1), (16, 8), (37, 20), (5, 33)])
def test_products_of_rows_and_columns(dtype, rows, inner):
    lanes = BYTES // np.dtype(dtype).itemsize
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(max(rows, inner), lanes)).astype(dtype)
    exact = np.concatenate([a @ x[:inner], a.T @ x[:rows]])
    for add in (False, True):
        to = np.ones((rows + inner, lanes), dtype)
        product(to.reshape(-1), a, x.reshape(-1), add)
        np.testing.assert_allclose(to, exact + add, rtol=0, atol=200 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_turn_into_columns(dtype):
    lanes = BYTES // np.dtype(dtype).itemsize
    x, y = np.arange(2.0 * lanes**2, dtype=dtype).reshape(lanes, 2 * lanes), np.empty((lanes, lanes), dtype)
    turned(x.reshape(-1), y.reshape(-1))
    np.testing.assert_array_equal(y, x[:, :lanes].T)


@pytest.mark.parametrize("width", [1, 16, 21, 32])
def test_tiles_carry_what_counts_and_nothing_else(width):
    @njit
    def through(rows, mask, to, pitch, b, t0, steps, c0, width):
        tile = scratch(1, steps * pitch, to)[0]
        read_tile(tile, pitch, rows, mask, b, t0, steps, c0, width, to.dtype.type(7))
        filled = tile.copy()
        write_tile(to, tile, pitch, mask, b, t0, steps, c0, width)
        return filled

    x = torch.randn(3, 9, 40).chunk(2, -1)[0] if width < 20 else torch.randn(3, 9, 40)
    mask, to = np.random.default_rng(0).random((3, 9)) < 0.5, np.full((3, 9, 40), -1, np.float32)
    tile = through(rows_of(x), mask, to, 32, 1, 2, 5, 3, width).reshape(5, 32)
    counted = mask[1, 2:7, None]
    part = x[1, 2:7, 3 : 3 + width].numpy()
    np.testing.assert_array_equal(tile[:, :width], np.where(counted, part, 7))
    np.testing.assert_array_equal(tile[:, width:], 7)
    np.testing.assert_array_equal(to[1, 2:7, 3 : 3 + width], np.where(counted, part, 0))
    assert (to == -1).sum() == to.size - 5 * width


def test_spreading_and_gathering_are_inverse():
    @njit
    def around(source, to):
        spreaded = scratch(1, 48 * 3, to)[0]
        spreaded[:] = 9
        spread(spreaded, source, 1, 2, 35, to.dtype.type(2))
        gather(to, spreaded, 0, 2, 35)
        return spreaded

    source, to = np.random.default_rng(0).normal(size=(2, 40, 3)).astype(np.float32), np.zeros((1, 40, 3), np.float32)
    inside = around(source, to)
    assert inside[16 * 3 + 2 * 16 + 4] == 2 * source[1, 2 + 20, 2]  # group 1, state 2, lane 4
    np.testing.assert_array_equal(inside.reshape(3, 3, 16)[2, :, 3:], 0)  # lanes without a channel
    np.testing.assert_array_equal(to[0, 2:37], 2 * source[1, 2:37])
    assert not to[0, :2].any()
    assert not to[0, 37:].any()


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (0, 3, 4)])
def test_rows_reach_every_number(shape):
    x = torch.randn(shape)
    for layout in (x, torch.cat([x, x], -1)[..., shape[2] :], x.transpose(0, 2).contiguous().transpose(0, 2)):
        numbers, by_sequence, by_step = rows_of(layout)
        for b, t, c in np.ndindex(shape):
            assert numbers[b * by_sequence + t * by_step + c] == x[b, t, c]


def test_rows_of_one_repeated_row_are_not_written_out():
    numbers, by_sequence, by_step = rows_of(torch.randn(4).expand(2, 3, 4))
    assert (numbers.size, by_sequence, by_step) == (4, 0, 0)


def test_nothing_is_an_empty_array_of_the_same_numbers():
    like = torch.zeros(1, dtype=torch.float64)
    assert array_of(None, like, axes=3).shape == (0, 0, 0)
    assert array_of(None, like, axes=3).dtype == np.float64
    assert array_of(torch.ones(2, 3).t(), like, axes=2).flags.c_contiguous
