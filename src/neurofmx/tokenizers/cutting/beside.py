"""What was recorded beside windows: of another dataset's windows the one that belongs to each, by recording and time.

Two windows belong together if their anchors are each other's nearest within a tolerance, in one recording. A window
that has nothing beside it is refused or dropped. Answers and split stay those of the windows; what is beside them lends
its samples, and is scaled by what stands beside the training windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neurofmx.recordings.lazy import gather
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.matching import matched
from neurofmx.tokenizers.cutting.origin import Origin, same_recording
from neurofmx.tokenizers.cutting.pieces import Pieces
from neurofmx.tokenizers.cutting.scaling import UnknownChannels, learn_scaling, one_scale
from neurofmx.tokenizers.cutting.windows import Windows

_NOBODY = -1  # recording that the other dataset lacks, window that has nothing beside it


class Other(NamedTuple):
    """Another dataset that was recorded at the same time.

    Args:
        windows: Its windows; their samples may lie in an open file.
        tolerance: Greatest distance of two anchors that are the same moment, s, at least 0.
    """

    windows: Windows
    tolerance: float


class Found(NamedTuple):
    """What stands beside windows.

    Args:
        windows: All windows of the other dataset.
        row: Which of them stands beside each `(windows,)`.
        recording: Index of each recording in the other dataset `(recordings,)`, below 0 where it lacks it.
    """

    windows: Windows
    row: np.ndarray
    recording: np.ndarray

    def reach(self, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First instant and end, s, of what is read of each window, also beside it, for windows from start to stop."""
        return np.minimum(start, self.windows.start[self.row]), np.maximum(stop, self.windows.stop[self.row])


def partners(
    pieces: Sequence[Pieces], origins: Sequence[Origin], other: Other, *, incomplete: str, own: bool, dataset: str
) -> tuple[list[Pieces], Found]:
    """Find what stands beside the windows of all recordings.

    Args:
        pieces: Windows of each recording.
        origins: Where each recording comes from.
        other: What is to stand beside them.
        incomplete: Windows that have nothing beside them: `error`, or `drop` them.
        own: Whether each recording has its own channels, so that none may be left without a window.
        dataset: Name of the dataset.

    Returns:
        The windows that have something beside them, and what that is.

    Raises:
        ValueError: If nothing of the other dataset fits, a window has nothing beside it and `incomplete` is `error`,
            two that belong together do not begin at the same moment, or a recording with its own channels is left
            without a window.
    """
    windows = other.windows
    if windows.tokens or windows.beside is not None:
        what = "is a text" if windows.tokens else "has something beside it itself"
        raise ValueError(f"{dataset}: {windows.dataset} {what}; it cannot stand beside other windows")
    recording = _recordings(origins, windows, dataset)
    chosen = [
        _beside(piece.anchor, np.flatnonzero(windows.group == place), windows.anchor, other.tolerance)
        for piece, place in zip(pieces, recording, strict=True)
    ]
    if incomplete == "error":
        _refuse_lonely(pieces, origins, chosen, other, dataset)
    if own or windows.montage == "own":
        _refuse_bare(origins, chosen, dataset)
    kept = [piece.kept(mine != _NOBODY) for piece, mine in zip(pieces, chosen, strict=True)]
    index = np.concatenate([mine[mine != _NOBODY] for mine in chosen])
    if not len(index):
        raise ValueError(f"{dataset}: no window has one of {windows.dataset} beside it; cut both over the same time")
    apart = np.abs(np.concatenate([piece.start for piece in kept]) - windows.start[index]).max()
    if apart > other.tolerance + 1e-9:
        raise ValueError(
            f"{dataset}: its windows and those of {windows.dataset} begin up to {apart:.3f} s apart, more than "
            f"multimodal.tolerance={other.tolerance:g}; give both the same tokenize.start"
        )
    return kept, Found(windows, index, recording)


def lent(
    found: Found,
    *,
    y: np.ndarray,
    group: np.ndarray,
    block: np.ndarray,
    split: np.ndarray,
    task: Task,
    split_name: str,
) -> Windows:
    """The other dataset's windows in the order of those that they stand beside.

    Args:
        found: Which of them stands beside which.
        y: Answers of the windows.
        group: Recording of each `(windows,)`.
        block: Stretch of the recording that each lies in `(windows,)`.
        split: Part of each in each fold `(folds, windows)`.
        task: What is asked of them.
        split_name: Name of their split.

    Returns:
        Windows with these answers and this split, and samples of their own, scaled by what stands beside the training
        windows. A channel that is constant there keeps its unit.

    Raises:
        ValueError: If a channel is beside held-out windows and beside no training window.
    """
    windows, place = found.windows, np.maximum(found.recording, 0)
    rows = {name: getattr(windows, name)[found.row] for name in ("start", "stop", "length", "anchor")}
    x, present = gather(windows.x, found.row), windows.present[place]
    scale = "global" if one_scale(windows.mean, windows.std, windows.present) else "channel"
    own = windows.montage == "own"
    try:
        moments = learn_scaling(x, split, group, rows["length"], present, own=own, scale=scale, flat="keep")
    except UnknownChannels as unknown:
        names = [windows.channels[column] for column in unknown.columns[:5]]
        raise ValueError(
            f"{windows.dataset}: channels {names} stand beside no training window of fold {unknown.fold}, as no "
            "recording that it trains on has them; leave them out in preprocess, or choose another split"
        ) from None
    return replace(
        windows,
        x=x,
        y=y,
        group=group,
        block=block,
        split=split,
        mean=moments.mean,
        std=moments.std,
        task=task,
        split_name=split_name,
        present=present,
        positions=windows.positions[place],
        origins=tuple(windows.origins[each] for each in place),
        **rows,
    )


def _recordings(origins: Sequence[Origin], windows: Windows, dataset: str) -> np.ndarray:
    """Index of each recording among those of the other windows, below 0 where they lack it."""
    if not windows.origins:
        raise ValueError(
            f"{windows.dataset}: its windows do not say which recordings they are of; cut them again "
            f"(`dvc repro tokenize@{windows.dataset}`)"
        )
    places = []
    for origin in origins:
        place = next((i for i, each in enumerate(windows.origins) if same_recording(origin, each)), _NOBODY)
        if place == _NOBODY and any(each.recording == origin.recording for each in windows.origins):
            raise ValueError(
                f"{dataset}: recording {origin.recording} has the name of a recording of {windows.dataset} and none of "
                "its files, so they are not one session; read both from the same files"
            )
        places.append(place)
    if max(places, default=_NOBODY) == _NOBODY:
        raise ValueError(f"{dataset}: has no recording in common with {windows.dataset}, which is to stand beside it")
    return np.array(places)


def _beside(anchor: np.ndarray, members: np.ndarray, others: np.ndarray, tolerance: float) -> np.ndarray:
    """For each anchor of a recording the other dataset's window beside it, below 0 where there is none."""
    chosen = np.full(len(anchor), _NOBODY)
    order, members = np.argsort(anchor, kind="stable"), members[np.argsort(others[members], kind="stable")]
    row, alone = matched(anchor[order], others[members], tolerance)
    chosen[order[row[~alone]]] = members[~alone]
    return chosen


def _refuse_lonely(
    pieces: Sequence[Pieces], origins: Sequence[Origin], chosen: Sequence[np.ndarray], other: Other, dataset: str
) -> None:
    """Refuse windows that have nothing beside them, naming the first."""
    lonely = [np.flatnonzero(mine == _NOBODY) for mine in chosen]
    if lost := sum(map(len, lonely)):
        first = next(i for i, each in enumerate(lonely) if len(each))
        raise ValueError(
            f"{dataset}: {lost} of {sum(map(len, chosen))} windows have none of {other.windows.dataset} beside them "
            f"within multimodal.tolerance={other.tolerance:g} s, the first at "
            f"{pieces[first].anchor[lonely[first][0]]:.3f} s of recording {origins[first].recording}; cut both with "
            f"the same anchors, or leave such windows out with datasets.{dataset}.tokenize.incomplete=drop"
        )


def _refuse_bare(origins: Sequence[Origin], chosen: Sequence[np.ndarray], dataset: str) -> None:
    """Refuse recordings without a window where each has channels of its own, of which nothing would be known."""
    if bare := [origin.recording for origin, mine in zip(origins, chosen, strict=True) if (mine == _NOBODY).all()]:
        raise ValueError(
            f"{dataset}: no window of recording {', '.join(bare)} has anything beside it, and with channels of their "
            "own all recordings need some; leave those out of its options"
        )
