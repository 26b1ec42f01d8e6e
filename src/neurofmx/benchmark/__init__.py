"""The benchmark of models that map tokens to states; it knows no model.

    from neurofmx.benchmark import NeuroFMXBenchmark, benchmark

Both names are loaded when they are first asked for: params are read through `benchmark.settings`, without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurofmx.benchmark.run import Benchmark, NeuroFMXBenchmark, benchmark

__all__ = ["Benchmark", "NeuroFMXBenchmark", "benchmark"]


def __getattr__(name: str) -> Any:
    """The public names, from the module that they stand in."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from neurofmx.benchmark import run

    return getattr(run, name)
