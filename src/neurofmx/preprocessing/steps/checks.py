"""Channels that carry nothing: found before they spoil a filter, a mean or a model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np

from neurofmx.recordings.lazy import columns, pieces
from neurofmx.recordings.recording import Recording, Signal

Bad = Literal["error", "drop"]
_log = logging.getLogger(__name__)


def bad_channels(signal: Signal) -> dict[str, str]:
    """Say which channels cannot be used and why.

    Args:
        signal: Samples `(time, channels)`, read a piece at a time.

    Returns:
        The reason by channel name; empty when all is well.

    Example:
        >>> bad_channels(Signal(np.array([[1.0, 5.0], [np.nan, 5.0]]), 1.0, "V", ("Fz", "Cz")))
        {'Fz': '1 of 2 samples are not finite', 'Cz': 'constant at 5'}
    """
    first = signal.data[:1]
    wrong, constant = np.zeros(signal.data.shape[1], int), np.ones(signal.data.shape[1], bool)
    for begin, end in pieces(signal.data):
        piece = signal.data[begin:end]
        wrong += (~np.isfinite(piece)).sum(axis=0)
        constant &= (piece == first).all(axis=0)
    reasons = {}
    for index in np.flatnonzero((wrong > 0) | constant):
        lost = f"{wrong[index]} of {len(signal.data)} samples are not finite"
        reasons[signal.channels[index]] = lost if wrong[index] else f"constant at {first[0, index]:g}"
    return reasons


def screen(recordings: Iterable[Recording], name: str, *, bad: Bad, option: str) -> list[Recording]:
    """Refuse recordings with unusable channels, or drop these channels from all recordings alike.

    Args:
        recordings: Recordings with a signal `(time, channels)` of that name.
        name: The signal to look at.
        bad: `error` to refuse, `drop` to leave a channel that is bad in any recording out of every one.
        option: What to call the option `bad` in the error message.

    Returns:
        Recordings whose channels all vary and are finite.

    Raises:
        ValueError: If a channel is bad and `bad` is `error`, or if none is left.
    """
    recordings = list(recordings)
    found = {recording.name: bad_channels(recording.signal(name)) for recording in recordings}
    gone = {channel for reasons in found.values() for channel in reasons}
    if gone and bad == "error":
        where, reasons = next((where, reasons) for where, reasons in found.items() if reasons)
        raise ValueError(complaint(where, name, reasons, option=option))
    if gone:
        _log.warning("dropped %d channels of %s: %s", len(gone), name, ", ".join(sorted(gone)))
    return [drop_channels(recording, name, gone) for recording in recordings] if gone else recordings


def drop_channels(recording: Recording, name: str, gone: Iterable[str]) -> Recording:
    """Leave channels out of one signal.

    Args:
        recording: A recording with a signal `(time, channels)` of that name.
        name: The signal.
        gone: Names of the channels to leave out; unknown names are ignored.

    Returns:
        The recording without them, also in the arrays `<name>_positions` and `<name>_quality` where they are.

    Raises:
        ValueError: If no channel is left.
    """
    signal, gone = recording.signal(name), set(gone)
    keep = [index for index, channel in enumerate(signal.channels) if channel not in gone]
    if not keep:
        raise ValueError(f"recording {recording.name}, signal {name}: no usable channel is left, check the raw data")
    kept = replace(signal, data=columns(signal.data, keep), channels=tuple(signal.channels[index] for index in keep))
    facts = (f"{name}_positions", f"{name}_quality")
    places = {key: recording.arrays[key][keep] for key in facts if key in recording.arrays}
    return replace(recording.with_signal(name, kept), arrays=recording.arrays | places)


def complaint(where: str, name: str, reasons: dict[str, str], *, option: str) -> str:
    """What is wrong with a recording's channels, with the first few as witnesses, and the way out."""
    witnesses = "; ".join(f"{channel} {reason}" for channel, reason in list(reasons.items())[:5])
    return (
        f"recording {where}, signal {name}: every channel must be finite and vary, {len(reasons)} do not "
        f"({witnesses}); repair the raw data, or set {option}=drop to leave them out everywhere"
    )
