"""Channels of several recordings side by side: the same in all, or each recording's own, padded to the widest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurofmx.datasets.shared.base import Split
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.timeline import Signal
from neurofmx.tokenizers.cutting.windows import Montage


def check_montage(montage: Montage, split: Split, *, dataset: str) -> None:
    """Refuse to leave out a recording whose channels are its own: nothing would be known of them in training.

    Args:
        montage: Option `tokenize.montage`.
        split: The dataset's split.
        dataset: Name of the dataset.

    Raises:
        ValueError: If `montage` is `own` and the split is not by blocks of time.
    """
    if montage == "own" and split.kind != "blocks":
        raise ValueError(
            f"datasets.{dataset}.tokenize.montage=own: each recording has its own channels, so every fold must train "
            f"on each; split {split.name} is of kind {split.kind!r}, it must be 'blocks'. Choose the channels that all "
            "recordings share, and montage=same"
        )


def fitting(recordings: Sequence[Recording], name: str, *, montage: Montage) -> list[Signal]:
    """The signals of all recordings, which must have one rate and, where the montage is the same, one set of channels.

    Args:
        recordings: At least one.
        name: Name of the signal.
        montage: `same`, or `own` for recordings that differ in their channels.

    Returns:
        One signal a recording.

    Raises:
        ValueError: If a recording lacks the signal or does not fit the first one.
    """
    signals = [recording.signal(name) for recording in recordings]
    first = signals[0]
    for recording, signal in zip(recordings, signals, strict=True):
        own = montage == "own" and signal.data.ndim == first.data.ndim == 2
        if signal.rate != first.rate or (signal.channels != first.channels and not own):
            raise ValueError(
                f"recording {recording.name}: the signal has {len(signal.channels)} channels at {signal.rate} Hz, "
                f"the first recording {len(first.channels)} at {first.rate} Hz; give all the same montage and rate, "
                "or set tokenize.montage to 'own' if it is the channels that differ"
            )
    return signals


def side_by_side(windows: Sequence[np.ndarray]) -> np.ndarray:
    """Windows of all recordings in one array, with as many columns as the widest has channels.

    Args:
        windows: Windows of each recording, shape `(windows, time, channels)`.

    Returns:
        Shape `(all windows, time, columns)`, float32, 0 where a recording has no channel.
    """
    columns = max(x.shape[2] for x in windows)
    joined = np.zeros((sum(map(len, windows)), windows[0].shape[1], columns), np.float32)
    first = 0
    for x in windows:
        joined[first : first + len(x), :, : x.shape[2]] = x
        first += len(x)
    return joined


def column_names(signals: Sequence[Signal]) -> tuple[str, ...]:
    """Names of the columns of `side_by_side`: the channel's, or `column-<i>` where it is not the same channel in all.

    Args:
        signals: One a recording.

    Example:
        >>> one, two = (Signal(np.zeros((1, len(n))), 1.0, "V", tuple(n)) for n in ("ab", "acd"))
        >>> column_names([one, two])
        ('a', 'column-1', 'd')
    """
    columns = max(len(signal.channels) for signal in signals)
    names = [{signal.channels[i] for signal in signals if i < len(signal.channels)} for i in range(columns)]
    return tuple(found.pop() if len(found) == 1 else f"column-{i}" for i, found in enumerate(names))


def positions(recordings: Sequence[Recording], name: str, *, columns: int) -> np.ndarray:
    """Where the channels of all recordings lie, from their arrays `<name>_positions`.

    Args:
        recordings: With a signal of that name.
        name: Name of the signal.
        columns: Columns of the windows.

    Returns:
        Positions in m, shape `(recordings, columns, 3)`; NaN where there is no channel, or none is known.

    Raises:
        ValueError: If an array does not hold a position for each channel.
    """
    places = np.full((len(recordings), columns, 3), np.nan)
    for row, recording in zip(places, recordings, strict=True):
        if (known := recording.arrays.get(f"{name}_positions")) is None:
            continue
        channels = len(recording.signal(name).channels)
        if known.shape != (channels, 3):
            raise ValueError(
                f"recording {recording.name}: array {name}_positions has shape {known.shape}, must be {(channels, 3)}: "
                f"a position in m for each channel of {name!r}"
            )
        row[:channels] = known
    return places
