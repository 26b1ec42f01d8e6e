"""Which windows of several streams are one row, and which part of each fold the row is in.

The rows follow the streams' anchors, each of two that are joined the other's nearest; the folds, what all streams of a
row agree on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION
from neurofmx.preprocessing.splits import check_no_leak
from neurofmx.tokenizers.cutting.matching import matched
from neurofmx.tokenizers.cutting.origin import Origin, same_recording
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import ABSENT, Joined

_UNSET = -9  # part of a row that no stream has spoken for yet
BORDER = 0.1  # share of a fold's tested rows that two streams may put into different parts, at the borders of blocks


def join(streams: Mapping[str, Windows], *, tolerance: float) -> Joined:
    """Join windows of the same recordings by the time of their anchors.

    Args:
        streams: Windows of each stream; the first one's anchors are the rows', and windows of the others that fit to
            none of them make rows of their own.
        tolerance: Greatest distance of two anchors that are the same moment, s, at least 0.

    Returns:
        The rows, in order of recording and time. A row that two streams put into different parts of a fold, which
        happens at the borders of blocks, is left out of that fold, and so is a training row in which one stream reads
        what another stream reads in a held-out row.

    Raises:
        ValueError: If the streams were divided differently, ask different tasks, share no recording, do not say where
            they come from or have something beside them, or two recordings share a name and no file.
    """
    if tolerance < 0 or not streams:
        raise ValueError(f"join needs one stream or more and a tolerance of 0 s or more, got {tolerance:g} s")
    origins, groups = _recordings(streams)
    _check_alike(streams)
    index, anchor, group = _rows(streams, groups, len(origins), tolerance)
    split = _split(streams, index, group)
    return Joined(dict(streams), index, anchor, group, origins, split)


def together(streams: Mapping[str, Windows], *, tolerance: float) -> list[Joined]:
    """Join every stream with those of the same recordings; streams that share none stay sets of their own.

    Args:
        streams: Windows of each stream.
        tolerance: As of `join`.

    Returns:
        Sets of joined windows, in the order of their first streams.
    """
    groups: list[dict[str, Windows]] = []
    for name, windows in streams.items():
        mine = {name: windows}
        alike = [group for group in groups if any(_share_a_recording(windows, other) for other in group.values())]
        for group in alike:
            groups.remove(group)
        groups.append({key: value for group in [*alike, mine] for key, value in group.items()})
    order = list(streams)
    return [join(group, tolerance=tolerance) for group in sorted(groups, key=lambda g: order.index(next(iter(g))))]


def _share_a_recording(one: Windows, other: Windows) -> bool:
    """Whether two streams have a recording in common, of which both name the files."""
    return any(a.files and b.files and same_recording(a, b) for a in one.origins for b in other.origins)


def _recordings(streams: Mapping[str, Windows]) -> tuple[tuple[Origin, ...], dict[str, np.ndarray]]:
    """All recordings, and for each stream which of them each window is of."""
    origins: list[Origin] = []
    groups = {}
    for name, windows in streams.items():
        if not windows.origins:
            raise ValueError(
                f"{name}: its windows do not say which recordings they are of; cut them again "
                f"(`dvc repro tokenize@{windows.dataset}`)"
            )
        places = []
        for origin in windows.origins:
            place = next((i for i, other in enumerate(origins) if same_recording(origin, other)), len(origins))
            if place == len(origins):
                _check_name(origin, origins, name)
                origins.append(origin)
            places.append(place)
        groups[name] = np.array(places)[windows.group]
    if len(streams) > 1 and not _shared(groups):
        raise ValueError(
            f"{', '.join(streams)}: no recording has more than one of these streams; nothing can be joined"
        )
    return tuple(origins), groups


def _check_name(origin: Origin, others: list[Origin], stream: str) -> None:
    """Refuse a recording that has another one's name and none of its files."""
    if any(other.recording == origin.recording for other in others):
        raise ValueError(
            f"{stream}: recording {origin.recording} has the name of another stream's recording and none of its files, "
            "so they are not one session; join streams of one dataset with the same options"
        )


def _shared(groups: Mapping[str, np.ndarray]) -> bool:
    """Whether a recording has windows of more than one stream."""
    seen = np.concatenate([np.unique(group) for group in groups.values()])
    return len(np.unique(seen)) < len(seen)


def _check_alike(streams: Mapping[str, Windows]) -> None:
    """Refuse streams that were divided or asked differently."""
    (first, one), *others = streams.items()
    for name, windows in streams.items():
        if windows.beside is not None:
            raise ValueError(
                f"{name}: {windows.beside.dataset} stands beside its windows; cut them without it and give it a stream "
                "of its own"
            )
    for name, other in others:
        if (one.split_name, one.folds) != (other.split_name, other.folds):
            raise ValueError(
                f"{first} is divided by {one.split_name} into {one.folds} folds, {name} by {other.split_name} into "
                f"{other.folds}: windows that are tested together must be divided alike; give both datasets one split"
            )
        if one.task != other.task:
            raise ValueError(
                f"{first} asks for {one.task.target!r}, {name} for {other.task.target!r}; ask both the same"
            )


def _rows(
    streams: Mapping[str, Windows], groups: Mapping[str, np.ndarray], recordings: int, tolerance: float
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Window of each stream in each row, and anchor and recording of the rows."""
    anchor = [np.zeros(0) for _ in range(recordings)]
    index: list[dict[str, np.ndarray]] = [{} for _ in range(recordings)]
    for name, windows in streams.items():
        for r in range(recordings):
            members = np.flatnonzero(groups[name] == r)
            members = members[np.argsort(windows.anchor[members], kind="stable")]
            row, new = matched(anchor[r], windows.anchor[members], tolerance)
            anchor[r] = np.concatenate([anchor[r], windows.anchor[members[new]]])
            index[r] = {other: np.pad(i, (0, int(new.sum())), constant_values=ABSENT) for other, i in index[r].items()}
            row[new] = len(anchor[r]) - int(new.sum()) + np.arange(int(new.sum()))
            index[r][name] = np.full(len(anchor[r]), ABSENT)
            index[r][name][row] = members
            order = np.argsort(anchor[r], kind="stable")
            anchor[r], index[r] = anchor[r][order], {other: i[order] for other, i in index[r].items()}
    group = np.repeat(np.arange(recordings), [len(each) for each in anchor])
    return {name: np.concatenate([each[name] for each in index]) for name in streams}, np.concatenate(anchor), group


def _split(streams: Mapping[str, Windows], index: Mapping[str, np.ndarray], group: np.ndarray) -> np.ndarray:
    """Part of each row in each fold, the same for all its streams."""
    first = next(iter(streams.values()))
    split, clash = np.full((first.folds, len(group)), _UNSET, np.int8), np.zeros((first.folds, len(group)), bool)
    low, high = np.full(len(group), np.inf), np.full(len(group), -np.inf)
    for name, windows in streams.items():
        here = index[name] != ABSENT
        chosen = index[name][here]
        clash[:, here] |= (split[:, here] != _UNSET) & (split[:, here] != windows.split[:, chosen])
        _refuse_unlike(split[:, here], windows.split[:, chosen], name, windows)
        split[:, here] = windows.split[:, chosen]
        low[here], high[here] = (
            np.minimum(low[here], windows.start[chosen]),
            np.maximum(high[here], windows.stop[chosen]),
        )
    split[clash] = GAP
    for row in split:
        for held, others in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
            reaching = _reaching(row == held, np.isin(row, others), group, low, high)
            row[reaching] = GAP
    check_no_leak(split, group, low, high)
    for fold, row in enumerate(split):
        if len(streams) > 1 and not {int(TRAIN), int(VALIDATION), int(TEST)} <= set(row.tolist()):
            raise ValueError(
                f"{', '.join(streams)}: fold {fold} of {first.split_name} has no row to train on, to validate on or to "
                "test on once windows that reach into each other's test are left out; use shorter windows"
            )
    return split


def _refuse_unlike(known: np.ndarray, given: np.ndarray, name: str, windows: Windows) -> None:
    """Refuse a stream whose folds test other stretches of time than those of the streams before it."""
    both = known != _UNSET
    unlike = both & ((known == TEST) != (given == TEST))
    for fold, row in enumerate(unlike):
        tested = int((both[fold] & ((known[fold] == TEST) | (given[fold] == TEST))).sum())
        if row.sum() > BORDER * tested:
            raise ValueError(
                f"{name}: fold {fold} of {windows.split_name} tests other moments than the streams before it: "
                f"{int(row.sum())} of {tested} rows are tested in one stream and not in the other; cut both from the "
                "same recordings, with strides and lengths that give windows over the same time"
            )


def _reaching(held: np.ndarray, others: np.ndarray, group: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which of the other rows share time with a held one of their recording: indices."""
    found = []
    for r in np.unique(group[held]):
        a, b = np.flatnonzero(others & (group == r)), np.flatnonzero(held & (group == r))
        b = b[np.argsort(low[b], kind="stable")]
        last = np.searchsorted(low[b], high[a] - 1e-9) - 1
        reach = np.maximum.accumulate(high[b])
        found.append(a[(last >= 0) & (reach[np.maximum(last, 0)] > low[a] + 1e-9)])
    return np.concatenate(found) if found else np.zeros(0, int)
