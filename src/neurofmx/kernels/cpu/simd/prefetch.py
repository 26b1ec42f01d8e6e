"""Ask the memory early for what a compiled loop will touch, so that it computes while the memory works.

A processor guesses what comes next within a page of memory (4 KiB). Loops that read or write several long arrays in
step leave a page every few rows, and those that go backwards are guessed badly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from neurofmx.kernels.cpu.compiled import njit

_LINE = 64  # bytes of a cache line
_INT, _ADDRESS = ir.IntType(32), ir.IntType(8).as_pointer()
_ALL_CACHES, _DATA = ir.Constant(_INT, 3), ir.Constant(_INT, 1)


def _prefetch(write: int) -> Any:
    """A function for compiled code that asks for one cache line of a flat array, to be read or written.

    No place is too far, as nothing is touched.
    """

    @intrinsic
    def ask(_context: Any, array: Any, place: Any) -> Any:
        def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            data = context.make_array(array)(context, builder, arguments[0]).data
            address = builder.bitcast(builder.gep(data, [arguments[1]]), _ADDRESS)
            kind = ir.FunctionType(ir.VoidType(), [_ADDRESS, _INT, _INT, _INT])
            function = builder.module.declare_intrinsic("llvm.prefetch", [_ADDRESS], kind)
            builder.call(function, [address, ir.Constant(_INT, write), _ALL_CACHES, _DATA])
            return context.get_dummy_value()

        return types.void(array, place), emit

    return ask


_read, _write = _prefetch(0), _prefetch(1)


@njit(forceinline=True, nogil=True)
def prefetch_to_read(array, at, width):
    """Asks for `width` numbers of a flat array from a place on; both unsigned."""
    for n in range(np.uint64(0), width, np.uint64(_LINE // array.itemsize)):
        _read(array, at + n)


@njit(forceinline=True, nogil=True)
def prefetch_to_write(array, at, width):
    """The same for numbers that will be written without being read."""
    for n in range(np.uint64(0), width, np.uint64(_LINE // array.itemsize)):
        _write(array, at + n)
