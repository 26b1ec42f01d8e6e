"""Liquid time-constant cells against ncps."""

from benchmarks.case import Benchmark, Size, Tolerance
from benchmarks.side import Side, ours


def _ours(size: Size) -> Side:
    ours("kernels.ltc", "ltc")
    raise AssertionError


BENCHMARK = Benchmark(
    sides={"neurofmx": _ours},
    cases=[],
    tiny={"batch": 2, "length": 5, "units": 7},
    label=lambda size: f"B{size['batch']} L{size['length']}",
    tolerance=Tolerance(1e-5, 1e-4),
)
