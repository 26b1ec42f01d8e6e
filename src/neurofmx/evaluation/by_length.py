"""The score by length: whether what was learnt on short windows holds on long ones, and whether more context helps.

A memory task has windows of several lengths, each with a question of its own. A text is read once for every length, in
windows that stand alone; every length answers the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurofmx.evaluation.gate import interval
from neurofmx.recordings.task import Task

Scores = dict[str, dict[str, float]]


def by_length(
    outputs: np.ndarray,
    y: np.ndarray,
    length: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Scores:
    """Headline score of the windows of each length, mean over seeds.

    Args:
        outputs: Answers `(seeds, n, task.width)`.
        y: Truth `(n,)`, or as `headline` takes it.
        length: Samples of each window `(n,)`.
        block: Exchangeable stretch of each window `(n,)`.
        task: What was asked.
        draws: Bootstrap draws.
        confidence: Share of the draws inside the intervals.

    Returns:
        By length, shortest first, `value`, `low` and `high`; the keys are strings, as JSON has them.
    """
    of = {int(each): length == each for each in np.unique(length)}
    return {
        str(each): interval(outputs[:, mine], y[mine], block[mine], task, draws=draws, confidence=confidence)._asdict()
        for each, mine in of.items()
    }


def by_context(
    answers: Mapping[int, np.ndarray],
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Scores:
    """Headline score of a text read in windows of each length.

    Args:
        answers: By tokens of a window, log probabilities of the same tokens `(seeds, n, time)`.
        y: Words and bytes of each stretch `(n, 2)`.
        block: Exchangeable stretch each lies in `(n,)`.
        task: What was asked.
        draws: Bootstrap draws.
        confidence: Share of the draws inside the intervals.

    Returns:
        As `by_length`.
    """
    return {
        str(each): interval(answers[each], y, block, task, draws=draws, confidence=confidence)._asdict()
        for each in sorted(answers)
    }
