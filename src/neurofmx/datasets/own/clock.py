"""Values with time stamps, brought to the regular clock that a recording needs."""

from __future__ import annotations

import numpy as np

from neurofmx.datasets.own.refusal import Refused
from neurofmx.recordings.recording import Signal
from neurofmx.recordings.task import TaskKind
from neurofmx.recordings.timeline import interpolate

JITTER = 0.02  # of a sample: time stamps this close to a regular clock are one


def rate_of(times: np.ndarray, *, what: str) -> float:
    """Samples a second, by the median step, or by the whole length where all steps are alike.

    Args:
        times: Time stamps `(samples,)`, s.
        what: Whose they are, for the error message.

    Returns:
        The rate, Hz.

    Raises:
        Refused: If they do not rise, or are fewer than two.
    """
    if times.ndim != 1 or len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise Refused(f"{what}: time stamps must be two or more, finite and rising, got {len(times)}")
    if regular(times):
        return float((len(times) - 1) / (times[-1] - times[0]))
    return float(1 / np.median(np.diff(times)))


def regular(times: np.ndarray) -> bool:
    """Whether time stamps lie on a regular clock."""
    step = (times[-1] - times[0]) / (len(times) - 1)
    return bool(np.abs(times - times[0] - step * np.arange(len(times))).max() <= JITTER * step)


def require_regular(times: np.ndarray, *, what: str) -> float:
    """The rate of samples that must not be moved; a signal with a hole in time cannot be filtered.

    Args:
        times: Time stamps `(samples,)`, s.
        what: Whose they are, for the error message.

    Returns:
        The rate, Hz.

    Raises:
        Refused: If the time stamps are not regular, naming the longest gap.
    """
    rate = rate_of(times, what=what)
    if not regular(times):
        steps = np.diff(times)
        at = int(np.argmax(steps))
        raise Refused(
            f"{what}: its samples are not regular in time ({steps[at]:g} s after {times[at]:g} s, otherwise "
            f"{1 / rate:g} s); store the stretches between gaps as recordings of their own, or resample it"
        )
    return rate


def target_signal(
    times: np.ndarray, values: np.ndarray, *, kind: TaskKind, degrees: bool, names: tuple[str, ...], max_gap: float
) -> Signal:
    """Values to decode, on a regular clock of their own.

    Args:
        times: Time stamps `(samples,)`, s.
        values: Values `(samples,)` or `(samples, variables)`; NaN where there is none.
        kind: `regression` or `circular`.
        degrees: Whether angles are in degrees.
        names: Names of the variables.
        max_gap: Longest time without a value that is interpolated over, s.

    Returns:
        Signal `(time, variables)`; an angle is `(time,)`, in rad, 0 to 2 pi. It begins with the first value and ends
        with the last.

    Raises:
        Refused: If there are more or fewer variables than names, or a gap is too long.
    """
    columns = values.reshape(len(values), -1).astype(np.float64)
    if columns.shape[1] != len(names):
        raise Refused(
            f"target: the values have shape {values.shape}, so {columns.shape[1]} variables, named are "
            f"{', '.join(names)}; name each in target.variables"
        )
    if len(times) != len(columns):
        raise Refused(f"target: {len(columns)} values have {len(times)} time stamps; there must be as many")
    rate = rate_of(times, what="target")
    known = np.isfinite(columns).all(axis=1)
    times, columns = times[known], columns[known]
    _require_dense(times, max_gap)
    columns = np.deg2rad(columns) if kind == "circular" and degrees else columns
    clock = times[0] + np.arange(int((times[-1] - times[0]) * rate + 1e-6) + 1) / rate
    moved = interpolate(clock, times, columns, angle=kind == "circular")
    if kind == "circular":
        return Signal(moved[:, 0], rate, "rad", names, clock[0])
    return Signal(moved, rate, "a.u.", names, clock[0])


def on_clock_of(target: Signal, signal: Signal) -> tuple[Signal, Signal]:
    """Both signals over the time they share, sample by sample.

    Args:
        target: Values to decode.
        signal: What they are decoded from; its samples are not moved.

    Returns:
        The signal over that time, and the target interpolated at its samples.

    Raises:
        Refused: If they share no time.
    """
    last = target.times[-1]
    first = max(0, int(np.ceil((target.start - signal.start) * signal.rate - 1e-6)))
    stop = min(len(signal.data), int(np.floor((last - signal.start) * signal.rate + 1e-6)) + 1)
    if stop <= first:
        raise Refused(
            f"target: its values lie from {target.start:g} to {last:g} s, the series from {signal.start:g} to "
            f"{signal.stop:g} s; they must share some time"
        )
    kept = signal.slice(signal.start + first / signal.rate, signal.start + stop / signal.rate)
    moved = interpolate(kept.times, target.times, target.data, angle=target.unit == "rad")
    return kept, Signal(moved, kept.rate, target.unit, target.channels, kept.start)


def _require_dense(times: np.ndarray, max_gap: float) -> None:
    """Refuse to make values up over a long gap."""
    if len(times) < 2:
        raise Refused("target: fewer than two finite values")
    steps = np.diff(times)
    at = int(np.argmax(steps))
    if steps[at] > max_gap:
        raise Refused(
            f"target: no value for {steps[at]:g} s from {times[at]:g} s on; raise target.max_gap={max_gap:g} to "
            "interpolate over it, or store the stretches between gaps as recordings of their own"
        )
