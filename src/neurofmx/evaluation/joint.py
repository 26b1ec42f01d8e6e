"""Several streams together against each alone, and what is left when one is missing at test time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from neurofmx.evaluation.answers import out_of_fold
from neurofmx.evaluation.gate import interval, paired_difference
from neurofmx.models.linear import LinearConfig, LinearDecoder
from neurofmx.parts import TEST
from neurofmx.task import Task
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.scaling import learn_scaling
from neurofmx.tokenizers.windows import Windows


class Told(NamedTuple):
    """Answers of one model to the tested rows.

    Args:
        model: `neurofmx` or `linear`.
        learnt: Streams that it read in training.
        read: Streams that it read when it was asked.
        outputs: Answers `(seeds, n, width)`.
    """

    model: str
    learnt: tuple[str, ...]
    read: tuple[str, ...]
    outputs: np.ndarray


def tested(joined: Joined) -> np.ndarray:
    """Indices of the rows that a fold tests, in order; rows at the border of two folds are tested by none."""
    return np.flatnonzero((joined.split == TEST).any(axis=0))


def linear_told(joined: Joined, config: LinearConfig, *, only: Sequence[str]) -> Told:
    """The tuned linear model on all samples of some streams side by side.

    Args:
        joined: Rows with all streams.
        config: Its settings; the features are all samples.
        only: Streams to read.

    Returns:
        Its answers to the tested rows, by the folds that never saw them.
    """
    windows = side_by_side(joined, only=only)
    flat = config.model_copy(update={"features": "flat"})
    folds = [LinearDecoder.fit(windows, fold, flat) for fold in range(windows.folds)]
    outputs = out_of_fold(windows, lambda fold: folds[fold].predict(windows.scaled(fold, windows.fold(fold).test)))
    return Told("linear", tuple(only), tuple(only), outputs[None])


def side_by_side(joined: Joined, *, only: Sequence[str]) -> Windows:
    """Windows of one long sample each: all samples of some streams, for what reads numbers without their time.

    Args:
        joined: Rows with all streams.
        only: Streams to read.

    Returns:
        Windows `(rows a fold tests or learns from, 1, numbers)` with the rows' split and a scaling of their own.
    """
    used = tested(joined)  # rows that no fold tests are left out of learning as well: a window is tested once
    first = joined.streams[only[0]]
    parts = [joined.streams[name].x[joined.index[name][used]].reshape(len(used), -1) for name in only]
    x = np.concatenate(parts, axis=1)[:, None].astype(np.float32)
    split, group = joined.split[:, used], joined.group[used]
    length, present = np.ones(len(used), int), np.ones((len(joined.origins), x.shape[2]), bool)
    mean, std = learn_scaling(x, split, group, length, present, own=False, scale="channel", flat="keep")
    reads = {name: joined.streams[name] for name in only}
    return replace(
        first,
        x=x,
        y=joined.y[used],
        group=group,
        block=joined.block[used],
        start=np.min([w.start[joined.index[n][used]] for n, w in reads.items()], axis=0),
        stop=np.max([w.stop[joined.index[n][used]] for n, w in reads.items()], axis=0),
        split=split,
        mean=mean,
        std=std,
        channels=tuple(f"number-{i}" for i in range(x.shape[2])),
        patch=1,
        montage="same",
        present=present,
        length=length,
        positions=np.full((*present.shape, 3), np.nan),
        grid=(),
        anchor=joined.anchor[used],
        origins=joined.origins,
    )


def joint_report(
    told: Sequence[Told], y: np.ndarray, block: np.ndarray, task: Task, *, draws: int = 2000, confidence: float = 0.95
) -> list[dict[str, Any]]:
    """The score of each, and how much better all streams together are than each alone.

    Args:
        told: Answers, all to the same rows.
        y: Truth of these rows `(n, ...)`.
        block: Exchangeable stretch each row lies in `(n,)`.
        task: What was asked.
        draws: Bootstrap draws over blocks and seeds.
        confidence: Share of the draws inside the intervals.

    Returns:
        For each: what it learnt from and read, its score with an interval, and for those that read one stream alone
        `together_minus_this`, the difference to the same model with all streams.
    """
    how = {"draws": draws, "confidence": confidence}
    most = max(len(each.read) for each in told)
    whole = {each.model: each.outputs for each in told if len(each.read) == most}
    points = []
    for each in told:
        found = interval(each.outputs, y, block, task, **how)
        point = {"model": each.model, "learnt": list(each.learnt), "read": list(each.read)}
        point |= {"score": found.value, "low": found.low, "high": found.high}
        if len(each.read) < most and each.model in whole:
            gain = paired_difference(whole[each.model], each.outputs, y, block, task, **how)
            point["together_minus_this"] = {"value": gain.value, "low": gain.low, "high": gain.high}
        points.append(point)
    return points


def joint_markdown(points: Sequence[Mapping[str, Any]], *, headline: str) -> str:
    """A table with a row for every point of `joint_report`."""
    lines = [f"| model | learnt from | read | {headline} | together minus this |", "|---|---|---|---:|---:|"]
    for point in points:
        gain = point.get("together_minus_this")
        said = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if gain else "-"
        score = f"{point['score']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"
        streams = (", ".join(point[key]) for key in ("learnt", "read"))
        lines.append(f"| {point['model']} | {' | '.join(streams)} | {score} | {said} |")
    return "\n".join(lines) + "\n"
