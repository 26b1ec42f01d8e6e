"""Arrays that are made of others where they are read, a stretch of time at a time, with the result of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from neurofmx.recordings.lazy import Lazy, pieces


@final
class Each(Lazy):
    """A function of each sample by itself.

    Args:
        function: Maps the same stretch of every source, each `(time, ...)`, to as many samples.
        sources: Arrays of one length, in memory or lazy.
        shape: Shape of a sample that comes out, default that of the first source.
        dtype: Type of what comes out.

    Example:
        >>> Each(lambda a, b: a - b, np.array([3.0, 5.0]), np.array([1.0, 2.0]))[1:]
        array([3.])
    """

    def __init__(
        self,
        function: Callable[..., np.ndarray],
        *sources: Any,
        shape: tuple[int, ...] | None = None,
        dtype: Any = np.float64,
    ) -> None:
        super().__init__((len(sources[0]), *(sources[0].shape[1:] if shape is None else shape)), dtype)
        self._function, self._sources = function, sources

    def read(self, first: int, last: int) -> np.ndarray:
        """The function of a stretch of the sources."""
        if first == last:
            return np.empty((0, *self.shape[1:]), self.dtype)
        return self._function(*(np.asarray(source[first:last]) for source in self._sources))


@final
class Near(Lazy):
    """A function of each sample and those around it: a filter whose kernel is finite, a percentile of a window.

    Args:
        source: An array `(time, ...)`, in memory or lazy.
        function: Maps a stretch to as many samples. What it does at the ends of a stretch it does to the ends of the
            recording; elsewhere that is cut off.
        reach: Samples that its output depends on, on each side.

    Shape:
        That of the source, float64.
    """

    def __init__(self, source: Any, function: Callable[[np.ndarray], np.ndarray], *, reach: int) -> None:
        super().__init__(source.shape, np.float64)
        self._source, self._function, self._reach = source, function, reach

    def read(self, first: int, last: int) -> np.ndarray:
        """Read the stretch with its neighbourhood, and cut that off again."""
        if first == last:
            return np.empty((0, *self.shape[1:]))
        begin, end = max(0, first - self._reach), min(len(self), last + self._reach)
        return self._function(np.asarray(self._source[begin:end]))[first - begin : last - begin]


def in_memory(made: Lazy | np.ndarray) -> np.ndarray:
    """The whole of an array, made a piece at a time, so that no more than one is held beside it."""
    whole = np.empty(made.shape, made.dtype)
    for first, last in pieces(made):
        whole[first:last] = made[first:last]
    return whole
