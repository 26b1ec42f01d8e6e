"""Mean and deviation of the training windows of each fold, from samples that were recorded and from no other."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from neurofmx.parts import GAP, TRAIN

Scale = Literal["channel", "global"]
Flat = Literal["error", "keep"]


class Moments(NamedTuple):
    """Mean and deviation, each `(folds, channels)`, or `(folds, recordings, channels)` where each has its own."""

    mean: np.ndarray
    std: np.ndarray


def learn_scaling(
    x: np.ndarray,
    parts: np.ndarray,
    group: np.ndarray,
    length: np.ndarray,
    present: np.ndarray,
    *,
    own: bool,
    scale: Scale,
    flat: Flat,
) -> Moments:
    """Learn how to standardise windows from the training windows of each fold.

    Args:
        x: Windows, shape `(windows, time, channels)`.
        parts: Split, shape `(folds, windows)`.
        group: Recording of each window, shape `(windows,)`.
        length: Samples of each window that were recorded, shape `(windows,)`.
        present: Which columns of `x` hold a channel, shape `(recordings, channels)`. What a channel's moments are
            learnt from are the windows of recordings that have it.
        own: Whether each recording has its own channels, and so its own moments.
        scale: One pair of moments for each `channel`, or a `global` one for all.
        flat: Whether a channel that is constant in training is an `error`, or `keep` its unit: deviation 1.

    Returns:
        The moments; mean 0 and deviation 1 where there is no channel, or none that a window of the fold has.

    Raises:
        FlatChannels: If a channel is constant in the training windows of a fold and `flat` is `error`.
        UnknownChannels: If windows that a fold validates on or tests have a channel that no training window has, and
            recordings share their channels.
    """
    units = range(len(present)) if own else [None]
    shape = (len(parts), len(units), x.shape[2])
    mean, std = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    for fold, row in enumerate(parts):
        for place, unit in enumerate(units):
            chosen = np.flatnonzero((row == TRAIN) if unit is None else (row == TRAIN) & (group == unit))
            there = np.flatnonzero(present[np.unique(group[row != GAP])].any(0) if unit is None else present[unit])
            samples = _recorded(x[chosen], length[chosen])[:, there].astype(np.float64)
            where: np.ndarray | bool = True
            if unit is None and not present[:, there].all():
                where = np.repeat(present[group[chosen]][:, there], length[chosen], axis=0)
                if not where.any(0).all():
                    raise UnknownChannels(fold, there[~where.any(0)])
            axis = 0 if scale == "channel" else None
            mean[fold, place, there] = samples.mean(axis, where=where)
            std[fold, place, there] = samples.std(axis, where=where)
            constant = there[std[fold, place, there] <= 1e-6 * np.abs(samples).max(initial=0)]
            if len(constant) and flat == "error":
                raise FlatChannels(fold, unit, constant)
            std[fold, place, constant] = 1
    return Moments(mean, std) if own else Moments(mean[:, 0], std[:, 0])


class FlatChannels(Exception):
    """Columns of the windows that are constant in the training windows of a fold, of one recording or all."""

    def __init__(self, fold: int, recording: int | None, columns: np.ndarray) -> None:
        super().__init__(fold, recording, columns)
        self.fold, self.recording, self.columns = fold, recording, columns


class UnknownChannels(Exception):
    """Columns of the windows that a fold asks about and that no recording which it trains on has."""

    def __init__(self, fold: int, columns: np.ndarray) -> None:
        super().__init__(fold, columns)
        self.fold, self.columns = fold, columns


def one_scale(mean: np.ndarray, std: np.ndarray, present: np.ndarray) -> bool:
    """Whether all channels share one mean and one deviation, as windows cut with `scale=global` do.

    Args:
        mean: Moments of each fold, as of `Moments`.
        std: The same.
        present: Which columns hold a channel, shape `(recordings, channels)`.
    """
    there = present if mean.ndim == 3 else present.any(0)
    known = [np.where(there, each, np.nan) for each in (mean, std)]
    alike = all(np.array_equal(np.nanmin(each, axis=-1), np.nanmax(each, axis=-1)) for each in known)
    return mean.shape[-1] > 1 and alike


def _recorded(x: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Samples `(samples, channels)` of windows `(windows, time, channels)` without what pads them."""
    if np.all(length == x.shape[1]):
        return x.reshape(-1, x.shape[2])
    return x[np.arange(x.shape[1]) < length[:, None]]
