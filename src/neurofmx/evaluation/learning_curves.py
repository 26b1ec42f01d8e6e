"""Learning curves: the score of every way to begin against the share of the windows it learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurofmx.evaluation.canvas import COLOURS, GREY, WIDTH, canvas
from neurofmx.evaluation.gate import interval, paired_difference
from neurofmx.foundation.starts import SCRATCH, Start
from neurofmx.recordings.task import Task

FITTED = ("chance", "linear")  # what a network is held against


class Learnt(NamedTuple):
    """Answers of one way to begin with one share.

    Args:
        start: Name of a `foundation.starts.Start`, `linear` or `chance`.
        share: Share of the windows, %.
        outputs: Answers `(seeds, n, width)`.
        windows: Windows that a fold learnt from, mean over folds.
    """

    start: str
    share: int
    outputs: np.ndarray
    windows: float


def learning_curves(
    learnt: Sequence[Learnt],
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
) -> list[dict[str, Any]]:
    """A point for every start and share: its score, and its differences to others with the same windows.

    The intervals hold for the one draw of a share: they say how the tested blocks and the seeds vary, each seed with a
    pretraining of its own, not how other windows of the same number would have taught.

    Args:
        learnt: Answers, all to the same windows; of two pretrainings the later one is held against the earlier.
        y: Truth of these windows `(n, ...)`.
        block: Exchangeable stretch each window lies in `(n,)`.
        task: What was asked.
        draws: Bootstrap draws over blocks and seeds.
        confidence: Share of the draws inside the intervals.

    Returns:
        Points by start and share, with `score`, `low`, `high`; those of networks with `minus_linear` and
        `minus_scratch`, and those that were pretrained with `minus_other`, by the start of the same mode with another
        pretraining, where those learnt from the share; each difference with an interval of its own and a verdict.

    Raises:
        ValueError: If nothing was learnt.
    """
    if not learnt:
        raise ValueError("learnt is empty: give the answers of one start and share at least")
    how: dict[str, Any] = {"draws": draws, "confidence": confidence}
    beside = {(each.start, each.share): each.outputs for each in learnt}
    others = earlier_of_a_mode([each.start for each in learnt])
    points = list[dict[str, Any]]()

    def gap(each: Learnt, other: str) -> dict[str, Any]:
        found = paired_difference(each.outputs, beside[other, each.share], y, block, task, **how)
        return {"value": found.value, "low": found.low, "high": found.high, "verdict": found.verdict}

    for each in sorted(learnt, key=lambda one: (one.start, one.share)):
        found = interval(each.outputs, y, block, task, **how)
        point = {"start": each.start, "share": each.share, "windows": each.windows}
        point |= {"score": found.value, "low": found.low, "high": found.high}
        for other in ("linear", SCRATCH):
            if each.start not in (*FITTED, other) and (other, each.share) in beside:
                point[f"minus_{other}"] = gap(each, other)
        if there := [other for other in others.get(each.start, ()) if (other, each.share) in beside]:
            point["minus_other"] = {other: gap(each, other) for other in there}
        points.append(point)
    return points


def earlier_of_a_mode(starts: Sequence[str]) -> dict[str, list[str]]:
    """For each start those before it that begin in the same way with another pretraining.

    Example:
        >>> earlier_of_a_mode(["scratch", "probe_mice", "finetune_mice", "finetune_all"])["finetune_all"]
        ['finetune_mice']
    """
    order = [name for name in dict.fromkeys(starts) if name not in FITTED]
    mode = {name: Start.of(name).mode for name in order}
    return {name: [one for one in order[:k] if mode[one] == mode[name]] for k, name in enumerate(order)}


def curves_markdown(points: Sequence[Mapping[str, Any]], *, headline: str) -> str:
    """A table with a row for every point of `learning_curves`, and one of what pretrainings differ in, if any do."""
    names = ("start", "share, %", "windows", headline, "minus linear", "minus scratch")
    lines = [f"| {' | '.join(names)} |", "|---|---:|---:|---:|---:|---:|"]
    for point in points:
        score = f"{point['score']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"
        gaps = " | ".join(gap_said(point.get(key)) for key in ("minus_linear", "minus_scratch"))
        lines.append(f"| {point['start']} | {point['share']} | {point['windows']:.0f} | {score} | {gaps} |")
    pairs = [(point, other, gap) for point in points for other, gap in point.get("minus_other", {}).items()]
    if pairs:
        lines += ["", f"| start | minus | share, % | {headline} |", "|---|---|---:|---:|"]
        lines += [f"| {p['start']} | {other} | {p['share']} | {gap_said(gap)} |" for p, other, gap in pairs]
    return "\n".join(lines) + "\n"


def gap_said(gap: Mapping[str, Any] | None) -> str:
    """A difference with its interval and, where it has one, its verdict; a dash for none."""
    if gap is None:
        return "-"
    said = f"{gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"
    return f"{said} {gap['verdict']}" if "verdict" in gap else said


def curves_plot(points: Sequence[Mapping[str, Any]], path: Path, *, headline: str, title: str) -> None:
    """Draw the score of every start against the share, with intervals; the same input draws the same bytes.

    A colour is a pretraining, or scratch; a probe is dashed and dotted, what a network is held against grey.

    Args:
        points: Of `learning_curves`.
        path: PNG to write.
        headline: Name of the score.
        title: Above the panel.
    """
    with canvas(path, size=(WIDTH * 0.7, 3.6)) as figure:
        panel = figure.subplots()
        looks = looks_of(list(dict.fromkeys(point["start"] for point in points)))
        for start, (colour, line) in looks.items():
            mine = [point for point in points if point["start"] == start]
            share, score = [p["share"] for p in mine], [p["score"] for p in mine]
            panel.plot(share, score, marker="o", color=colour, linestyle=line, label=start)
            panel.fill_between(share, [p["low"] for p in mine], [p["high"] for p in mine], color=colour, alpha=0.12)
        panel.set_title(title, loc="left", fontsize=10)
        panel.set_xlabel("share of the windows to learn from, %")
        panel.set_ylabel(headline)
        panel.set_xticks(sorted({point["share"] for point in points}))
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def looks_of(starts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and kind of line of each start."""
    networks = {start: Start.of(start) for start in starts if start not in FITTED}
    order = sorted({each.pretraining for each in networks.values()})  # scratch, which has none, comes first
    looks = {"linear": (GREY, "--"), "chance": (GREY, ":")}
    for start, each in networks.items():
        colour = COLOURS[order.index(each.pretraining) % len(COLOURS)]
        looks[start] = colour, "-." if each.mode == "probe" else "-"
    return {start: looks[start] for start in starts}
