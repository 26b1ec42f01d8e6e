"""The headline score as a function of how often each block of windows is drawn, for all draws of a bootstrap at once.

Accuracy, R2 and perplexity are functions of sums over windows, so a draw needs the sums of its blocks only:

    accuracy = sum(correct) / n          R2 = 1 - sum((y - p)^2) / (sum(y^2) - sum(y)^2 / n)
    perplexity = exp(-sum(log p) / words)

and balanced accuracy is the mean of an accuracy for each class. The area under the curve is the share of pairs of one
window of each class that are in order, ties counting half. With the windows sorted by their margin once, and w the
number of times a draw holds a window,

    AUC = sum over positive i of w_i (sum of w_j over negative j below i + half of those level with i) / (W+ W-)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurofmx.headline import as_values, check_answers, margin
from neurofmx.recordings.task import Task

# how often each draw holds each block (draws, blocks) -> score of each draw and seed (draws, seeds)
Redrawn = Callable[[np.ndarray], np.ndarray]
CHUNK = 2**22  # most numbers of a table of draws and windows that are held at once


def redrawn(outputs: np.ndarray, y: np.ndarray, block: np.ndarray, task: Task) -> Redrawn:
    """The headline score of some answers, waiting for draws of blocks.

    Args:
        outputs: Answers, shape `(n, width)` or `(seeds, n, width)`.
        y: Truth: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians.
        block: Exchangeable stretch each window lies in, shape `(n,)`.
        task: What was asked.

    Returns:
        Function from how often each block is drawn, shape `(draws, blocks)`, blocks in the order of their numbers, to
        the score of each draw and seed, shape `(draws, seeds)`. It raises ValueError where a draw leaves R2 undefined.

    Raises:
        ValueError: If shapes disagree or answers are not finite.
    """
    outputs = np.asarray(outputs if outputs.ndim == 3 else outputs[None], np.float64)
    for answers in outputs:
        check_answers(answers, y, task)
    member = np.unique(block, return_inverse=True)[1]
    if task.headline == "auc":
        return lambda drawn: _areas(margin(outputs), np.asarray(y) == 1, member, drawn)
    sums = _by_block(_terms(outputs, y, task), member)
    return lambda drawn: _scores(np.tensordot(drawn, sums, axes=([1], [1])), task)


def _by_block(terms: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Sums `(seeds, blocks, terms)` of what the windows of each block add, `(seeds, n, terms)`."""
    order = np.argsort(member, kind="stable")
    first = np.searchsorted(member[order], np.arange(member.max() + 1))
    return np.add.reduceat(terms[:, order], first, axis=1)


def _terms(outputs: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    """What each window adds to the sums, shape `(seeds, n, terms)`."""
    if task.kind == "classification":
        correct = outputs.argmax(axis=-1) == y
        there = np.eye(task.width)[y] if task.headline == "balanced_accuracy" else np.ones((len(y), 1))
        there = np.broadcast_to(there, (*correct.shape, there.shape[-1]))
        return np.concatenate([there, there * correct[..., None]], axis=-1)
    if task.kind == "next_token":
        likelihood = outputs.sum(axis=-1)
        return np.stack([np.broadcast_to(y[:, 0], likelihood.shape), likelihood], axis=-1)
    truth = as_values(y, task)
    centred = truth - truth.mean(axis=0)  # R2 does not change with an offset, rounding errors do
    constant = np.concatenate([np.ones((len(y), 1)), centred, centred**2], axis=1)
    return np.concatenate([np.broadcast_to(constant, (len(outputs), *constant.shape)), (truth - outputs) ** 2], -1)


def _scores(sums: np.ndarray, task: Task) -> np.ndarray:
    """Headline score from sums of shape `(..., terms)`."""
    if task.kind == "classification":
        there, correct = np.split(sums, 2, axis=-1)
        return np.mean(correct / there, axis=-1)
    if task.kind == "next_token":
        return np.exp(-sums[..., 1] / sums[..., 0])
    n = sums[..., :1]
    total, squares, residual = np.split(sums[..., 1:], 3, axis=-1)
    variation = squares - total**2 / n
    if np.any(variation <= 1e-12 * squares):
        raise ValueError(
            f"{task.target} does not vary in some draw of blocks, so R2 is undefined there: use more, shorter blocks"
        )
    return np.mean(1 - residual / variation, axis=-1)


def _areas(margins: np.ndarray, positive: np.ndarray, member: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Area under the curve of each draw and seed, some draws at a time."""
    chunks = np.array_split(drawn, -(-drawn.shape[0] * len(member) // CHUNK))
    return np.stack(
        [np.concatenate([_area(each, positive, chunk[:, member]) for chunk in chunks]) for each in margins], axis=1
    )


def _area(margins: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Area under the curve `(draws,)` of windows with margins `(n,)` that count as `weight (draws, n)` says."""
    order = np.argsort(margins, kind="stable")
    ordered = margins[order]
    level = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # where a new margin begins
    weight, positive = weight[:, order], positive[order]
    above = np.add.reduceat(weight * positive, level, axis=1)
    below = np.add.reduceat(weight * ~positive, level, axis=1)
    lower = np.cumsum(below, axis=1) - below
    pairs = above.sum(axis=1) * below.sum(axis=1)
    return np.sum(above * (lower + below / 2), axis=1) / pairs
