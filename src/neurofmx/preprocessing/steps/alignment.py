"""Signals on one clock: behaviour taken to the times of the neural samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurofmx.recordings.recording import Recording, Signal
from neurofmx.recordings.timeline import interpolate


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


def aligned(recording: Recording, clock: Signal, *, times: np.ndarray) -> dict[str, Signal]:
    """All signals of a recording on one clock.

    Args:
        recording: The recording.
        clock: A signal whose rate and start the others take.
        times: Time `(samples,)` that each sample of the clock stands for, s: its start, or the middle of a bin.

    Returns:
        The signals by name, each with as many samples as there are times; one that has that clock stays as it is.
    """

    def moved(signal: Signal) -> Signal:
        if same_clock(signal, clock):
            return signal
        return replace(signal, data=resample(signal, times), rate=clock.rate, start=clock.start)

    return {name: moved(signal) for name, signal in recording.signals.items()}
