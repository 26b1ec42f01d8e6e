"""The learning rate over a training: a linear rise, then half a cosine down to zero."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, total: int, warmup: int) -> float:
    """Factor of the highest learning rate at a step.

    Args:
        step: Steps done so far, from 0.
        total: Steps of the whole training.
        warmup: Steps of the rise.

    Returns:
        A factor between 0 and 1.

    Source:
        Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts, after a linear warm-up (Goyal et al. 2017).

    Example:
        >>> [round(warmup_cosine(s, total=10, warmup=2), 2) for s in (0, 1, 2, 6, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
