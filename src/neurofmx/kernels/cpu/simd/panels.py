"""Small matrix products inside compiled loops, where a call to a BLAS library at every step would cost more.

A recurrent step multiplies a few rows by the same weights again and again. So weights are laid out once as panels:
strips of columns as wide as two SIMD registers, inputs-major, (panels, k, width). How many rows are multiplied
together changes no bit of the result, so rows can be shared out between threads at will.
"""

from __future__ import annotations

from typing import Any

from numpy.lib.stride_tricks import as_strided

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.matrix_block import REGISTER, ROWS, apart, block

_OPTIONS: Any = {"nogil": True, "error_model": "numpy"}


def width_of(itemsize: int) -> int:
    """Columns of a panel.

    Args:
        itemsize: Bytes of a number.

    Returns:
        As many numbers as two SIMD registers hold.
    """
    return 2 * REGISTER // itemsize


def padded(size: int, itemsize: int) -> int:
    """Columns that whole panels and whole vectors need.

    Args:
        size: Columns wanted.
        itemsize: Bytes of a number.

    Returns:
        The next multiple of a panel's width and of what `lanes.load` reads, which is more where registers are short.
    """
    whole = max(width_of(itemsize), BYTES // itemsize)
    return -(-size // whole) * whole


@njit(**_OPTIONS)
def as_panels(matrix, width):
    """Looks at a matrix as panels without moving it, inside compiled code.

    Args:
        matrix: (k, columns), rows of neighbouring numbers, with columns for whole panels.
        width: Columns of a panel.

    Returns:
        The same memory as (panels, k, width).
    """
    rows, columns = matrix.shape
    size = matrix.itemsize
    return as_strided(matrix, (columns // width, rows, width), (width * size, matrix.strides[0], size))


@njit(**_OPTIONS)
def lay_out(panels, row, matrix, first, columns):
    """Copies columns of a matrix into panels of zeros.

    Args:
        panels: Where they go (panels, k, width), contiguous.
        row: Row of the panels for the first row.
        matrix: (rows, columns), contiguous.
        first: First of the columns.
        columns: Number of them.
    """
    width = panels.shape[2]
    for k in range(matrix.shape[0]):
        for panel in range(-(-columns // width)):
            start = panel * width
            to, source = panels[panel, row + k], matrix[k, first + start : first + columns]
            for lane in range(min(width, columns - start)):
                to[lane] = source[lane]


@njit(**_OPTIONS)
def lay_out_transposed(panels, column, matrix, first):
    """Copies columns of a matrix into the rows of panels of zeros.

    Args:
        panels: Where they go (panels, k, width), contiguous.
        column: Column of the panels for the first row.
        matrix: (rows, first + k columns or more), contiguous.
        first: First of the columns.
    """
    width = panels.shape[2]
    for row in range(matrix.shape[0]):
        panel, lane = divmod(column + row, width)
        for k in range(panels.shape[1]):
            panels[panel, k, lane] = matrix[row, first + k]


def _sweep(rows: int) -> Any:
    """A function for compiled code: the product of some rows with all panels, two at a time."""
    pair, single = block(rows, 2), block(rows, 1)

    @njit(**_OPTIONS)
    def sweep(out, start, a, panels, row):
        count = panels.shape[0]
        for panel in range(0, count - 1, 2):
            pair(out, start, a, panels, row, panel)
        if count % 2:
            single(out, start, a, panels, row, count - 1)

    return sweep


# Fewer rows take two panels at a time, for enough sums to hide how long an addition takes.
_full, _half, _quarter, _single = block(ROWS, 1), _sweep(ROWS // 2), _sweep(ROWS // 4), _sweep(1)


@njit(**_OPTIONS)
def _multiply_add(out, start, a, panels):
    """The product, full blocks of rows first."""
    apart()
    rows = a.shape[0]
    row = rows - rows % ROWS
    for panel in range(panels.shape[0]):  # the outer loop, so that a panel stays in the first cache
        for first in range(0, row, ROWS):
            _full(out, start, a, panels, first, panel)
    if rows - row >= ROWS // 2:
        _half(out, start, a, panels, row)
        row += ROWS // 2
    if rows - row >= ROWS // 4:
        _quarter(out, start, a, panels, row)
        row += ROWS // 4
    if rows > row:
        _single(out, start, a, panels, row)


@njit(**_OPTIONS)
def multiply_add(out, start, a, panels):
    """`out = start + a @ panels`, inside compiled code.

    All strides are free except along a panel's width.

    Args:
        out: Where the result goes (panels, rows, width).
        start: What the products are added to (panels, rows or 1, width); may be `out`.
        a: The left factor (rows, k), both 1 or more.
        panels: The right factor (panels, k, width).
    """
    _multiply_add(out[::1], start[::1], a[::1], panels[::1])  # one type, and so one compilation, for all strides
