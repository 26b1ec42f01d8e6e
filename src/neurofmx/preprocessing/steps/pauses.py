"""Stretches where a whole signal has no value, as a microscope that paused: bridged for the filters, then marked."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from neurofmx.preprocessing.steps.alignment import same_clock
from neurofmx.preprocessing.steps.stretches import Each, in_memory
from neurofmx.recordings.lazy import Lazy, gather, is_lazy, pieces
from neurofmx.recordings.timeline import Signal, interpolate


def pauses(signal: Signal) -> np.ndarray:
    """Which samples have no finite value in any channel `(time,)`, bool; none where no sample has one.

    Args:
        signal: Samples `(time, ...)`, in memory or lazy.

    Example:
        >>> pauses(Signal(np.array([[1.0, np.nan], [np.nan, np.nan]]), 1.0, "V", ("Fz", "Cz"))).tolist()
        [False, True]
    """
    lost = np.zeros(len(signal.data), bool)
    for first, last in pieces(signal.data):
        piece = np.asarray(signal.data[first:last])
        lost[first:last] = ~np.isfinite(piece.reshape(len(piece), -1)).any(axis=1)
    return np.zeros_like(lost) if lost.all() else lost


def bridged(signal: Signal, lost: np.ndarray) -> Signal:
    """The signal with straight lines over its pauses, angles the shorter way round; at an end the nearest value holds.

    Args:
        signal: Samples `(time, ...)`; where they are held lazily, so is the result.
        lost: Its pauses `(time,)`.
    """
    if not lost.any():
        return signal
    made = _Bridged(signal, lost)
    return replace(signal, data=made if is_lazy(signal.data) else in_memory(made))


@final
class _Bridged(Lazy):
    """Samples whose pauses are filled where they are read, from the values at the edges of each pause."""

    def __init__(self, signal: Signal, lost: np.ndarray) -> None:
        super().__init__(signal.data.shape, signal.data.dtype)
        self._signal, self._lost = signal, lost
        beside = np.concatenate([lost[1:], [False]]) | np.concatenate([[False], lost[:-1]])
        self._edges = np.flatnonzero(beside & ~lost)
        self._values = gather(signal.data, self._edges)

    def read(self, first: int, last: int) -> np.ndarray:
        """The samples, and lines where they pause."""
        data = np.array(self._signal.data[first:last])
        gone = first + np.flatnonzero(self._lost[first:last])
        if len(gone):
            times, known = (self._signal.start + each / self._signal.rate for each in (gone, self._edges))
            data[gone - first] = interpolate(times, known, self._values, angle=self._signal.unit == "rad")
        return data


def marked(signal: Signal, lost: np.ndarray, *, before: Signal) -> Signal:
    """The signal with NaN in its pauses.

    Args:
        signal: Samples `(time, ...)`, after the filters; perhaps at another rate, or from another start on. Where they
            are held lazily, so is the result.
        lost: The pauses of the signal before the filters `(time before,)`.
        before: That signal. On another clock every sample is marked that lies within a sample, of the longer kind, of
            a pause.
    """
    if not lost.any():
        return signal
    if not same_clock(signal, before):
        near = max(1 / signal.rate, 1 / before.rate) * (1 + 1e-6)  # times are rounded
        stops, times = before.times[lost], signal.times
        after = np.minimum(np.searchsorted(stops, times - near), len(stops) - 1)
        lost = np.abs(stops[after] - times) <= near
    made = Each(_without, signal.data, lost, dtype=signal.data.dtype)
    return replace(signal, data=made if is_lazy(signal.data) else in_memory(made))


def _without(data: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Samples `(time, ...)` with NaN where they are lost `(time,)`."""
    data = np.array(data)
    data[lost] = np.nan
    return data
