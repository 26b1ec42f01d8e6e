"""Stretches in which a whole signal has no value, as where a microscope paused: bridged for the filters, then marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurofmx.recordings.timeline import Signal, interpolate


def pauses(signal: Signal) -> np.ndarray:
    """Which samples have no finite value in any channel `(time,)`, bool; none where no sample has one.

    Args:
        signal: Samples `(time, ...)`.

    Example:
        >>> pauses(Signal(np.array([[1.0, np.nan], [np.nan, np.nan]]), 1.0, "V", ("Fz", "Cz"))).tolist()
        [False, True]
    """
    data = np.asarray(signal.data).reshape(len(signal.data), -1)
    lost = ~np.isfinite(data).any(axis=1)
    return np.zeros_like(lost) if lost.all() else lost


def bridged(signal: Signal, lost: np.ndarray) -> Signal:
    """The signal with straight lines over its pauses, angles the shorter way round; at an end the nearest value holds.

    Args:
        signal: Samples `(time, ...)`.
        lost: Its pauses `(time,)`.
    """
    if not lost.any():
        return signal
    data, times = np.array(signal.data), signal.times
    data[lost] = interpolate(times[lost], times[~lost], data[~lost], angle=signal.unit == "rad")
    return replace(signal, data=data)


def marked(signal: Signal, lost: np.ndarray, *, before: Signal) -> Signal:
    """The signal with NaN in its pauses.

    Args:
        signal: Samples `(time, ...)`, after the filters; perhaps at another rate, or from another start on.
        lost: The pauses of the signal before the filters `(time before,)`.
        before: That signal. On another clock every sample is marked that lies within a sample, of the longer kind, of
            a pause.
    """
    if not lost.any():
        return signal
    if (len(signal.data), signal.rate, signal.start) != (len(before.data), before.rate, before.start):
        near, stops, times = max(1 / signal.rate, 1 / before.rate), before.times[lost], signal.times
        after = np.minimum(np.searchsorted(stops, times - near), len(stops) - 1)
        lost = np.abs(stops[after] - times) <= near
    data = np.array(signal.data)
    data[lost] = np.nan
    return replace(signal, data=data)
