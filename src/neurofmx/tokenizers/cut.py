"""Cut clean recordings into windows: one answer each, a split that does not leak, scaling learnt from training."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.datasets.base import Split
from neurofmx.parts import TRAIN, VALIDATION
from neurofmx.preprocessing import splits
from neurofmx.recording import Recording
from neurofmx.task import Task
from neurofmx.timeline import Signal
from neurofmx.tokenizers.text_windows import cut_text
from neurofmx.tokenizers.windows import Windows


class CutOptions(BaseModel):
    """Where a window lies around its anchor. Part `tokenize` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    anchor: Literal["trial", "sample"] = Field(
        description="One window a trial (from its start), or one every `stride` samples."
    )
    start: float = Field(description="First instant of a window relative to its anchor, seconds.")
    stop: float = Field(description="End of a window relative to its anchor, seconds.")
    stride: int = Field(default=1, ge=1, description="Samples between anchors, where the anchor is a sample.")
    patch: int = Field(default=1, ge=1, description="Samples that share a token; must divide the window.")
    scale: Literal["channel", "global"] = Field(
        default="channel", description="Standardise each channel, or all with one mean and deviation."
    )
    validation_fraction: float = Field(
        default=0.15, gt=0, lt=1, description="Share of each fold's training windows set aside for validation."
    )

    @model_validator(mode="after")
    def _some_length(self) -> CutOptions:
        if self.stop <= self.start:
            raise ValueError(f"stop={self.stop} must lie after start={self.start}")
        return self


class _Pieces(NamedTuple):
    """Windows of one recording, before they are joined with the others."""

    x: np.ndarray
    y: np.ndarray
    block: np.ndarray
    start: np.ndarray
    stop: np.ndarray


def cut(
    recordings: list[Recording],
    *,
    signal: str,
    task: Task,
    split: Split,
    options: CutOptions,
    modality: str,
    dataset: str,
) -> Windows:
    """Turn a dataset's clean recordings into windows with split and scaling.

    Args:
        recordings: Clean recordings, all with the signal, channels and rate the first one has.
        signal: Name of the signal that is cut.
        task: What a window is asked; a classification reads the trial column `task.target`, the others the signal.
        split: The dataset's named split.
        options: Where windows lie.
        modality: Kind of recording, e.g. `eeg`.
        dataset: Name of the dataset.

    Returns:
        The windows, in order of recording and time.

    Raises:
        ValueError: If a recording lacks the signal, the trials or the target, if recordings do not fit each
            other, a window holds NaN, a channel is constant in training, or a class is absent from training.
        LeakError: If held-out windows share time with training windows.
    """
    if task.kind == "next_token":
        return _cut_text(recordings, signal, task, split, options, modality, dataset)
    first = recordings[0].signal(signal)
    pieces = [_pieces(recording, recording.signal(signal), task, split, options, first) for recording in recordings]
    if not sum(len(p.y) for p in pieces):
        raise ValueError(
            f"{dataset}: no window of {options.start} to {options.stop} s fits; shorten datasets.{dataset}.tokenize"
        )
    group = np.repeat(np.arange(len(pieces)), [len(p.y) for p in pieces])
    offset = np.cumsum([0, *(int(p.block.max(initial=-1)) + 1 for p in pieces)])
    block = np.concatenate([p.block + o for p, o in zip(pieces, offset, strict=False)])
    x, y, start, stop = (np.concatenate([getattr(p, name) for p in pieces]) for name in ("x", "y", "start", "stop"))
    if x.shape[1] % options.patch:
        raise ValueError(
            f"datasets.{dataset}.tokenize.patch={options.patch}: must divide the {x.shape[1]} samples of a window"
        )
    _check_finite(x, y, first, task, dataset)
    parts = _split(split, options, recordings, group=group, start=start, stop=stop)
    if task.kind == "classification":
        _check_classes(parts, y, task, dataset)
    mean, std = _scaling(x, parts, first, options, dataset)
    return Windows(
        x=x,
        y=y,
        group=group,
        block=block,
        start=start,
        stop=stop,
        split=parts,
        mean=mean,
        std=std,
        task=task,
        modality=modality,
        rate=first.rate,
        channels=first.channels,
        patch=options.patch,
        split_name=split.name,
        dataset=dataset,
    )


def _cut_text(
    recordings: list[Recording],
    signal: str,
    task: Task,
    split: Split,
    options: CutOptions,
    modality: str,
    dataset: str,
) -> Windows:
    """Windows of tokens, which have a vocabulary in place of a scale."""
    if options.anchor != "sample" or options.start != 0 or options.patch != 1:
        raise ValueError(
            f"datasets.{dataset}.tokenize: a text needs anchor=sample, start=0 and patch=1, got {options.anchor}, "
            f"{options.start:g} and {options.patch}"
        )
    length = round(options.stop * recordings[0].signal(signal).rate)
    asked = {"signal": signal, "task": task, "split": split, "modality": modality, "dataset": dataset}
    return cut_text(recordings, length=length, stride=options.stride, **asked)


def _pieces(
    recording: Recording, signal: Signal, task: Task, split: Split, options: CutOptions, first: Signal
) -> _Pieces:
    """Cut one recording."""
    if signal.channels != first.channels or signal.rate != first.rate:
        raise ValueError(
            f"recording {recording.name}: the signal has {len(signal.channels)} channels at {signal.rate} Hz, "
            f"the first recording {len(first.channels)} at {first.rate} Hz; give all the same montage and rate."
        )
    anchor, y, block = _anchors(recording, signal, task, split, options)
    low, high = round(options.start * signal.rate), round(options.stop * signal.rate)
    fits = (anchor + low >= 0) & (anchor + high <= len(signal.data))
    anchor, y, block = anchor[fits], y[fits], block[fits]
    index = anchor[:, None] + np.arange(low, high)
    x = signal.data[index].astype(np.float32)
    if x.ndim == 4:  # an image: its rows are read one after the other
        x = x.reshape(len(x), -1, x.shape[-1])
    seconds = signal.start + anchor / signal.rate
    return _Pieces(x, y, block, seconds + low / signal.rate, seconds + high / signal.rate)


def _anchors(
    recording: Recording, signal: Signal, task: Task, split: Split, options: CutOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample index, answer and block of every anchor."""
    if options.anchor == "trial":
        index = np.round((recording.require_trials().start - signal.start) * signal.rate).astype(int)
        return index, _labels(recording, task), np.arange(len(index))
    index = np.arange(0, len(signal.data), options.stride)
    if task.kind == "classification":
        return _within_trials(recording, signal, task, split, index)
    target = recording.signal(task.target)
    if len(target.data) != len(signal.data) or target.rate != signal.rate or target.start != signal.start:
        raise ValueError(f"recording {recording.name}: {task.target!r} and the signal must share one clock; resample")
    y = target.data[index].astype(np.float64)
    block = ((index / signal.rate) // split.block).astype(int)
    return index, y.reshape(len(y)) if task.kind == "circular" else y.reshape(len(y), -1), block


def _within_trials(
    recording: Recording, signal: Signal, task: Task, split: Split, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors that fall into a trial; the rest between trials has no class."""
    trials = recording.require_trials()
    seconds = signal.start + index / signal.rate + 1e-6
    trial = np.searchsorted(trials.start, seconds, side="right") - 1
    inside = (trial >= 0) & (seconds < trials.stop[np.maximum(trial, 0)])
    # a trial is a block of its own, unless it is shorter than the stretches that are independent
    longer = np.median(trials.stop - trials.start) >= split.block
    block = trial if longer else ((trials.start[trial] - signal.start) // split.block).astype(int)
    return index[inside], _labels(recording, task)[trial[inside]], block[inside]


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


def _split(
    split: Split,
    options: CutOptions,
    recordings: list[Recording],
    *,
    group: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
) -> np.ndarray:
    """The dataset's named split with its validation part, checked for leaks."""
    unit = _units(recordings, by=split.by)[group]
    if split.kind == "groups":
        parts = splits.leave_groups_out(unit, folds=split.folds)
    elif split.kind == "given":
        parts = splits.as_given(group, [r.session for r in recordings], test=split.test, held=split.held)
    else:
        parts = splits.contiguous_blocks(group, start, stop, folds=split.folds, gap=split.gap)
    if not split.held:
        among = unit if split.validation == "groups" else group
        parts = splits.add_validation(
            parts, among, start, stop, by=split.validation, gap=split.gap, fraction=options.validation_fraction
        )
    splits.check_no_leak(parts, group, start, stop)
    for fold, row in enumerate(parts):
        for part, name in ((TRAIN, "training"), (VALIDATION, "validation")):
            if not (row == part).any():
                raise ValueError(
                    f"fold {fold} of split {split.name} has no {name} window; use shorter windows or another "
                    f"validation_fraction than {options.validation_fraction}"
                )
    return parts


def _units(recordings: list[Recording], *, by: str) -> np.ndarray:
    """What is left out as a whole: index `(recordings,)` of each recording, or of its subject."""
    names = [recording.name if by == "recording" else recording.subject for recording in recordings]
    order = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names])


def _check_finite(x: np.ndarray, y: np.ndarray, signal: Signal, task: Task, dataset: str) -> None:
    if not np.isfinite(y).all():
        raise ValueError(
            f"{dataset}: {task.target!r} is NaN or infinite in {np.sum(~np.isfinite(y))} windows; drop them first"
        )
    bad = np.flatnonzero(~np.isfinite(x).all(axis=(0, 1)))
    if len(bad):
        names = [signal.channels[i] for i in bad[:5]] if len(signal.channels) == x.shape[-1] else bad[:5].tolist()
        raise ValueError(
            f"{dataset}: windows hold NaN or infinite values in channels {names}; mend or drop them in preprocess"
        )


def _check_classes(parts: np.ndarray, y: np.ndarray, task: Task, dataset: str) -> None:
    for fold, row in enumerate(parts):
        absent = sorted(set(range(len(task.names))) - set(y[row == TRAIN].tolist()))
        if absent:
            raise ValueError(
                f"{dataset}: fold {fold} trains without any window of class {[task.names[i] for i in absent]}; use "
                "fewer folds, a smaller validation_fraction, or leave the class out of the task."
            )


def _scaling(
    x: np.ndarray, parts: np.ndarray, signal: Signal, options: CutOptions, dataset: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each fold's training windows, per channel, shape `(folds, channels)` each."""
    axis = (0, 1) if options.scale == "channel" else None
    shape = (len(parts), x.shape[-1])
    mean, std = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for fold, row in enumerate(parts):
        train = x[row == TRAIN].astype(np.float64)
        mean[fold], std[fold] = train.mean(axis), train.std(axis)
        flat = np.flatnonzero(std[fold] <= 1e-6 * np.abs(train).max(initial=0))
        if len(flat):
            names = [signal.channels[i] for i in flat[:5]] if len(signal.channels) == x.shape[-1] else flat[:5].tolist()
            raise ValueError(
                f"{dataset}: channels {names} are constant in the training windows of fold {fold}; drop them in "
                f"preprocess, or set tokenize scale to 'global'."
            )
    return mean, std
