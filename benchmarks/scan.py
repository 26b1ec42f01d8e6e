"""Selective scan against mambapy's parallel scan in plain torch.

Sizes: `batch` B, `length` L. Inner channels D = 512 and states per channel N = 16 are those of a block 256 wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import Side, leaves, ours, path_of, peer

INNER, STATES = 512, 16
_SHORT, _LONG = {"batch": 2, "length": 2048}, {"batch": 1, "length": 8192}


def scan_inputs(size: Size) -> list[Tensor]:
    """`u, dt, A, B, C, D` with step sizes and rates in the range that Mamba starts from."""
    torch.manual_seed(0)
    shape = (size["batch"], size["length"])
    inner, states = size.get("inner", INNER), size.get("states", STATES)
    u, dt = torch.randn(*shape, inner), softplus(torch.randn(*shape, inner) - 4.0)
    A = -torch.arange(1.0, states + 1.0).repeat(inner, 1)
    B, C = torch.randn(*shape, states), torch.randn(*shape, states)
    return leaves(u, dt, A, B, C, torch.ones(inner))


def _ours(path: str | None = None) -> Callable[[Size], Side]:
    """A builder of our side; without a path it is what users get who name none."""

    def build(size: Size) -> Side:
        scan, inputs = ours("kernels.selective_scan", "selective_scan"), scan_inputs(size)
        chosen = {} if path is None else {"path": path}
        return Side(lambda: scan(*inputs, **chosen)[:1], inputs, path=path_of(scan, path))

    return build


def _mambapy(size: Size) -> Side:
    """The scan inside mambapy's block, which uses nothing of the block."""
    mambapy = peer("mambapy.mamba", install="pip install -e '.[bench]'")
    block, inputs = mambapy.MambaBlock(mambapy.MambaConfig(d_model=2, n_layers=1)), scan_inputs(size)
    return Side(lambda: [block.selective_scan(*inputs)], inputs)


def bound(size: Size, machine: Mapping[str, float]) -> float:
    """Milliseconds that no scan of this kind goes below on a machine.

    Every number of `u, dt, y` and of their gradients crosses the memory once, `u` and `dt` a second time in the
    backward, and every exponential is made forward and again backward, since storing it would cost more.

    Args:
        size: Sizes.
        machine: What `benchmarks.machine.measure` found.

    Returns:
        The time on as many threads as the machine was measured with.
    """
    tokens = size["batch"] * size["length"]
    moved = 4 * tokens * (8 * INNER + 6 * STATES)
    exponentials = 2 * tokens * INNER * STATES
    fastest = max(machine["exp_gexp_s"], machine.get("compiled_exp_gexp_s", 0.0))
    return moved / machine["triad_gb_s"] / 1e6 + exponentials / fastest / 1e6


def _notes(rows: Sequence[Any], machine: Mapping[str, float]) -> list[str]:
    """How far our scan stands from the bound, on one thread."""
    said = {}
    for row in rows:
        if row.ours == "neurofmx" and row.threads == 1 and row.ratio and machine and "inner" not in row.sizes:
            least = bound(row.sizes, machine)
            words = (
                f"{row.size}: bytes over bandwidth plus exponentials over their rate are {least:.1f} ms on one thread"
            )
            said.setdefault(row.size, f"{words}; ours takes {row.ours_ms / least:.1f} times that.")
    return list(said.values())


BENCHMARK = Benchmark(
    sides={"neurofmx": _ours(), "neurofmx reference": _ours("reference"), "mambapy": _mambapy},
    cases=[
        Case(_SHORT, "neurofmx", "mambapy", {1: 50}),
        Case(_LONG, "neurofmx", "mambapy", {1: 45}),
        Case(_SHORT, "neurofmx", "mambapy", {1: 18}, allocator="no page faults"),
        Case(_LONG, "neurofmx", "mambapy", {1: 18}, allocator="no page faults"),
        Case(_SHORT, "neurofmx reference", "mambapy", {1: 5}),
        Case(_LONG, "neurofmx reference", "mambapy", {1: 5}),
        Case(_SHORT, "neurofmx", "neurofmx reference"),
    ],
    tiny={"batch": 2, "length": 37, "inner": 24, "states": 5},
    label=lambda size: f"B{size['batch']} L{size['length']}",
    tolerance=Tolerance(outputs=1e-5, gradients=1e-4),
    notes=_notes,
)
