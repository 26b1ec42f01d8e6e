"""Functions that one factory makes have names of their own, or saved machine code of two processes gets mixed up."""

from __future__ import annotations

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd import products


def test_blocks_of_different_sizes_have_different_names():
    blocks = (products._full, products._half, products._quarter, products._single)
    assert len({block.py_func.__qualname__ for block in blocks}) == len(blocks)


def test_what_is_made_is_numbered_in_order():
    def made(number):
        @njit()
        def add(x):
            return x + number

        return add

    first, second = made(1), made(2)
    assert first.py_func.__qualname__ == f"{made.__qualname__}.<locals>.add_0"
    assert second.py_func.__qualname__ == f"{made.__qualname__}.<locals>.add_1"
    assert (first(1), second(1)) == (2, 3)
