"""Arrays that stay where they are until a part of them is asked for, a stretch of time at a time.

An array counts as lazy if it has a shape, a numpy `dtype` and a length, gives a numpy array for a slice along its first
axis, and is none itself: a dataset of h5py or zarr, a memory map, or one of the classes here. The functions take both
kinds, so that code written with them holds neither twice in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np

PIECE = 2**22  # values in a piece: 32 MiB of float64


class Lazy(ABC):
    """An array whose parts are made when they are asked for.

    Args:
        shape: Its shape, time first.
        dtype: Type of its values.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype)

    @abstractmethod
    def read(self, first: int, last: int) -> np.ndarray:
        """The samples `first` to `last - 1`, shape `(last - first, ...)`."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """A slice of time, or a tuple that begins with one."""
        rows, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(rows, (int, np.integer)):
            row = range(len(self))[int(rows)]
            return self.read(row, row + 1)[(0, *rest)]
        if rows is not Ellipsis and not isinstance(rows, slice):
            raise TypeError(f"a lazy array takes slices of time, got {type(rows).__name__}; use `gather` for indices")
        first, last, step = (slice(None) if rows is Ellipsis else rows).indices(len(self))
        if step < 1:
            raise ValueError(f"a lazy array is read forwards: step must be 1 or more, got {step}")
        piece = self.read(first, max(first, last))[::step]
        return piece[(slice(None), *rest)] if rest else piece

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole, in memory."""
        whole = self.read(0, len(self))
        return whole if dtype is None else whole.astype(dtype)


@final
class Part(Lazy):
    """A stretch of time of another array.

    Args:
        source: A lazy array.
        first: First sample.
        last: One past the last sample.
    """

    def __init__(self, source: Any, first: int, last: int) -> None:
        super().__init__((last - first, *source.shape[1:]), source.dtype)
        self._source, self._first = source, first

    def read(self, first: int, last: int) -> np.ndarray:
        """The source's samples, later by the part's first one."""
        return np.asarray(self._source[self._first + first : self._first + last])


@final
class Columns(Lazy):
    """Some channels of another array.

    Args:
        source: A lazy array `(time, channels)`.
        keep: Indices of the channels, in their new order.
    """

    def __init__(self, source: Any, keep: Sequence[int]) -> None:
        super().__init__((len(source), len(keep)), source.dtype)
        self._source, self._keep = source, list(keep)

    def read(self, first: int, last: int) -> np.ndarray:
        """Whole samples are read, and the channels taken of them."""
        return np.asarray(self._source[first:last])[:, self._keep]


@final
class MneSamples(Lazy):
    """Samples of an MNE `Raw` that was opened with `preload=False`, in its units (V for voltages).

    Args:
        raw: An `mne.io.Raw` of any format.
        channels: Names of the channels to read, in their order.

    Shape:
        `(time, channels)`, float64.
    """

    def __init__(self, raw: Any, channels: Sequence[str]) -> None:
        super().__init__((raw.n_times, len(channels)), np.float64)
        self._raw, self._channels = raw, list(channels)

    def read(self, first: int, last: int) -> np.ndarray:
        """The channels, read from disk by MNE."""
        if first == last:  # which MNE would take for a mistake
            return np.empty((0, self.shape[1]))
        return np.ascontiguousarray(self._raw.get_data(self._channels, first, last).T)


def is_lazy(data: Any) -> bool:
    """Whether an array is held elsewhere; see the module."""
    if isinstance(data, np.memmap):
        return True
    if isinstance(data, (np.ndarray, np.generic)) or not isinstance(getattr(data, "dtype", None), np.dtype):
        return False
    return all(hasattr(data, name) for name in ("shape", "ndim", "__len__", "__getitem__"))


def pieces(data: Any, *, values: int | None = None) -> Iterator[tuple[int, int]]:
    """Cut the time of an array into stretches that fit the memory.

    Args:
        data: An array of either kind, `(time, ...)`.
        values: Most values in a piece, default `PIECE`; a piece has one sample at least.

    Yields:
        First sample and one past the last sample of each piece, in order.

    Example:
        >>> list(pieces(np.zeros((5, 3)), values=6))
        [(0, 2), (2, 4), (4, 5)]
    """
    size = max(1, (values or PIECE) // max(1, int(np.prod(data.shape[1:]))))
    for first in range(0, len(data), size):
        yield first, min(first + size, len(data))


def part(data: Any, first: int, last: int) -> Any:
    """The samples `first` to `last - 1`: a view of an array in memory, a lazy part of a lazy one."""
    return Part(data, first, last) if is_lazy(data) else data[first:last]


def columns(data: Any, keep: Sequence[int]) -> Any:
    """Some channels of an array `(time, channels)`, lazy if it is."""
    return Columns(data, keep) if is_lazy(data) else data[:, list(keep)]


def gather(data: Any, index: np.ndarray) -> np.ndarray:
    """Samples at any indices; of a lazy array no more than these and their neighbourhood are held at a time.

    Args:
        data: An array of either kind, `(time, ...)`.
        index: Indices in any order, shape `(n,)` or `(n, window)`.

    Returns:
        The samples in memory, shape `index.shape + data.shape[1:]`.

    Example:
        >>> gather(np.arange(10.0), np.array([[1, 2], [5, 6]])).tolist()
        [[1.0, 2.0], [5.0, 6.0]]
    """
    if not is_lazy(data):
        return data[index]
    found = np.empty((*index.shape, *data.shape[1:]), data.dtype)
    rows = index.reshape(len(index), int(np.prod(index.shape[1:])))
    low, high = rows.min(1, initial=len(data)), rows.max(1, initial=-1) + 1
    room = max(1, PIECE // max(1, int(np.prod(data.shape[1:]))))
    for batch in _batches(low, high, room):
        first, last = int(low[batch].min()), int(high[batch].max())
        found[batch] = np.asarray(data[first:last])[index[batch] - first]
    return found


def _batches(low: np.ndarray, high: np.ndarray, room: int) -> Iterator[np.ndarray]:
    """Rows, in order of time, that lie close together and within `room` samples: what lies between is not read."""
    order = np.argsort(low, kind="stable")
    begin, reached = 0, -1
    for place, row in enumerate(order):
        far = low[row] > reached + (high[row] - low[row]) or high[row] - low[order[begin]] > room
        if place > begin and far:
            yield order[begin:place]
            begin, reached = place, -1
        reached = max(reached, int(high[row]))
    if len(order):
        yield order[begin:]
