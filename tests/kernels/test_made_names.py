"""Functions that one factory makes have names of their own, or saved machine code of two processes gets mixed up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd import products

# Long enough that the compiler calls the function that was made and doesn't write it into its caller.
LONG = "\n".join(f"        x = x * {1 + step / 100} + abs(x - number) / (x + {step + 3})" for step in range(80))
MODULE = f"""
from neurofmx.kernels.cpu.compiled import njit

def make(number):
    @njit()
    def made(x):
{LONG}
        return x
    return made

one, two = make(1.0), make(2.0)

@njit(cache=True)
def first(x):
    return one(x)

@njit(cache=True)
def second(x):
    return two(x)
"""


def test_code_saved_by_two_processes_is_not_mixed_up_by_a_third(tmp_path: Path):
    (tmp_path / "saved.py").write_text(MODULE)

    def run(expression: str) -> list[float]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        paths = [str(tmp_path), *sys.path]
        code = f"import sys; sys.path = {paths!r}; import saved; print(*{expression})"
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return [float(number) for number in done.stdout.split()]

    (first,), (second,) = run("[saved.first(1.5)]"), run("[saved.second(1.5)]")
    assert first != second
    answers = "[saved.first(1.5), saved.second(1.5), *saved.first.stats.cache_hits.values()]"
    assert run(answers) == [first, second, 1], "the third process reads what the others saved"


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
