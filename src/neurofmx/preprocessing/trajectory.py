"""Trajectories of robots and bodies: brought to one rate, and otherwise left as they are.

Nothing is scaled here: what training windows say of mean and deviation is learnt where the split is known, when windows
are cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neurofmx.preprocessing.steps.checks import Bad, screen
from neurofmx.recordings.recording import Recording, Signal

SIGNAL = "trajectory"


class TrajectoryOptions(BaseModel):
    """What is done to a trajectory; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rate: float | None = Field(default=None, gt=0, description="new sampling rate, Hz; null keeps the recording's")
    arc: int | None = Field(
        default=None,
        ge=2,
        description="range sensors in a ring: for each, the nearest of so many neighbours is added; null adds nothing",
    )
    bad: Bad | Literal["keep"] = Field(
        default="error",
        description="channels that never change in a recording: `error`, `drop` them everywhere, or `keep` them, as "
        "the place of a target that stays where it is for an episode",
    )


def preprocess(recordings: Iterable[Recording], options: TrajectoryOptions) -> list[Recording]:
    """Check the channels, add the arcs of a ring of sensors, and bring every signal to the wanted rate.

    Args:
        recordings: Recordings with a signal `trajectory (time, channels)`.
        options: What to do.

    Returns:
        The same recordings, all signals at `rate` Hz.

    Raises:
        ValueError: If a channel is not finite or never changes and `bad` is `error`, or a recording is shorter than a
            sample of the new rate, or `arc` is wider than the ring.
    """
    usable = _usable(recordings, options.bad)
    if options.arc is not None:
        usable = [_with_arcs(recording, options.arc) for recording in usable]
    return [_at(_single(recording), options.rate) for recording in usable]


def _usable(recordings: Iterable[Recording], bad: Bad | Literal["keep"]) -> list[Recording]:
    """Recordings with finite channels that vary, or may be kept."""
    if bad != "keep":
        return screen(recordings, SIGNAL, bad=bad, option="preprocess.bad")
    recordings = list(recordings)
    for recording in recordings:
        if not np.isfinite(recording.signal(SIGNAL).data).all():
            screen([recording], SIGNAL, bad="error", option="preprocess.bad")
    return recordings


def _single(recording: Recording) -> Recording:
    """What is read, in single precision."""
    signal = recording.signal(SIGNAL)
    return recording.with_signal(SIGNAL, replace(signal, data=signal.data.astype(np.float32)))


def _at(recording: Recording, rate: float | None) -> Recording:
    """All signals at another rate, or none."""
    if rate is None:
        return recording
    return replace(recording, signals={k: _resampled(s, rate, recording.name) for k, s in recording.signals.items()})


def _with_arcs(recording: Recording, width: int) -> Recording:
    """Behind the channels, the lowest of `width` neighbours around each, the last beside the first."""
    signal = recording.signal(SIGNAL)
    if width > signal.data.shape[1]:
        raise ValueError(f"preprocess.arc={width}: must be at most the {signal.data.shape[1]} sensors of the ring")
    around = range(-(width // 2), width - width // 2)
    nearest = np.min([np.roll(signal.data, shift, axis=1) for shift in around], axis=0)
    names = tuple(f"arc-{name}" for name in signal.channels)
    joined = replace(signal, data=np.hstack([signal.data, nearest]), channels=(*signal.channels, *names))
    return recording.with_signal(SIGNAL, joined)


def box_means(data: np.ndarray, *, old: float, new: float) -> np.ndarray:
    """Mean of the signal over each sample of another rate, a sample holding until the next one.

    Faster movement than the new rate can show is averaged away instead of folded down, and a sensor that jumps has no
    ringing around the jump.

    Args:
        data: Samples `(time, ...)`.
        old: Their rate, Hz.
        new: The other rate, Hz.

    Returns:
        Samples `(new time, ...)`, as many as fit whole.

    Example:
        >>> box_means(np.array([1.0, 3.0, 5.0, 7.0]), old=4.0, new=2.0).tolist()
        [2.0, 6.0]
    """
    edges = np.arange(int(len(data) / old * new + 1e-6) + 1) * (old / new)  # in samples of the old rate
    columns = data.reshape(len(data), -1).astype(np.float64)
    area = np.concatenate([np.zeros((1, columns.shape[1])), np.cumsum(columns, axis=0)])
    known = np.arange(len(area))
    sums = np.stack([np.interp(edges, known, column) for column in area.T], axis=1)
    return (np.diff(sums, axis=0) * (new / old)).reshape(-1, *data.shape[1:])


def _resampled(signal: Signal, rate: float, where: str) -> Signal:
    """One signal at another rate; the mean of an angle goes the shorter way round."""
    angle = signal.unit == "rad" and signal.data.ndim == 1
    means = box_means(np.unwrap(signal.data) if angle else signal.data, old=signal.rate, new=rate)
    if not len(means):
        raise ValueError(
            f"preprocess.rate={rate:g}: recording {where} lasts {signal.duration:g} s, less than a sample; raise it"
        )
    return replace(signal, data=(means % (2 * np.pi) if angle else means).astype(signal.data.dtype), rate=rate)
