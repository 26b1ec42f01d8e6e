"""The windows of one recording: where each lies, how much of it is recorded, and its answer."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from neurofmx.datasets.shared.base import Split
from neurofmx.recordings.lazy import gather
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import Signal


class Where(Protocol):
    """Where windows lie around their anchors; see `CutOptions`."""

    @property
    def anchor(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def stop(self) -> float: ...
    @property
    def stride(self) -> int: ...
    @property
    def pad(self) -> bool: ...
    @property
    def incomplete(self) -> str: ...


class Pieces(NamedTuple):
    """Windows of one recording, before they are joined with the others.

    Args:
        x: Samples `(windows, time, channels)`, float32; 0 behind the end of a shorter window, and in absent channels.
        y: Answers: labels `(windows,)`, values `(windows, variables)` or angles `(windows,)` in rad.
        block: Stretch of the recording that each window lies in `(windows,)`.
        start: First instant each window reads `(windows,)`, s.
        stop: End of what each window reads `(windows,)`, s.
        length: Samples of each window that were recorded `(windows,)`.
        anchor: Moment that each window lies around `(windows,)`, s: a trial's start, or the time of a sample.
        absent: Which channels have no value in any window `(channels,)`, bool, as one that the cleaning marks; none of
            pictures or a text.
    """

    x: np.ndarray
    y: np.ndarray
    block: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    length: np.ndarray
    anchor: np.ndarray
    absent: np.ndarray

    def kept(self, those: np.ndarray) -> Pieces:
        """Some of the windows, by index or mask `(windows,)`."""
        return Pieces(*(part[those] for part in self[:-1]), absent=self.absent)


class _Anchors(NamedTuple):
    """Sample, answer and block of every anchor `(anchors,)`, the sample at which what it belongs to ends, its time."""

    sample: np.ndarray
    y: np.ndarray
    block: np.ndarray
    end: np.ndarray
    time: np.ndarray


def cut_recording(recording: Recording, signal: Signal, task: Task, split: Split, where: Where) -> Pieces:
    """Cut one recording.

    Args:
        recording: With trials, or a signal `task.target`.
        signal: The signal of the recording that is cut.
        task: What a window is asked.
        split: Says how long a stretch is in which windows are not independent.
        where: Where windows lie.

    Returns:
        The windows that lie within the signal, in order of time. Where `where.pad` asks for it, a window also ends
        where its trial or the signal does, and what is missing is filled with zeros. Windows with NaN are left out
        where `where.incomplete` is `drop`; a channel that is NaN in all windows is absent, and no reason to.

    Raises:
        ValueError: If the recording lacks trials, target or a shared clock, a label is unknown, or all channels are
            absent.
    """
    low, high = round(where.start * signal.rate), round(where.stop * signal.rate)
    at = _anchors(recording, signal, task, split, where)
    end = np.minimum(at.sample + high, np.minimum(at.end, len(signal.data))) if where.pad else at.sample + high
    fits = (at.sample + low >= 0) & (end <= len(signal.data)) & (end > at.sample + low)
    anchor, y, block, end, time = at.sample[fits], at.y[fits], at.block[fits], end[fits], at.time[fits]
    index = anchor[:, None] + np.arange(low, high)
    x = gather(signal.data, np.minimum(index, len(signal.data) - 1)).astype(np.float32)
    x[index >= end[:, None]] = 0
    x = x[..., None] if x.ndim == 2 else x  # numbers of tokens, one a moment
    if x.ndim > 3:  # pictures: their rows are read one after the other, colours side by side
        x = x.reshape(len(x), x.shape[1] * x.shape[2], -1)
    first, last = (signal.start + i / signal.rate for i in (anchor + low, end))
    share = x.shape[1] // (high - low)  # rows of an image a sample
    length = share * (end - anchor - low)
    absent = _absent(x, length) if signal.data.ndim == 2 else np.zeros(x.shape[2], bool)
    if absent.all():
        raise ValueError(f"recording {recording.name}: no channel has a value in any window; leave the recording out")
    x[..., absent] = 0
    pieces = Pieces(x, y, block, first, last, length, time, absent)
    return _complete(pieces) if where.incomplete == "drop" else pieces


def _complete(pieces: Pieces) -> Pieces:
    """The windows without NaN, in samples and answer."""
    answered = np.isfinite(pieces.y).all(axis=tuple(range(1, pieces.y.ndim)))
    keep = np.isfinite(pieces.x).all(axis=(1, 2)) & answered
    return pieces.kept(np.asarray(keep))


def _absent(x: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Channels `(channels,)` that are NaN in all that was recorded of windows `(windows, time, channels)`."""
    absent = np.zeros(x.shape[2], bool)
    if len(x):
        suspects = np.flatnonzero(np.isnan(x[:, 0]).all(axis=0))
        # what pads a window is 0
        absent[suspects] = np.isnan(x[..., suspects]).sum(axis=(0, 1)) == length.sum()
    return absent


def _anchors(recording: Recording, signal: Signal, task: Task, split: Split, where: Where) -> _Anchors:
    """All anchors of a recording."""
    if where.anchor == "trial":
        trials = recording.require_trials()
        index, end = (np.round((t - signal.start) * signal.rate).astype(int) for t in (trials.start, trials.stop))
        return _Anchors(index, _labels(recording, task), np.arange(len(index)), end, trials.start)
    index = np.arange(0, len(signal.data), where.stride)
    if task.kind == "classification":
        return _within_trials(recording, signal, task, split, index)
    target = recording.signal(task.target)
    if len(target.data) != len(signal.data) or target.rate != signal.rate or target.start != signal.start:
        raise ValueError(f"recording {recording.name}: {task.target!r} and the signal must share one clock; resample")
    y = gather(target.data, index).astype(np.float64)
    block = ((index / signal.rate) // split.block).astype(int)
    y = y.reshape(len(y)) if task.kind == "circular" else y.reshape(len(y), -1)
    return _Anchors(index, y, block, np.full(len(index), len(signal.data)), signal.start + index / signal.rate)


def _within_trials(recording: Recording, signal: Signal, task: Task, split: Split, index: np.ndarray) -> _Anchors:
    """Anchors that fall into a trial; the rest between trials has no class."""
    trials = recording.require_trials()
    seconds = signal.start + index / signal.rate + 1e-6
    trial = np.searchsorted(trials.start, seconds, side="right") - 1
    inside = (trial >= 0) & (seconds < trials.stop[np.maximum(trial, 0)])
    # a trial is a block of its own, unless it is shorter than the stretches that are independent
    longer = np.median(trials.stop - trials.start) >= split.block
    block = trial if longer else ((trials.start[trial] - signal.start) // split.block).astype(int)
    end = np.round((trials.stop[trial] - signal.start) * signal.rate).astype(int)
    labels, time = _labels(recording, task)[trial[inside]], signal.start + index / signal.rate
    return _Anchors(index[inside], labels, block[inside], end[inside], time[inside])


def _labels(recording: Recording, task: Task) -> np.ndarray:
    """Index of each trial's class in `task.names`."""
    column = recording.require_trials().column(task.target)
    known = {name: i for i, name in enumerate(task.names)}
    unknown = sorted({str(value) for value in column} - set(known))
    if unknown:
        raise ValueError(
            f"recording {recording.name}: {task.target!r} holds {unknown}, not among the classes {list(task.names)}"
        )
    return np.array([known[str(value)] for value in column], np.int64)
