"""The baseline gate: is a model better than the linear one, and how sure is that?

Neighbouring windows share time, so the bootstrap draws blocks (trials, stretches of seconds) with replacement and keeps
the windows of a block together; both models are scored on the same draw, which removes what is hard for both. Seeds are
drawn with replacement as well, so that a model that depends on its initialisation gets a wider interval.

Balanced accuracy and the area under the curve need every class. Draws that lack one are left out: the interval holds
for sets of blocks in which every class stands, and both models of a comparison lose the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neurofmx.evaluation.redrawn import Redrawn, redrawn
from neurofmx.recordings.task import Task


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
        lower_is_better: Whether the better score is the lower one, default no.

    Example:
        >>> Difference(0.05, 0.01, 0.09).verdict
        'wins'
    """

    value: float
    low: float
    high: float
    lower_is_better: bool = False

    @property
    def beats(self) -> bool:
        """Whether the whole interval lies on the better side of zero."""
        return self.verdict == "wins"

    @property
    def verdict(self) -> str:
        """`wins`, `loses`, or `ties` where the interval holds zero."""
        better, worse = ("loses", "wins") if self.lower_is_better else ("wins", "loses")
        return better if self.low > 0 else worse if self.high < 0 else "ties"


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
        ValueError: If shapes disagree, there are fewer than 2 blocks, a draw leaves R2 undefined, or no draw holds
            every class where the headline needs all.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, sections 8.5 (blocks) and 13.3 (percentiles).
    """
    seeds = (_seeds(outputs), _seeds(reference_outputs))
    if min(seeds) > 1 and seeds[0] != seeds[1]:
        raise ValueError(f"outputs has {seeds[0]} seeds, reference_outputs {seeds[1]}: give the same number, or one")
    drawn = _draw(y, block, task, seeds=max(seeds), draws=draws, seed=seed)
    ours, theirs = redrawn(outputs, y, block, task), redrawn(reference_outputs, y, block, task)
    value = _whole(ours, drawn) - _whole(theirs, drawn)
    spread = _over_seeds(ours, drawn) - _over_seeds(theirs, drawn)
    return Difference(value, *percentiles(spread, confidence), lower_is_better=task.lower_is_better)


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
        ValueError: If shapes disagree, there are fewer than 2 blocks, a draw leaves R2 undefined, or no draw holds
            every class where the headline needs all.
    """
    drawn = _draw(y, block, task, seeds=_seeds(outputs), draws=draws, seed=seed)
    score = redrawn(outputs, y, block, task)
    return Interval(_whole(score, drawn), *percentiles(_over_seeds(score, drawn), confidence))


def drawn_scores(
    answers: Sequence[np.ndarray],
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Headline scores of several answers to the same windows, all on the same draws of blocks and seeds.

    Any function of several scores, such as a ratio, gets its interval from them. Arguments as of `interval`.

    Args:
        answers: Each of shape `(n, width)` or `(seeds, n, width)`; those with several seeds have the same number.
        y: Truth, `n` long.
        block: Exchangeable stretch each window lies in, shape `(n,)`.
        task: What was asked.
        draws: Bootstrap draws, at least 1.
        seed: Of the draws; the blocks drawn do not depend on the number of seeds.

    Returns:
        Scores on all windows `(answers,)`, means over seeds, and on the draws `(answers, draws)`.

    Raises:
        ValueError: As `interval`, and if numbers of seeds differ.
    """
    seeds = {_seeds(outputs) for outputs in answers} - {1}
    if len(seeds) > 1:
        raise ValueError(f"answers have {sorted(seeds)} seeds: give the same number, or one")
    drawn = _draw(y, block, task, seeds=max(seeds, default=1), draws=draws, seed=seed)
    scores = [redrawn(outputs, y, block, task) for outputs in answers]
    whole = np.array([_whole(score, drawn) for score in scores])
    return whole, np.stack([_over_seeds(score, drawn) for score in scores])


class _Drawn(NamedTuple):
    """How often each draw holds each block `(draws, blocks)` and each seed `(draws, seeds)`."""

    blocks: np.ndarray
    seeds: np.ndarray


def _seeds(outputs: np.ndarray) -> int:
    """Number of seeds of outputs `(n, width)` or `(seeds, n, width)`."""
    return len(outputs) if outputs.ndim == 3 else 1


def _draw(y: np.ndarray, block: np.ndarray, task: Task, *, seeds: int, draws: int, seed: int) -> _Drawn:
    """Draw blocks and seeds with replacement; the blocks do not depend on the number of seeds."""
    if block.shape != (len(y),):
        raise ValueError(f"block has shape {block.shape}; {len(y)} windows need {(len(y),)}")
    if draws < 1:
        raise ValueError(f"draws={draws}: must be at least 1")
    names, member = np.unique(block, return_inverse=True)
    if len(names) < 2:
        raise ValueError("block holds a single block: a bootstrap over blocks needs at least 2, better 20")
    generator = np.random.default_rng(seed)
    blocks = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    keep = _complete(blocks, y, member, task)
    return _Drawn(blocks[keep].astype(np.float64), of_seeds[keep].astype(np.float64))


def _complete(blocks: np.ndarray, y: np.ndarray, member: np.ndarray, task: Task) -> np.ndarray:
    """Which draws `(draws, blocks)` define the headline: those with every class, where it needs all."""
    if task.headline not in ("balanced_accuracy", "auc"):
        return np.full(len(blocks), True)
    holds = np.zeros((blocks.shape[1], task.width), bool)
    holds[member, y] = True
    complete = np.all(blocks @ holds > 0, axis=1)
    if not complete.any():
        raise ValueError(
            f"no draw of blocks holds every class of {task.target}, so {task.headline} is undefined: use more, "
            "shorter blocks"
        )
    return complete


def _whole(score: Redrawn, drawn: _Drawn) -> float:
    """Mean over seeds of the score on all windows, each once."""
    return float(np.mean(score(np.ones((1, drawn.blocks.shape[1])))))


def _over_seeds(score: Redrawn, drawn: _Drawn) -> np.ndarray:
    """Score of each draw, mean over its seeds, shape `(draws,)`; one seed stands for as many as were drawn."""
    return (drawn.seeds * score(drawn.blocks)).sum(axis=1) / drawn.seeds.sum(axis=1)


def percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The two ends that hold the middle `confidence` of the values; raises ValueError unless it is within 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: must be above 0 and below 1, usually 0.95")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
