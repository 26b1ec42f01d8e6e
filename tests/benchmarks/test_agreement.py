"""Both sides of every benchmark compute the same: what makes their times comparable."""

from __future__ import annotations

import pytest
import torch
from benchmarks.agreement import Disagreement, agree, equally_large
from benchmarks.case import NAMES, Tolerance, benchmark
from benchmarks.side import Side

PACKAGES = {
    "mambapy": "mambapy",
    "snntorch": "snntorch",
    "ncps": "ncps",
    "spikingjelly": "spikingjelly.activation_based.neuron",
    "naive": "mambapy",
}
PAIRS = [
    pytest.param(name, case, id=f"{name}: {case.ours}, {case.peer}")
    for name in NAMES
    for case in benchmark(name).quick()
    if case.allocator == "default" and "compiled" not in case.ours  # torch.compile takes longer than all others
]


def needed(side: str) -> None:
    """Skips the test where the package behind a side is not installed, which CI does not do for all of them."""
    for word, module in PACKAGES.items():
        if side.startswith(word):
            pytest.importorskip(module, reason=f"{module} is a peer that only benchmarks need", exc_type=ImportError)


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_both_sides_compute_the_same_or_are_equally_large(name, case):
    needed(case.peer)
    chosen = benchmark(name)
    ours, peer = (chosen.sides[side](case.size) for side in (case.ours, case.peer))
    if case.same:
        agree(ours, peer, chosen.tolerance)
    else:
        equally_large(ours, peer)
        if name in ("block", "length"):
            assert abs(ours.parameters - 0.70e6) < 0.02 * 0.70e6
            assert all(gradient.isfinite().all() for gradient in ours.step()[1])


def side(factor=3.0, offset=0.0, **settings):
    """A line: the factor is its gradient."""
    x = torch.arange(1.0, 5.0).requires_grad_()
    return Side(lambda: [factor * x + offset], [x], **settings)


@pytest.mark.parametrize("wrong", [0.1, float("nan")])
def test_a_side_that_computes_something_else_is_found_out(wrong):
    agree(side(), side(), Tolerance(0, 0))
    with pytest.raises(Disagreement, match="outputs differ by"):
        agree(side(offset=wrong), side(), Tolerance(1e-3, 1e-3))
    with pytest.raises(Disagreement, match=r"(gradients|outputs) differ by"):
        agree(side(3 + wrong), side(), Tolerance(1, 1e-3))


def test_a_larger_model_is_found_out():
    equally_large(side(parameters=99), side(parameters=100))
    with pytest.raises(Disagreement, match="97 parameters against 100"):
        equally_large(side(parameters=97), side(parameters=100))
