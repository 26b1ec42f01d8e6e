"""How long a trained network takes to answer, beside the same weights in float32: in turns, on the same windows.

A machine is not as fast on one day as on another, nor in one minute as in the next, so a time alone says little; the
ratio of two that were taken in turns does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

WINDOWS, ROUNDS = 32, 5  # few and often: scoring shall not take much longer for it


def times_in_turns(
    calls: Sequence[Callable[[], object]],
    *,
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.process_time,
) -> list[float]:
    """Time some calls in turns, each after one call that is not counted.

    Args:
        calls: What is timed.
        rounds: How often.
        clock: Seconds; by default those of this process on all processors.

    Returns:
        Median seconds of each call.

    Example:
        >>> ticks = iter([0, 1, 10, 13, 20, 22, 30, 34])  # each call between two of them
        >>> times_in_turns([lambda: None, lambda: None], rounds=2, clock=lambda: next(ticks))
        [1.5, 3.5]
    """
    for call in calls:
        call()
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, mine in zip(calls, taken, strict=True):
            began = clock()
            call()
            mine.append(clock() - began)
    return [median(mine) for mine in taken]
