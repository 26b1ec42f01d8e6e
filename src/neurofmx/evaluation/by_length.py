"""The score by length of the windows: whether what was learnt on short ones holds on long ones."""

from __future__ import annotations

import numpy as np

from neurofmx.headline import headline
from neurofmx.task import Task


def by_length(outputs: np.ndarray, y: np.ndarray, length: np.ndarray, task: Task) -> dict[str, float]:
    """Headline score of the windows of each length, mean over seeds.

    Args:
        outputs: Answers `(seeds, n, task.width)`.
        y: Truth `(n,)`, or as `headline` takes it.
        length: Samples of each window `(n,)`.
        task: What was asked.

    Returns:
        By length, shortest first, rounded to 6 digits; the keys are strings, as JSON has them.
    """
    of = {int(each): length == each for each in np.unique(length)}
    return {
        str(each): round(float(np.mean([headline(answers[mine], y[mine], task) for answers in outputs])), 6)
        for each, mine in of.items()
    }
