"""The median of an array that does not fit the memory, exactly, by counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurofmx.recordings.lazy import is_lazy, pieces

_HALF = 2**16  # values of the upper, or the lower, half of 32 bits
_SIGN = np.uint32(2**31)


def median(data: Any) -> np.ndarray:
    """Median of each channel over time.

    A lazy array is read twice. Its values are taken in single precision, whose bits, as whole numbers, have the order
    of the values: the first pass counts the upper halves of the bits, the second the lower ones of those that share
    their upper half with the median.

    Args:
        data: Samples `(time, channels)`, in memory or lazy, without NaN.

    Returns:
        Medians `(channels,)`, float64; of an even number of samples the mean of the middle two. Those of a lazy array
        are rounded to single precision.

    Example:
        >>> median(np.array([[1.0, 4.0], [3.0, 0.0], [2.0, 8.0]])).tolist()
        [2.0, 4.0]
    """
    if not is_lazy(data):
        return np.median(data, axis=0)
    ranks = ((len(data) - 1) // 2, len(data) // 2)
    upper = _count(data, lambda keys, channel: (keys >> 16,))
    found = [[_at_rank(counts, rank) for rank in ranks] for (counts,) in upper]
    lower = _count(
        data, lambda keys, channel: tuple(keys[keys >> 16 == half] & (_HALF - 1) for half, _ in found[channel])
    )
    keys = [
        [half * _HALF + _at_rank(counts, left)[0] for (half, left), counts in zip(*pair, strict=True)]
        for pair in zip(found, lower, strict=True)
    ]
    return _values(np.array(keys, np.uint32)).mean(axis=1, dtype=np.float64)


def _count(data: Any, halves: Callable[[np.ndarray, int], tuple[np.ndarray, ...]]) -> list[list[np.ndarray]]:
    """How often each half occurs, shape `(65536,)`, of every channel, for each of the arrays that `halves` gives."""
    counts: list[list[np.ndarray]] = [[] for _ in range(data.shape[1])]
    for first, last in pieces(data):
        for channel, keys in enumerate(_keys(data[first:last]).T):
            new = [np.bincount(each, minlength=_HALF) for each in halves(keys, channel)]
            old = counts[channel]
            counts[channel] = [a + b for a, b in zip(old, new, strict=True)] if old else new
    return counts


def _at_rank(counts: np.ndarray, rank: int) -> tuple[int, int]:
    """The half that holds the value of that rank, from 0, and the value's rank within it."""
    below = np.cumsum(counts)
    half = int(np.searchsorted(below, rank, side="right"))
    return half, rank - int(below[half] - counts[half])


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers, 32 bits, in the order of values in single precision."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | _SIGN)


def _values(keys: np.ndarray) -> np.ndarray:
    """The inverse of `_keys`."""
    return np.where(keys >> 31, keys ^ _SIGN, ~keys).view(np.float32)
