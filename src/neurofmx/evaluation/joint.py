"""Several streams together against each alone, and what is left when one is missing at test time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.gate import interval, paired_difference
from neurofmx.evaluation.learning_curves import gap_said
from neurofmx.models.fitted.linear import LinearConfig
from neurofmx.models.fitted.streams import StreamsDecoder
from neurofmx.parts import TEST
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined


class Told(NamedTuple):
    """Answers of one model to the tested rows.

    Args:
        model: `neurofmx`, `linear` or `chance`.
        learnt: Streams that it read in training; none for chance.
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


def answered(joined: Joined, answer: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """Answers to the rows that are tested, each by the fold that never saw it.

    Args:
        joined: The rows.
        answer: Takes a fold and the indices of its test rows, returns outputs `(rows, task.width)`.

    Returns:
        Outputs `(tested rows, task.width)`, in the order of `tested`.

    Raises:
        ValueError: If a row is tested by more than one fold.
    """
    if ((joined.split == TEST).sum(axis=0) > 1).any():
        raise ValueError(f"{', '.join(joined.streams)}: a row is tested by more than one fold, must be 1")
    outputs = np.full((len(joined), joined.task.width), np.nan)
    for fold in range(joined.folds):
        rows = joined.fold(fold).test
        outputs[rows] = answer(fold, rows)
    return outputs[tested(joined)]


def chance_told(joined: Joined) -> Told:
    """What is most usual among the training rows, which reads nothing."""
    windows = windows_of(joined, next(iter(joined.streams)))
    return Told("chance", (), (), answered(joined, lambda fold, _: chance_outputs(windows, fold))[None])


def linear_told(
    joined: Joined, config: LinearConfig, *, only: Sequence[str], reads: Sequence[Sequence[str]] = ()
) -> list[Told]:
    """The tuned linear model of some streams: what it reads of each alone, side by side.

    Args:
        joined: Rows with all streams.
        config: Its settings.
        only: Streams to learn from.
        reads: Streams to read when it is asked, one answer for each; the others are at their mean then, which is all
            that it can do without them. Default all that it learnt from.

    Returns:
        Its answers to the tested rows, by the folds that never saw them.
    """
    streams = {name: windows_of(joined, name) for name in only}
    folds = [StreamsDecoder.fit(streams, fold, config) for fold in range(joined.folds)]

    def told(read: Sequence[str]) -> Told:
        def answer(fold: int, rows: np.ndarray) -> np.ndarray:
            return folds[fold].predict({name: streams[name].scaled(fold, rows, absent=np.nan) for name in read})

        return Told("linear", tuple(only), tuple(read), answered(joined, answer)[None])

    return [told(read) for read in reads or (only,)]


def windows_of(joined: Joined, stream: str) -> Windows:
    """Windows of one stream in the order of the rows, with the rows' answers and split and the stream's own scaling.

    Args:
        joined: Rows with all streams.
        stream: Name of the stream.
    """
    windows, index = joined.streams[stream], joined.index[stream]
    facts = {name: getattr(windows, name)[index] for name in ("x", "group", "start", "stop", "length", "anchor")}
    return replace(windows, **facts, y=joined.y, block=joined.block, split=joined.split)


def joint_report(
    told: Sequence[Told], y: np.ndarray, block: np.ndarray, task: Task, *, draws: int = 2000, confidence: float = 0.95
) -> list[dict[str, Any]]:
    """The score of each, how far it is from the linear model, and how much better all streams together are than fewer.

    Args:
        told: Answers, all to the same rows.
        y: Truth of these rows `(n, ...)`.
        block: Exchangeable stretch each row lies in `(n,)`.
        task: What was asked.
        draws: Bootstrap draws over blocks and seeds.
        confidence: Share of the draws inside the intervals.

    Returns:
        For each: what it learnt from and read and its score with an interval; for a network `minus_linear`, the
        difference to the linear model that learnt from and read the same, with its verdict; and for those that read
        fewer streams `together_minus_this`, the difference to the same model with all of them.
    """
    how = {"draws": draws, "confidence": confidence}
    most = max(len(each.read) for each in told)
    whole = {each.model: each.outputs for each in told if len(each.read) == most}
    linear = {(each.learnt, each.read): each.outputs for each in told if each.model == "linear"}
    points = []
    for each in told:
        found = interval(each.outputs, y, block, task, **how)
        point = {"model": each.model, "learnt": list(each.learnt), "read": list(each.read)}
        point |= {"score": found.value, "low": found.low, "high": found.high}
        if each.model not in ("linear", "chance") and (each.learnt, each.read) in linear:
            gap = paired_difference(each.outputs, linear[each.learnt, each.read], y, block, task, **how)
            point["minus_linear"] = {"value": gap.value, "low": gap.low, "high": gap.high, "verdict": gap.verdict}
        if len(each.read) < most and each.model in whole:
            gain = paired_difference(whole[each.model], each.outputs, y, block, task, **how)
            point["together_minus_this"] = {"value": gain.value, "low": gain.low, "high": gain.high}
        points.append(point)
    return points


def joint_markdown(points: Sequence[Mapping[str, Any]], *, headline: str) -> str:
    """A table with a row for every point of `joint_report`."""
    names = ("model", "learnt from", "read", headline, "minus linear", "together minus this")
    lines = [f"| {' | '.join(names)} |", "|---|---|---|---:|---:|---:|"]
    for point in points:
        score = f"{point['score']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"
        streams = (", ".join(point[key]) or "-" for key in ("learnt", "read"))
        gaps = (gap_said(point.get(key)) for key in ("minus_linear", "together_minus_this"))
        lines.append(f"| {' | '.join((point['model'], *streams, score, *gaps))} |")
    return "\n".join(lines) + "\n"
