"""Before two sides are timed, they must compute the same."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from benchmarks.case import Tolerance
from benchmarks.side import Side, Tensors


class Agreement(NamedTuple):
    """Largest deviations found, relative to the largest number of the peer's tensor.

    Args:
        outputs: Over all outputs.
        gradients: Over all gradients.
    """

    outputs: float
    gradients: float


class Disagreement(Exception):
    """Two sides of a benchmark compute different things, so their times say nothing."""


def agree(ours: Side, peer: Side, tolerance: Tolerance) -> Agreement:
    """Steps both sides once and compares outputs and gradients.

    Args:
        ours: Our side.
        peer: The other side, with the same inputs and weights.
        tolerance: What is allowed.

    Returns:
        The deviations found.

    Raises:
        Disagreement: If one is larger than allowed, or no number.
    """
    outputs, gradients = ours.step()
    peer_outputs, peer_gradients = peer.step()
    found = Agreement(_largest(outputs, peer_outputs), _largest(ours.arrange(gradients), peer.arrange(peer_gradients)))
    for part, deviation, allowed in zip(Agreement._fields, found, tolerance, strict=True):
        if not deviation <= allowed:  # so written that NaN is refused
            raise Disagreement(f"{part} differ by {deviation:.1e} of their largest number, allowed are {allowed:.0e}")
    return found


def comparable(ours: Side, peer: Side, tolerance: Tolerance | None) -> dict[str, float]:
    """Checks that it makes sense to time two sides beside each other, and warms both up.

    Args:
        ours: Our side.
        peer: The other side.
        tolerance: What is allowed where both compute the same; `None` where they are different models.

    Returns:
        The deviations found, by name; none of different models.

    Raises:
        Disagreement: If they compute different things, or are models of different size.
    """
    if tolerance is not None:
        return agree(ours, peer, tolerance)._asdict()
    equally_large(ours, peer)
    ours.step()
    peer.step()
    return {}


def equally_large(ours: Side, peer: Side, *, share: float = 0.02) -> None:
    """Checks that two different models have about as many parameters.

    Args:
        ours: Our side.
        peer: The other side.
        share: Largest difference allowed, as a share of the peer's number.

    Raises:
        Disagreement: If they differ by more.
    """
    a, b = ours.parameters, peer.parameters
    if a is None or b is None or abs(a - b) > share * b:
        raise Disagreement(f"{a} parameters against {b}, allowed is a difference of {share:.0%}")


def _largest(ours: Tensors, theirs: Tensors) -> float:
    """The largest deviation over all tensors, 0 without any; NaN if there is one anywhere."""
    deviations = [_deviation(a, b) for a, b in zip(ours, theirs, strict=True)]
    return next((value for value in deviations if value != value), max(deviations, default=0.0))


def _deviation(a: Tensor, b: Tensor) -> float:
    """Largest difference of two tensors over the largest number of the second."""
    if a.shape != b.shape:
        raise Disagreement(f"shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))
