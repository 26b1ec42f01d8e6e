"""Samples left in their file until a stretch of them is asked for, so that long recordings need little memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from neurofmx.datasets.own.refusal import Refused, reading
from neurofmx.recordings.lazy import Lazy


@final
class Held(Lazy):
    """Samples of a file, read a stretch at a time; a stretch that cannot be read is an error about the file.

    Args:
        path: The file.
        what: What it is read as, for the message.
        shape: Shape of all samples, time first.
        dtype: Their type.
        take: Reads the samples `first` to `last - 1`, called as `take(first, last)`; it opens and closes the file.
    """

    def __init__(
        self, path: Path, what: str, *, shape: tuple[int, ...], dtype: Any, take: Callable[[int, int], np.ndarray]
    ) -> None:
        super().__init__(shape, dtype)
        self._path, self._what, self._take = path, what, take

    def read(self, first: int, last: int) -> np.ndarray:
        """One stretch."""
        if last <= first:
            return np.empty((0, *self.shape[1:]), self.dtype)
        with reading(self._path, self._what):
            part = np.asarray(self._take(first, last))
            if part.shape != (last - first, *self.shape[1:]):
                raise Refused(f"samples {first} to {last} have shape {part.shape}; the file is cut off")
        return part.astype(self.dtype, copy=False)
