"""Which recordings windows come from, so that two sets of windows can tell whether they hold the same session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Origin(NamedTuple):
    """One recording that windows were cut from.

    Args:
        recording: Its name, `subject/session`.
        subject: Who was recorded.
        files: SHA-256 sums of the files it was read from, in order.
    """

    recording: str
    subject: str
    files: tuple[str, ...] = ()


def to_arrays(origins: Sequence[Origin]) -> dict[str, np.ndarray]:
    """Origins as arrays of strings `(recordings,)`, as they stand in a file of windows."""
    return {
        "recording": np.array([each.recording for each in origins], str),
        "subject": np.array([each.subject for each in origins], str),
        "files": np.array([" ".join(each.files) for each in origins], str),
    }


def from_arrays(arrays: dict[str, np.ndarray]) -> tuple[Origin, ...]:
    """The inverse of `to_arrays`."""
    columns = zip(*(arrays[name].tolist() for name in ("recording", "subject", "files")), strict=True)
    return tuple(Origin(recording, subject, tuple(files.split())) for recording, subject, files in columns)


def same_recording(one: Origin, other: Origin) -> bool:
    """Whether two origins are one recording: of one name, and from at least one common file where both name files.

    Example:
        >>> same_recording(Origin("m/1", "m", ("aa", "bb")), Origin("m/1", "m", ("bb",)))
        True
        >>> same_recording(Origin("m/1", "m", ("aa",)), Origin("m/1", "m", ("cc",)))
        False
    """
    if one.recording != other.recording:
        return False
    return not one.files or not other.files or bool(set(one.files) & set(other.files))
