"""Which windows train, which validate, which test: named splits that do not leak.

A split is an `int8` array `(folds, windows)` of `TRAIN`, `VALIDATION`, `TEST` and `GAP`. Every window is tested in
exactly one fold. Recordings (runs, sessions, subjects) stay whole where a dataset has several; a single recording
is cut into contiguous blocks, and windows closer than the gap to a test or validation block are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION


class LeakError(ValueError):
    """A test or validation window shares recorded time with a training window."""


def leave_groups_out(group: np.ndarray, *, folds: int) -> np.ndarray:
    """Test each fold on recordings that training never saw.

    Args:
        group: Recording index of each window, shape `(windows,)`.
        folds: Number of folds; the recordings are dealt to them in order, as evenly as possible.

    Returns:
        Split of shape `(folds, windows)` with `TRAIN` and `TEST`.

    Raises:
        ValueError: If there are fewer recordings than folds.

    Example:
        >>> leave_groups_out(np.array([0, 0, 1, 2]), folds=3).tolist()
        [[2, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    """
    names = np.unique(group)
    if folds < 2 or len(names) < folds:
        raise ValueError(
            f"folds={folds}: leaving recordings out needs 2 to {len(names)} folds, as there are "
            f"{len(names)} recordings with windows. Lower the folds or add recordings."
        )
    split = np.full((folds, len(group)), TRAIN, np.int8)
    for fold, held_out in enumerate(np.array_split(names, folds)):
        split[fold, np.isin(group, held_out)] = TEST
    return split


def as_given(
    group: np.ndarray,
    sessions: Sequence[str],
    *,
    test: Collection[str],
    held: Collection[str],
    unit: Sequence[int] | None = None,
) -> np.ndarray:
    """Take the division that a source publishes, so that a score can be held against others' scores.

    Args:
        group: Recording index of each window, shape `(windows,)`.
        sessions: Session of each recording.
        test: Sessions to test on.
        held: Sessions to validate on; may be empty.
        unit: Subject of each recording, for a fold with each subject's own sessions; none takes all in one fold.

    Returns:
        Split of shape `(folds, windows)` with `TRAIN`, `TEST` and, where sessions are held, `VALIDATION`; the windows
        of other subjects are `GAP`.

    Raises:
        ValueError: If a session is named that no recording has, or a subject lacks one to train or test on.

    Example:
        >>> as_given(np.array([0, 0, 1, 2]), ("train", "valid", "test"), test=["test"], held=["valid"]).tolist()
        [[0, 0, 1, 2]]
    """
    absent = sorted({*test, *held} - set(sessions))
    if absent:
        raise ValueError(
            f"the split names the sessions {', '.join(absent)}, there are {', '.join(sorted(set(sessions)))}"
        )
    part = np.array([TEST if name in test else VALIDATION if name in held else TRAIN for name in sessions], np.int8)
    if unit is None:
        return part[group][None]
    owner = np.asarray(unit)
    folds = np.stack([np.where(owner == one, part, GAP)[group] for one in np.unique(owner)]).astype(np.int8)
    if lacking := [fold for fold, row in enumerate(folds) if not {int(TRAIN), int(TEST)} <= set(row.tolist())]:
        raise ValueError(f"folds {lacking}: every subject needs sessions to train and to test on; leave the others out")
    return folds


def contiguous_blocks(group: np.ndarray, start: np.ndarray, stop: np.ndarray, *, folds: int, gap: float) -> np.ndarray:
    """Test each fold on one stretch of time of every recording, at a distance from training.

    Args:
        group: Recording index of each window, shape `(windows,)`, windows in order of time.
        start: First instant each window reads, seconds, shape `(windows,)`.
        stop: End of what each window reads, seconds, shape `(windows,)`.
        folds: Number of blocks each recording is cut into.
        gap: Seconds to keep between a test window and a training window.

    Returns:
        Split of shape `(folds, windows)` with `TRAIN`, `TEST` and `GAP`.

    Raises:
        ValueError: If a recording has fewer windows than folds.
    """
    split = np.full((folds, len(group)), TRAIN, np.int8)
    for name in np.unique(group):
        members = np.flatnonzero(group == name)
        if folds < 2 or len(members) < folds:
            raise ValueError(f"folds={folds}: recording {name} has {len(members)} windows; use 2 to that many folds")
        for fold, block in enumerate(np.array_split(members, folds)):
            split[fold, block] = TEST
            _widen(split[fold], block, members, start, stop, gap)
    return split


def add_validation(
    split: np.ndarray,
    group: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    *,
    by: str,
    gap: float,
    fraction: float,
) -> np.ndarray:
    """Set part of each fold's training windows aside, to stop training and to choose settings.

    Args:
        split: Split with `TRAIN` and `TEST`, shape `(folds, windows)`.
        group: Recording index of each window, shape `(windows,)`.
        start: First instant each window reads, seconds, shape `(windows,)`.
        stop: End of what each window reads, seconds, shape `(windows,)`.
        by: `groups` takes the recordings that follow the tested ones (at least one); `tail` takes the end of each
            uninterrupted stretch of training windows.
        gap: Seconds to keep between a validation window and a training window (`tail` only).
        fraction: Share of the training windows to set aside, between 0 and 1.

    Returns:
        A new split that also holds `VALIDATION`.

    Raises:
        ValueError: If `by` is unknown or `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction}: must be above 0 and below 1")
    if by not in ("groups", "tail"):
        raise ValueError(f"by={by!r}: must be 'groups' or 'tail'")
    split = split.copy()
    for row in split:
        if by == "groups":
            _validation_groups(row, group, fraction)
        else:
            _validation_tails(row, group, start, stop, gap, fraction)
    return split


def check_no_leak(split: np.ndarray, group: np.ndarray, start: np.ndarray, stop: np.ndarray) -> None:
    """Refuse a split in which held-out windows share recorded time with training windows.

    Args:
        split: Split of shape `(folds, windows)`.
        group: Recording index of each window, shape `(windows,)`.
        start: First instant each window reads, seconds, shape `(windows,)`.
        stop: End of what each window reads, seconds, shape `(windows,)`.

    Raises:
        LeakError: Naming fold, recording and the two windows that overlap.
    """
    for fold, row in enumerate(split):
        for held_out, against in ((TEST, TRAIN), (TEST, VALIDATION), (VALIDATION, TRAIN)):
            for name in np.unique(group):
                a = np.flatnonzero((group == name) & (row == held_out))
                b = np.flatnonzero((group == name) & (row == against))
                pair = _first_overlap(start, stop, a, b)
                if pair:
                    i, j = pair
                    raise LeakError(
                        f"fold {fold}, recording {name}: window {i} ({start[i]:.3f}-{stop[i]:.3f} s) is held out but "
                        f"shares time with window {j} ({start[j]:.3f}-{stop[j]:.3f} s). Widen the split's gap to at "
                        "least the length of a window."
                    )


def _first_overlap(start: np.ndarray, stop: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[int, int] | None:
    """A pair (i in a, j in b) whose intervals overlap, or None; windows of one recording share one length."""
    if not len(a) or not len(b):
        return None
    b = b[np.argsort(start[b], kind="stable")]
    # the last b that starts before a ends is the one that reaches furthest, as lengths are equal
    last = np.searchsorted(start[b], stop[a] - 1e-9) - 1
    reach = np.maximum.accumulate(stop[b])
    hit = np.flatnonzero((last >= 0) & (reach[np.maximum(last, 0)] > start[a] + 1e-9))
    if not len(hit):
        return None
    i = int(hit[0])
    j = int(np.argmax(stop[b][: last[i] + 1]))
    return int(a[i]), int(b[j])


def _widen(
    row: np.ndarray, block: np.ndarray, members: np.ndarray, start: np.ndarray, stop: np.ndarray, gap: float
) -> None:
    """Mark the training windows of `members` that come nearer than `gap` to `block`."""
    low, high = start[block].min() - gap, stop[block].max() + gap
    near = members[(stop[members] > low) & (start[members] < high)]
    row[near[row[near] == TRAIN]] = GAP


def _validation_groups(row: np.ndarray, group: np.ndarray, fraction: float) -> None:
    """The training recordings that follow the tested ones, in a circle."""
    names = np.unique(group)
    training = [n for n in names if np.all(row[group == n] == TRAIN)]
    tested = names[[bool(np.any(row[group == n] == TEST)) for n in names]]
    after = sorted(training, key=lambda n: (n <= tested.max(), n))
    for name in after[: max(1, round(fraction * len(training)))]:
        row[group == name] = VALIDATION


def _validation_tails(
    row: np.ndarray, group: np.ndarray, start: np.ndarray, stop: np.ndarray, gap: float, fraction: float
) -> None:
    """The last windows of each stretch of training windows, and a gap before them."""
    for name in np.unique(group):
        members = np.flatnonzero(group == name)
        training = row[members] == TRAIN
        edges = np.flatnonzero(np.diff(np.concatenate([[0], training.astype(np.int8), [0]])))
        for first, last in edges.reshape(-1, 2):
            stretch = members[first:last]
            size = int(len(stretch) * fraction)
            if size:
                row[stretch[-size:]] = VALIDATION
                _widen(row, stretch[-size:], members, start, stop, gap)
