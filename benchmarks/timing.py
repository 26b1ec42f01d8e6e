"""Time two computations in turns, so that whatever else the machine does hits both alike.

On one thread the processor time of the process is read: it does not count the moments in which others had the core.
On several threads that clock would count waiting threads as work, so there the wall clock is read and the best round
taken.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import NamedTuple

_LEAST = 0.02  # seconds a measured stretch lasts at least, in steps of one side
_FEWEST, _MOST = 3, 51  # rounds

Step = Callable[[], object]


class Summary(NamedTuple):
    """What is reported of a pair.

    Args:
        ours_ms: Time of a step of ours: median on one thread, best on several.
        peer_ms: The same of the peer.
        ratio: How many times faster ours is: median over the rounds on one thread, ratio of the best on several.
        low: Lower quartile of the rounds' ratios.
        high: Upper quartile of the rounds' ratios.
    """

    ours_ms: float
    peer_ms: float
    ratio: float
    low: float
    high: float


def clock(threads: int) -> tuple[str, Callable[[], float]]:
    """The clock for a number of threads, with its name in the table."""
    return ("CPU, median", time.process_time) if threads == 1 else ("wall, best", time.perf_counter)


def interleave(ours: Step, peer: Step, *, read: Callable[[], float], seconds: float) -> tuple[list[float], list[float]]:
    """Times two steps in alternating order.

    Both must have run before, so that nothing is compiled or imported here.

    Args:
        ours: Our step.
        peer: The peer's step.
        read: The clock.
        seconds: How long to go on, as far as 3 to 51 rounds allow.

    Returns:
        Seconds a step of ours and of the peer, one number a round each.
    """
    with _no_garbage_collection():
        began = time.perf_counter()
        first = [stretch(step, 1, read) for step in (ours, peer)]
        repeats = [max(1, math.ceil(_LEAST / taken)) for taken in first]
        whole = repeats == [1, 1]  # then the first try was as long as all others will be, and counts
        found = ([first[0]], [first[1]]) if whole else ([], [])
        for count in range(int(whole), _MOST):
            for side in (0, 1) if count % 2 == 0 else (1, 0):
                found[side].append(stretch((ours, peer)[side], repeats[side], read))
            if count + 1 >= _FEWEST and time.perf_counter() - began > seconds:
                break
    return found


def alone(step: Step, *, seconds: float) -> float:
    """Median processor time of a step that is timed by itself; it must have run before.

    Args:
        step: The step.
        seconds: How long to go on, as far as 3 to 51 rounds allow.

    Returns:
        Seconds a step.
    """
    repeats = max(1, math.ceil(_LEAST / stretch(step, 1, time.process_time)))
    found, began = [], time.perf_counter()
    with _no_garbage_collection():
        while len(found) < _FEWEST or (len(found) < _MOST and time.perf_counter() - began < seconds):
            found.append(stretch(step, repeats, time.process_time))
    return median(found)


def stretch(step: Step, repeats: int, read: Callable[[], float]) -> float:
    """Seconds a step, over some steps in a row."""
    began = read()
    for _ in range(repeats):
        step()
    return max(read() - began, 1e-9) / repeats


def summarise(ours: Sequence[float], peer: Sequence[float], *, threads: int) -> Summary:
    """Makes the reported numbers out of the rounds.

    Args:
        ours: Seconds a step of ours, one number a round.
        peer: The same of the peer.
        threads: Threads that torch was given.

    Returns:
        Times, ratio and the spread of the ratio.

    Example:
        >>> summarise([1e-3, 1e-3, 2e-3], [4e-3, 3e-3, 5e-3], threads=1)
        Summary(ours_ms=1.0, peer_ms=4.0, ratio=3.0, low=2.75, high=3.5)
    """
    ratios = [b / a for a, b in zip(ours, peer, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    if threads == 1:
        return Summary(1e3 * median(ours), 1e3 * median(peer), median(ratios), low, high)
    return Summary(1e3 * min(ours), 1e3 * min(peer), min(peer) / min(ours), low, high)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keeps the collector's pauses out of the times."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
