"""A change of rate that is made where it is read, with the result of the whole."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, final

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used

from neurofmx.preprocessing.steps.fir import Resampling
from neurofmx.recordings.lazy import Lazy

Ends = Literal["zero", "line"]


@final
class Resampled(Lazy):
    """Samples at another rate, by the polyphase filter of `scipy.signal.resample_poly`.

    Args:
        source: Samples `(time, channels)`, in memory or lazy.
        ratio: The change of rate.
        ends: What stands beyond the ends: `zero`, or the `line` through the first and the last sample (`padtype` of
            scipy).

    Shape:
        `(new time, channels)`, float64; the first sample keeps its time.
    """

    def __init__(self, source: Any, ratio: Resampling, *, ends: Ends) -> None:
        super().__init__((ratio.length(len(source)), *source.shape[1:]), np.float64)
        self._source, self._ratio, self._ends = source, ratio, ends

    def read(self, first: int, last: int) -> np.ndarray:
        """Filter the stretch that these samples depend on."""
        up, down, reach = self._ratio.up, self._ratio.down, self._ratio.reach
        if up == down:
            return np.asarray(self._source[first:last], np.float64)
        if first == last:
            return np.empty((0, *self.shape[1:]))
        begin = (first * down // up - reach) // down * down  # where a sample of the new rate falls on one of the old
        made = scipy.signal.resample_poly(self._stretch(begin, -(-last * down // up) + reach), up, down, axis=0)
        skipped = begin // down * up
        return made[first - skipped : last - skipped]

    def _stretch(self, begin: int, end: int) -> np.ndarray:
        """The samples `begin` to `end - 1`, of which some may lie beyond the ends."""
        count = len(self._source)
        inner = np.asarray(self._source[max(0, begin) : min(count, end)], np.float64)
        if begin >= 0 and end <= count:
            return inner
        before, after = np.arange(min(0, begin), 0)[:, None], np.arange(count, max(count, end))[:, None]
        low, high, slope = self._line
        return np.concatenate([low + before * slope, inner, high + (after - count + 1) * slope])

    @cached_property
    def _line(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What stands beyond the ends: two values and a slope, each `(1, channels)`."""
        if self._ends == "zero":
            nothing = np.zeros((1, *self.shape[1:]))
            return nothing, nothing, nothing
        count = len(self._source)
        low, high = (np.asarray(self._source[k : k + 1], np.float64) for k in (0, count - 1))
        return low, high, (high - low) / max(1, count - 1)
