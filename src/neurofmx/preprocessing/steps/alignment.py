"""Signals on one clock: behaviour taken to the times of the neural samples."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from neurofmx.recordings.lazy import PIECE, Lazy, is_lazy
from neurofmx.recordings.recording import Recording, Signal
from neurofmx.recordings.timeline import interpolate


@final
class Moved(Lazy):
    """A signal at the times of another, interpolated where it is read.

    Args:
        signal: Samples `(time, ...)`, in memory or lazy.
        clock: A signal whose samples give the times.
        times: The time `(samples,)` that each of them stands for, s; default its start.

    Shape:
        `(samples, ...)`, float64: what `resample` gives, but for the rounding of angles.
    """

    def __init__(self, signal: Signal, clock: Signal, times: np.ndarray | None = None) -> None:
        super().__init__((len(clock.data), *signal.data.shape[1:]), np.float64)
        self._signal, self._clock, self._times = signal, clock, times
        values = max(1.0, signal.rate / clock.rate) * int(np.prod(signal.data.shape[1:]))
        self._step = max(1, int(PIECE / values))  # samples whose stretch of the signal fits a piece

    def read(self, first: int, last: int) -> np.ndarray:
        """Interpolate between the samples around these times."""
        found = np.empty((last - first, *self.shape[1:]))
        for begin in range(first, last, self._step):
            end = min(last, begin + self._step)
            found[begin - first : end - first] = self._at(self._times_of(begin, end))
        return found

    def _times_of(self, first: int, last: int) -> np.ndarray:
        """Times `(last - first,)` of some samples, s."""
        clock = self._clock
        return clock.start + np.arange(first, last) / clock.rate if self._times is None else self._times[first:last]

    def _at(self, times: np.ndarray) -> np.ndarray:
        """The signal at some times, of which no more is read than lies around them."""
        signal, count = self._signal, len(self._signal.data)
        low, high = ((time - signal.start) * signal.rate for time in (times[0], times[-1]))
        first = min(max(0, int(np.floor(low)) - 1), count - 1)
        last = max(first + 1, min(count, int(np.ceil(high)) + 2))
        known = signal.start + np.arange(first, last) / signal.rate
        return interpolate(times, known, np.asarray(signal.data[first:last]), angle=signal.unit == "rad")


def resample(signal: Signal, times: np.ndarray) -> np.ndarray:
    """Interpolate a signal linearly; angles, of unit `rad`, along the shorter way round.

    Args:
        signal: Samples `(time, ...)`; the last one holds until the signal stops.
        times: Times `(bins,)` to interpolate to, s.

    Returns:
        Values `(bins, ...)`; angles in 0 to 2 pi.
    """
    return interpolate(times, signal.times, signal.data, angle=signal.unit == "rad")


def same_clock(one: Signal, other: Signal) -> bool:
    """Whether two signals have their samples at the same times."""
    return len(one.data) == len(other.data) and one.rate == other.rate and one.start == other.start


def shared_span(recording: Recording) -> tuple[float, float]:
    """First and last time, s, that all signals cover; of the whole recording where it has no signal."""
    signals = recording.signals.values()
    start = max((signal.start for signal in signals), default=recording.start)
    return start, min((signal.stop for signal in signals), default=recording.stop)


def aligned(recording: Recording, clock: Signal, *, times: np.ndarray | None = None) -> dict[str, Signal]:
    """All signals of a recording on one clock.

    Args:
        recording: The recording.
        clock: A signal whose rate and start the others take.
        times: Time `(samples,)` that each sample of the clock stands for, s, such as the middle of a bin; default its
            start.

    Returns:
        The signals by name, each with as many samples as there are times; one that has that clock stays as it is. Where
        the signal or the clock is held lazily, so is the result.
    """

    def moved(signal: Signal) -> Signal:
        if same_clock(signal, clock):
            return signal
        lazy = is_lazy(signal.data) or is_lazy(clock.data)
        data = Moved(signal, clock, times) if lazy else resample(signal, clock.times if times is None else times)
        return replace(signal, data=data, rate=clock.rate, start=clock.start)

    return {name: moved(signal) for name, signal in recording.signals.items()}
