"""Arrays that are made a block at a time, at fixed places, so that a sample has the same bits however it is read."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, final

import numpy as np

from neurofmx.recordings.lazy import Lazy


class Blocked(Lazy):
    """An array whose blocks of time are made when one of their samples is asked for.

    Args:
        shape: Its shape, time first.
        dtype: Type of its values.
        samples: Samples of a block; the first one begins with the first sample.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, *, samples: int) -> None:
        super().__init__(shape, dtype)
        self._samples = samples
        self._last: tuple[int, np.ndarray] | None = None

    @abstractmethod
    def make(self, first: int, last: int) -> np.ndarray:
        """The samples `first` to `last - 1`, shape `(last - first, ...)`: a block, or what is left at the end."""

    @final
    def read(self, first: int, last: int) -> np.ndarray:
        """Samples cut from their blocks."""
        found = np.empty((last - first, *self.shape[1:]), self.dtype)
        for k in range(first // self._samples, -(-last // self._samples)):
            begin = k * self._samples
            low, high = max(first, begin), min(last, begin + self._samples)
            found[low - first : high - first] = self._block(k)[low - begin : high - begin]
        return found

    def _block(self, k: int) -> np.ndarray:
        """A block; the last one is kept, as neighbouring reads often share it."""
        if self._last is None or self._last[0] != k:
            self._last = None
            begin = k * self._samples
            self._last = k, self.make(begin, min(begin + self._samples, len(self)))
        return self._last[1]


@final
class InBlocks(Blocked):
    """Another array, read in blocks.

    Args:
        source: A lazy array whose samples cost much more one by one than together.
        samples: Samples of a block.
    """

    def __init__(self, source: Lazy, *, samples: int) -> None:
        super().__init__(source.shape, source.dtype, samples=samples)
        self._source = source

    def make(self, first: int, last: int) -> np.ndarray:
        """The source's samples."""
        return self._source.read(first, last)
