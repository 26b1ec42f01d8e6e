"""Which part of a named split each window belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurofmx.datasets.shared.base import Split
from neurofmx.parts import TRAIN, VALIDATION
from neurofmx.preprocessing import splits
from neurofmx.recordings.recording import Recording


def split_windows(
    split: Split,
    recordings: Sequence[Recording],
    group: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    *,
    fraction: float,
) -> np.ndarray:
    """A dataset's named split of its windows with a validation part, checked for leaks.

    Args:
        split: The named split.
        recordings: What the windows were cut from.
        group: Index of each window's recording `(windows,)`.
        start: Begin of what each window shows `(windows,)`, s.
        stop: Its end `(windows,)`, s.
        fraction: Share of each fold's training windows that is set aside for validation.

    Returns:
        Part `(folds, windows)`, see `neurofmx.parts`.

    Raises:
        ValueError: If a fold has no window to train or to validate on.
        LeakError: If held-out windows share time with training windows.
    """
    units = _units(recordings, by=split.by)
    unit = units[group]
    if split.kind == "groups":
        parts = splits.leave_groups_out(unit, folds=split.folds)
    elif split.kind == "given":
        each = units.tolist() if split.by == "subject" and split.folds > 1 else None
        parts = splits.as_given(group, [r.session for r in recordings], test=split.test, held=split.held, unit=each)
    else:
        parts = splits.contiguous_blocks(group, start, stop, folds=split.folds, gap=split.gap)
    if not split.held:
        among = unit if split.validation == "groups" else group
        parts = splits.add_validation(parts, among, start, stop, by=split.validation, gap=split.gap, fraction=fraction)
    splits.check_no_leak(parts, group, start, stop)
    for fold, row in enumerate(parts):
        for part, name in ((TRAIN, "training"), (VALIDATION, "validation")):
            if not (row == part).any():
                raise ValueError(
                    f"fold {fold} of split {split.name} has no {name} window; use shorter windows or another "
                    f"validation_fraction than {fraction}"
                )
    return parts


def _units(recordings: Sequence[Recording], *, by: str) -> np.ndarray:
    """What is left out as a whole: index `(recordings,)` of each recording, or of its subject."""
    names = [recording.name if by == "recording" else recording.subject for recording in recordings]
    order = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names])
