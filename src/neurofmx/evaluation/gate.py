"""The baseline gate: is a model better than the linear one, and how sure is that?

Neighbouring windows share time, so the bootstrap draws blocks (trials, stretches of seconds) with replacement and keeps
the windows of a block together; both models are scored on the same draw, which removes what is hard for both. Seeds are
drawn with replacement as well, so that a model that depends on its initialisation gets a wider interval.

Accuracy and R2 are functions of sums over windows, so a draw needs the sums of its blocks only:

    accuracy = sum(correct) / n          R2 = 1 - sum((y - p)^2) / (sum(y^2) - sum(y)^2 / n)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neurofmx.headline import as_values, check_answers
from neurofmx.task import Task


class Interval(NamedTuple):
    """A score with its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much better a model is than the reference, with its bootstrap interval.

    Args:
        value: Score of the model less score of the reference.
        low: Lower end of the interval.
        high: Upper end of the interval.

    Example:
        >>> Difference(0.05, 0.01, 0.09).verdict
        'wins'
    """

    value: float
    low: float
    high: float

    @property
    def beats(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0

    @property
    def verdict(self) -> str:
        """`wins`, `loses`, or `ties` where the interval holds zero."""
        return "wins" if self.low > 0 else "loses" if self.high < 0 else "ties"


def paired_difference(
    outputs: np.ndarray,
    reference_outputs: np.ndarray,
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Compare a model with the reference on the same windows by the headline score.

    The value is the difference of the means over seeds. Where both have several seeds, seed k of one is paired with
    seed k of the other.

    Args:
        outputs: Answers of the model, shape `(n, width)` or `(seeds, n, width)`.
        reference_outputs: Answers of the reference, same shape, or a single seed.
        y: Truth: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians.
        block: Exchangeable stretch each window lies in, shape `(n,)`.
        task: What was asked.
        draws: Bootstrap draws, at least 1.
        confidence: Share of the draws inside the interval, above 0 and below 1.
        seed: Of the draws; the same seed draws the same blocks for every model.

    Returns:
        Difference with its percentile interval.

    Raises:
        ValueError: If shapes disagree, there are fewer than 2 blocks, or a draw leaves R2 undefined.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, sections 8.5 (blocks) and 13.3 (percentiles).
    """
    ours, theirs = _sums(outputs, y, block, task), _sums(reference_outputs, y, block, task)
    if min(len(ours), len(theirs)) > 1 and len(ours) != len(theirs):
        raise ValueError(
            f"outputs has {len(ours)} seeds, reference_outputs {len(theirs)}: give the same number, or one"
        )
    seeds = max(len(ours), len(theirs))
    ours, theirs = (np.broadcast_to(s, (seeds, *s.shape[1:])) for s in (ours, theirs))
    drawn = _draw(seeds, ours.shape[1], draws, seed)
    value = _mean_score(ours, task) - _mean_score(theirs, task)
    spread = _redrawn(ours, drawn, task) - _redrawn(theirs, drawn, task)
    return Difference(value, *_percentiles(spread, confidence))


def interval(
    outputs: np.ndarray,
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The headline score of one model with its bootstrap interval.

    Args:
        outputs: Answers, shape `(n, width)` or `(seeds, n, width)`.
        y: Truth: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians.
        block: Exchangeable stretch each window lies in, shape `(n,)`.
        task: What was asked.
        draws: Bootstrap draws, at least 1.
        confidence: Share of the draws inside the interval, above 0 and below 1.
        seed: Of the draws.

    Returns:
        Mean over seeds with its percentile interval.

    Raises:
        ValueError: If shapes disagree, there are fewer than 2 blocks, or a draw leaves R2 undefined.
    """
    sums = _sums(outputs, y, block, task)
    drawn = _draw(len(sums), sums.shape[1], draws, seed)
    return Interval(_mean_score(sums, task), *_percentiles(_redrawn(sums, drawn, task), confidence))


class _Drawn(NamedTuple):
    """How often each draw holds each block `(draws, blocks)` and each seed `(draws, seeds)`."""

    blocks: np.ndarray
    seeds: np.ndarray


def _draw(seeds: int, blocks: int, draws: int, seed: int) -> _Drawn:
    """Draw blocks and seeds with replacement; the blocks do not depend on the number of seeds."""
    if draws < 1:
        raise ValueError(f"draws={draws}: must be at least 1")
    generator = np.random.default_rng(seed)
    of_blocks = generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws)
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    return _Drawn(of_blocks.astype(np.float64), of_seeds.astype(np.float64))


def _sums(outputs: np.ndarray, y: np.ndarray, block: np.ndarray, task: Task) -> np.ndarray:
    """Sums over the windows of each block, shape `(seeds, blocks, terms)`."""
    outputs = outputs if outputs.ndim == 3 else outputs[None]
    for answers in outputs:
        check_answers(answers, y, task)
    if block.shape != (len(y),):
        raise ValueError(f"block has shape {block.shape}; {len(y)} windows need {(len(y),)}")
    names, member = np.unique(block, return_inverse=True)
    if len(names) < 2:
        raise ValueError("block holds a single block: a bootstrap over blocks needs at least 2, better 20")
    terms = _terms(np.asarray(outputs, np.float64), y, task)
    order = np.argsort(member, kind="stable")
    first = np.searchsorted(member[order], np.arange(len(names)))
    return np.add.reduceat(terms[:, order], first, axis=1)


def _terms(outputs: np.ndarray, y: np.ndarray, task: Task) -> np.ndarray:
    """What each window adds to the sums, shape `(seeds, n, terms)`."""
    if task.kind == "classification":
        correct = outputs.argmax(axis=-1) == y
        return np.stack([np.ones(correct.shape), correct], axis=-1)
    truth = as_values(y, task)
    centred = truth - truth.mean(axis=0)  # R2 does not change with an offset, rounding errors do
    constant = np.concatenate([np.ones((len(y), 1)), centred, centred**2], axis=1)
    return np.concatenate([np.broadcast_to(constant, (len(outputs), *constant.shape)), (truth - outputs) ** 2], -1)


def _scores(sums: np.ndarray, task: Task) -> np.ndarray:
    """Headline score from sums of shape `(..., terms)`."""
    n = sums[..., :1]
    if task.kind == "classification":
        return sums[..., 1] / n[..., 0]
    total, squares, residual = np.split(sums[..., 1:], 3, axis=-1)
    variation = squares - total**2 / n
    if np.any(variation <= 1e-12 * squares):
        raise ValueError(
            f"{task.target} does not vary in some draw of blocks, so R2 is undefined there: use more, shorter blocks"
        )
    return np.mean(1 - residual / variation, axis=-1)


def _mean_score(sums: np.ndarray, task: Task) -> float:
    """Mean over seeds of the score on all windows."""
    return float(np.mean(_scores(sums.sum(axis=1), task)))


def _redrawn(sums: np.ndarray, drawn: _Drawn, task: Task) -> np.ndarray:
    """Score of each draw, mean over its seeds, shape `(draws,)`."""
    totals = np.tensordot(drawn.blocks, sums, axes=([1], [1]))
    return (drawn.seeds * _scores(totals, task)).sum(axis=1) / drawn.seeds.sum(axis=1)


def _percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The two ends that hold the middle `confidence` of the values."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: must be above 0 and below 1, usually 0.95")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
