"""Cut clean recordings into windows: one answer each, a split that does not leak, scaling learnt from training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.datasets.shared.base import Split
from neurofmx.parts import TRAIN
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import Signal
from neurofmx.tokenizers.cutting.beside import Other, lent, partners
from neurofmx.tokenizers.cutting.montage import check_montage, column_names, fitting, positions, side_by_side
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.pieces import Pieces, cut_recording
from neurofmx.tokenizers.cutting.scaling import FlatChannels, Moments, UnknownChannels, learn_scaling
from neurofmx.tokenizers.cutting.split_windows import split_windows
from neurofmx.tokenizers.cutting.text_windows import cut_text
from neurofmx.tokenizers.cutting.windows import Montage, Windows

TOKENS = "tokens"  # the signal that holds numbers into the array `vocabulary`
_JOINED = ("y", "start", "stop", "length", "anchor")
_log = logging.getLogger(__name__)


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
    tokenizer: str | None = Field(
        default=None,
        description="How a network reads a window: a key of `neurofmx.tokenizers.table.TOKENIZERS`; null for that of "
        "the modality.",
    )
    tokenizer_options: dict[str, Any] = Field(
        default={}, description="Settings of that tokenizer, see `neurofmx.tokenizers.configs`."
    )
    scale: Literal["channel", "global"] = Field(
        default="channel", description="Standardise each channel, or all with one mean and deviation."
    )
    flat: Literal["error", "keep"] = Field(
        default="error",
        description="Channels that are constant in a fold's training windows: refuse, or keep with deviation 1, as "
        "units that fire rarely may be silent there.",
    )
    montage: Montage = Field(
        default="same",
        description="All recordings have the `same` channels, or each its `own`: then each is scaled by itself.",
    )
    incomplete: Literal["error", "drop"] = Field(
        default="error",
        description="Windows that hold NaN, as marked stretches do, or have no answer: refuse, or drop. A channel that "
        "is NaN in all windows of a recording is absent there, and no reason to.",
    )
    pad: bool = Field(
        default=False, description="Windows that reach over the end of their trial stop there and are filled up."
    )
    validation_fraction: float = Field(
        default=0.15, gt=0, lt=1, description="Share of each fold's training windows set aside for validation."
    )

    @model_validator(mode="after")
    def _some_length(self) -> CutOptions:
        if self.stop <= self.start:
            raise ValueError(f"stop={self.stop} must lie after start={self.start}")
        if self.pad and self.anchor != "trial":
            raise ValueError("pad=true needs anchor=trial: it is the end of a trial that a window stops at")
        return self


def cut(
    recordings: list[Recording],
    *,
    signal: str,
    task: Task,
    split: Split,
    options: CutOptions,
    modality: str,
    dataset: str,
    species: str = "",
    beside: Other | None = None,
) -> Windows:
    """Turn a dataset's clean recordings into windows with split and scaling.

    Args:
        recordings: Clean recordings, all with the signal, its rate and, unless `options.montage` is `own`, the
            channels that the first one has. Arrays `<signal>_positions (channels, 3)`, m, are kept where there are any.
            Of a lazily held signal the windows alone are read.
        signal: Name of the signal that is cut.
        task: What a window is asked; a classification reads the trial column `task.target`, the others the signal.
        split: The dataset's named split.
        options: Where windows lie.
        modality: Kind of recording, e.g. `eeg`.
        dataset: Name of the dataset.
        species: Who was recorded.
        beside: What was recorded at the same time and stands beside the windows; each that has nothing beside it is an
            error, or left out where `options.incomplete` is `drop`. Training windows that share time with what stands
            beside a held-out one, or the other way round, are left out of that fold.

    Returns:
        The windows, in order of recording and time.

    Raises:
        ValueError: If a recording lacks the signal, the trials or the target, if recordings do not fit each
            other, a window holds NaN, a channel is constant in training, a class is absent from training, a recording
            has no channel or one that no training window has, recordings with channels of their own are left out as
            a whole, or what is to stand beside them does not fit.
        LeakError: If held-out windows share time with training windows.
    """
    if task.kind == "next_token":
        if beside is not None:
            raise ValueError(f"{dataset} is a text, beside which nothing can stand; leave it out of multimodal.beside")
        windows = _cut_text(recordings, signal, task, split, options, modality, dataset)
        return replace(windows, origins=_origins(recordings), species=species)
    check_montage(options.montage, split, dataset=dataset)
    signals = fitting(recordings, signal, montage=options.montage)
    pieces = [
        cut_recording(recording, each, task, split, options)
        for recording, each in zip(recordings, signals, strict=True)
    ]
    _check_pieces(pieces, recordings, signals, task, options, dataset)
    found, origins = None, _origins(recordings)
    if beside is not None:
        own = options.montage == "own"
        pieces, found = partners(pieces, origins, beside, incomplete=options.incomplete, own=own, dataset=dataset)
    group = np.repeat(np.arange(len(pieces)), [len(p.y) for p in pieces])
    offset = np.cumsum([0, *(int(p.block.max(initial=-1)) + 1 for p in pieces)])
    block = np.concatenate([p.block + o for p, o in zip(pieces, offset, strict=False)])
    y, start, stop, length, anchor = (np.concatenate([getattr(p, name) for p in pieces]) for name in _JOINED)
    x = side_by_side([p.x for p in pieces])
    low, high = (start, stop) if found is None else found.reach(start, stop)  # held out is both forms of a window
    parts = split_windows(split, recordings, group, low, high, fraction=options.validation_fraction)
    if task.kind == "classification":
        _check_classes(parts, y, task, dataset)
    vocabulary = len(recordings[0].arrays["vocabulary"]) if signal == TOKENS else 0
    present = _present(pieces, recordings, signals, dataset)
    if vocabulary:  # numbers of tokens have no scale
        moments = Moments(np.zeros((len(parts), 1), np.float32), np.ones((len(parts), 1), np.float32))
    else:
        moments = _moments(x, parts, group, length, present, options, recordings, signals, dataset)
    return Windows(
        x=x.astype(np.int32) if vocabulary else x,
        y=y,
        group=group,
        block=block,
        start=start,
        stop=stop,
        split=parts,
        mean=moments.mean,
        std=moments.std,
        task=task,
        modality=modality,
        rate=signals[0].rate,
        channels=column_names(signals),
        patch=options.patch,
        split_name=split.name,
        dataset=dataset,
        montage=options.montage,
        present=present,
        length=length,
        positions=positions(recordings, signal, columns=x.shape[2]),
        tokenizer=options.tokenizer or "",
        tokenizer_options=options.tokenizer_options,
        grid=signals[0].data.shape[1:] if signals[0].data.ndim > 2 else (),
        vocabulary=vocabulary,
        anchor=anchor,
        origins=origins,
        species=species,
        beside=None
        if found is None
        else lent(found, y=y, group=group, block=block, split=parts, task=task, split_name=split.name),
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
    windows = cut_text(recordings, length=length, stride=options.stride, **asked)
    return replace(windows, tokenizer=options.tokenizer or "", tokenizer_options=options.tokenizer_options)


def _origins(recordings: list[Recording]) -> tuple[Origin, ...]:
    """Where each recording comes from."""
    return tuple(Origin(each.name, each.subject, tuple(s.sha256 for s in each.sources)) for each in recordings)


def _check_pieces(
    pieces: list[Pieces],
    recordings: list[Recording],
    signals: list[Signal],
    task: Task,
    options: CutOptions,
    dataset: str,
) -> None:
    """Refuse windows that are none, of a length that tokens do not divide, or hold NaN."""
    if not sum(len(p.y) for p in pieces):
        raise ValueError(
            f"{dataset}: no window of {options.start} to {options.stop} s fits; shorten datasets.{dataset}.tokenize"
        )
    time = pieces[0].x.shape[1]
    if time % options.patch:
        raise ValueError(
            f"datasets.{dataset}.tokenize.patch={options.patch}: must divide the {time} samples of a window"
        )
    lost = sum(int(np.sum(~np.isfinite(p.y))) for p in pieces)
    if lost:
        raise ValueError(
            f"{dataset}: {task.target!r} is NaN or infinite in {lost} windows; drop them first, or set "
            f"datasets.{dataset}.tokenize.incomplete to 'drop'"
        )
    for piece, recording, signal in zip(pieces, recordings, signals, strict=True):
        bad = np.flatnonzero(~np.isfinite(piece.x).all(axis=(0, 1)))
        if len(bad):
            raise ValueError(
                f"{dataset}: windows of recording {recording.name} hold NaN or infinite values in channels "
                f"{_named(bad, signal)}; mend or drop them in preprocess, or leave out the windows with "
                f"datasets.{dataset}.tokenize.incomplete=drop"
            )


def _present(
    pieces: Sequence[Pieces], recordings: Sequence[Recording], signals: Sequence[Signal], dataset: str
) -> np.ndarray:
    """Which columns each recording has `(recordings, columns)`; says what was expected and is absent."""
    present = np.zeros((len(pieces), max(len(piece.absent) for piece in pieces)), bool)
    for row, piece, recording, signal in zip(present, pieces, recordings, signals, strict=True):
        row[: len(piece.absent)] = ~piece.absent
        if piece.absent.any():
            absent = np.flatnonzero(piece.absent)
            said = ", ".join(_named(absent, signal)) + (", ..." if len(absent) > 5 else "")
            _log.warning("%s: recording %s is cut without %d channels: %s", dataset, recording.name, len(absent), said)
    return present


def _named(columns: np.ndarray, signal: Signal) -> list[str]:
    """The first few of some channels, by name where they have names."""
    return [signal.channels[i] if i < len(signal.channels) else str(i) for i in columns[:5]]


def _check_classes(parts: np.ndarray, y: np.ndarray, task: Task, dataset: str) -> None:
    for fold, row in enumerate(parts):
        absent = sorted(set(range(len(task.names))) - set(y[row == TRAIN].tolist()))
        if absent:
            raise ValueError(
                f"{dataset}: fold {fold} trains without any window of class {[task.names[i] for i in absent]}; use "
                "fewer folds, a smaller validation_fraction, or leave the class out of the task."
            )


def _moments(
    x: np.ndarray,
    parts: np.ndarray,
    group: np.ndarray,
    length: np.ndarray,
    present: np.ndarray,
    options: CutOptions,
    recordings: list[Recording],
    signals: list[Signal],
    dataset: str,
) -> Moments:
    """The scaling of each fold, or which channels cannot be scaled."""
    own = options.montage == "own"
    try:
        return learn_scaling(x, parts, group, length, present, own=own, scale=options.scale, flat=options.flat)
    except UnknownChannels as unknown:
        raise ValueError(
            f"{dataset}: channels {_named(unknown.columns, signals[0])} are in no training window of fold "
            f"{unknown.fold}, as no recording that it trains on has them; leave them out in preprocess, or choose a "
            "split of which every fold trains on a recording that has them"
        ) from None
    except FlatChannels as flat:
        whose = "" if flat.recording is None else f" of recording {recordings[flat.recording].name}"
        raise ValueError(
            f"{dataset}: channels {_named(flat.columns, signals[flat.recording or 0])}{whose} are constant in the "
            f"training windows of fold {flat.fold}; drop them in preprocess, or set tokenize.flat to 'keep', or "
            "tokenize.scale to 'global'."
        ) from None
