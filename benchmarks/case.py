"""What is measured: the pairs of sides of a benchmark, their sizes, and the goals they are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from neurofmx.tables import pick

Size = dict[str, int]

NAMES = ("scan", "lif", "alif", "cfc", "wired_cfc", "ltc", "block", "length", "parts", "inference")

# What a side's memory comes from. The second never gives memory back, so that no page of it is faulted in twice; the
# third gives back at once what is freed, so that a peak is what was needed at one time: peaks are measured with it.
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "no page faults": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36)},
    "gives back": {"MALLOC_MMAP_THRESHOLD_": str(2**16)},
}


class Tolerance(NamedTuple):
    """Largest deviation allowed, relative to the largest number of the peer's tensor.

    Args:
        outputs: Of an output.
        gradients: Of a gradient.
    """

    outputs: float
    gradients: float


@dataclass(frozen=True)
class Case:
    """Two sides at one size.

    Args:
        size: Sizes by name, as the sides take them.
        ours: Name of our side.
        peer: Name of the other side.
        goals: How many times faster ours should be, by number of threads.
        memory_goal: Largest share of the peer's peak memory that ours should take.
        allocator: Key of `ALLOCATORS`.
        same: Whether both compute the same; if not, they are different models with equally many parameters.
    """

    size: Size
    ours: str
    peer: str
    goals: Mapping[int, float] = field(default_factory=dict)
    memory_goal: float | None = None
    allocator: str = "default"
    same: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A family of cases. Every module of `NAMES` has one, called `BENCHMARK`.

    Args:
        sides: Builders of the sides by name; each takes a size.
        cases: What a full run measures.
        tiny: A size at which everything takes milliseconds: for warm-up, `--quick` and the tests.
        label: Words for a size.
        tolerance: How closely sides must agree, or `None` where all are different models.
        tokens: Tokens in a step of a size, where tokens a second are of interest.
        notes: Sentences to put below the table, made from its rows and from what the machine can do.
        figure: Draws the rows into a PNG, where there is more to see than a table shows.
    """

    sides: Mapping[str, Callable[[Size], Any]]
    cases: Sequence[Case]
    tiny: Size
    label: Callable[[Size], str]
    tolerance: Tolerance | None
    tokens: Callable[[Size], int] | None = None
    notes: Callable[[Sequence[Any], Mapping[str, float]], list[str]] = lambda rows, machine: []
    figure: Callable[[Sequence[Any], Path], None] | None = None

    def quick(self) -> list[Case]:
        """Every pair of sides once, at the tiny size and without goals."""
        pairs = {(case.ours, case.peer, case.allocator): case for case in self.cases}
        return [replace(case, size=self.tiny, goals={}, memory_goal=None) for case in pairs.values()]


def benchmark(name: str) -> Benchmark:
    """The benchmark of a name.

    Args:
        name: One of `NAMES`, or `train`, which compares revisions alone.

    Returns:
        Its sides and cases.

    Raises:
        ValueError: If there is none of that name.
    """
    pick(dict.fromkeys((*NAMES, "train")), name, "benchmark")
    return import_module(f"benchmarks.{name}").BENCHMARK
