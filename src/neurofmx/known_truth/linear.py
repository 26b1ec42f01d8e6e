"""The linear model beside the network: ridge regression of what is asked on what is shown, session by session.

    of channels or a modality, a bin from the shown channels of that bin and its neighbours
    of a stretch of time, all of its bins from those before and behind it
    of a later bin, and of the heading, from the last bins: as many as suit the validation rows

The penalty is tuned on validation rows, and the model is fitted again on these and the training rows, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from neurofmx.benchmark.probe import fit_probe
from neurofmx.known_truth.material import Part
from neurofmx.known_truth.questions import MIDDLE, STRETCH, Hidden, shown
from neurofmx.recordings.task import Task

NEIGHBOURS = 3  # bins on either side
SURROUNDINGS = 6  # bins on either side of a hidden stretch
PASTS = (2, 5, 10, 20)  # last bins that may be read
STRENGTHS = (1.0, 10.0, 100.0, 1.0e3, 1.0e4, 1.0e5)


class Said(NamedTuple):
    """Answers to the rows of each part.

    Args:
        validation: Before the validation rows were learnt from (n, ...).
        test: Of the tested rows (n, ...).
        error: Squared error on the validation rows, in the target's variance.
    """

    validation: np.ndarray
    test: np.ndarray
    error: float


def ridge(features: Sequence[np.ndarray], truth: Sequence[np.ndarray], session: Sequence[np.ndarray]) -> Said:
    """Ridge regression for each session.

    Args:
        features: Of training, validation and test rows (n, features).
        truth: What is asked of them (n, outputs); that of the test rows is not looked at.
        session: Whose rows they are (n,).

    Raises:
        ValueError: If a session has no validation row.
    """
    task = Task("regression", "bins", tuple(map(str, range(truth[0].shape[1]))))
    validation, test, error = np.zeros_like(truth[1]), np.zeros_like(truth[2]), 0.0
    for number in np.unique(session[2]):
        mine = [np.flatnonzero(part == number) for part in session]
        rows = [part[index] for part, index in zip(features, mine, strict=True)]
        learnt = [part[index] for part, index in zip(truth[:2], mine[:2], strict=True)]
        probe = fit_probe(rows[0], learnt[0], rows[1], learnt[1], task, strengths=STRENGTHS)
        validation[mine[1]], test[mine[2]] = probe.tuned(rows[1]), probe.readout(rows[2])
        error += probe.error * len(rows[1])
    return Said(validation, test, error)


def of_channels(parts: Sequence[Part], hidden: Hidden, asked: Mapping[str, np.ndarray]) -> dict[str, Said]:
    """What hidden channels showed in the middle of a window.

    Args:
        parts: Training, validation and test rows.
        hidden: What is not shown.
        asked: By stream, which channels are asked for (C,), bool.

    Returns:
        By stream, answers (n, MIDDLE, asked channels).
    """
    near = [_neighbours(beside(part, hidden)) for part in parts]
    session = [np.repeat(part.session, len(MIDDLE)) for part in parts]
    widths = {stream: int(channels.sum()) for stream, channels in asked.items()}
    truth = [
        np.concatenate([part.x[stream][:, MIDDLE][..., channels] for stream, channels in asked.items()], -1)
        for part in parts
    ]
    said = ridge(near, [part.reshape(-1, part.shape[-1]) for part in truth], session)
    return _apart(said, widths, (len(MIDDLE),))


def of_stretch(parts: Sequence[Part]) -> dict[str, Said]:
    """What all streams showed in the hidden stretch, by stream (n, STRETCH, C)."""
    before = np.arange(STRETCH[0] - SURROUNDINGS, STRETCH[0])
    behind = np.arange(STRETCH[-1] + 1, STRETCH[-1] + 1 + SURROUNDINGS)
    around = np.concatenate([before, behind])
    widths = {stream: x.shape[2] for stream, x in parts[0].x.items()}
    features = [_flat(part, around) for part in parts]
    truth = [np.concatenate([x[:, STRETCH] for x in part.x.values()], -1) for part in parts]
    said = ridge(features, [_rows(part) for part in truth], [part.session for part in parts])
    return _apart(said, widths, (len(STRETCH),))


def of_later(parts: Sequence[Part], last: int, later: int) -> dict[str, Said]:
    """What all streams will show in one bin, from those up to an earlier one, by stream (n, 1, C)."""
    widths = {stream: x.shape[2] for stream, x in parts[0].x.items()}
    truth = [np.concatenate([x[:, later] for x in part.x.values()], -1) for part in parts]
    said = best(lambda past: [_flat(part, _past(last, past)) for part in parts], truth, parts, longest=last + 1)
    return _apart(said, widths, (1,))


def of_heading(parts: Sequence[Part], read: Sequence[str]) -> np.ndarray:
    """Cosine and sine (n, 2) of the heading at the end of the tested rows, from some streams."""
    truth = [np.stack([np.cos(part.heading), np.sin(part.heading)], -1) for part in parts]
    width = parts[0].x[read[0]].shape[1]

    def features(past: int) -> list[np.ndarray]:
        return [_flat(part, _past(width - 1, past), read) for part in parts]

    return best(features, truth, parts, longest=width).test


def best(
    features: Callable[[int], Sequence[np.ndarray]],
    truth: Sequence[np.ndarray],
    parts: Sequence[Part],
    *,
    longest: int,
) -> Said:
    """The model that reads as many last bins as suit the validation rows."""
    session = [part.session for part in parts]
    return min(
        (ridge(features(past), truth, session) for past in PASTS if past <= longest), key=lambda said: said.error
    )


def beside(part: Part, hidden: Hidden) -> np.ndarray:
    """All channels that are shown, side by side (n, TIME, C)."""
    return np.concatenate(list(shown(part.x, hidden).values()), -1)


def _neighbours(x: np.ndarray) -> np.ndarray:
    """The bins around each of the middle (n MIDDLE, neighbours C)."""
    near = np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    return x[:, MIDDLE[:, None] + near].reshape(len(x) * len(MIDDLE), -1)


def _past(last: int, bins: int) -> np.ndarray:
    """The last bins up to one."""
    return np.arange(last + 1 - bins, last + 1)


def _flat(part: Part, bins: np.ndarray, read: Sequence[str] | None = None) -> np.ndarray:
    """Some bins of all channels of some streams as features (n, features)."""
    return np.concatenate([_rows(part.x[stream][:, bins]) for stream in read or part.x], 1)


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def _apart(said: Said, widths: Mapping[str, int], bins: tuple[int]) -> dict[str, Said]:
    """Answers to all streams, stream by stream: channels stand side by side in every bin."""
    edges = np.cumsum([0, *widths.values()])
    total = int(edges[-1])

    def part(values: np.ndarray, number: int) -> np.ndarray:
        return values.reshape(-1, *bins, total)[..., edges[number] : edges[number + 1]]

    return {
        stream: Said(part(said.validation, number), part(said.test, number), said.error)
        for number, stream in enumerate(widths)
    }
