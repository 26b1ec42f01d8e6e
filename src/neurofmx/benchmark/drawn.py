"""A bootstrap over blocks and seeds for any score that is a function of sums over windows.

Windows of a block (a trial, a stretch of seconds) are drawn together and seeds are drawn as well, as in
`evaluation/gate.py`. Two models on the same draws give the interval of their difference.

Symbols: S seeds, n windows, K blocks, R draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from neurofmx.evaluation.gate import Difference, Interval, percentiles

# sums over windows (..., terms) -> score (...)
Score = Callable[[np.ndarray], np.ndarray]


class Draws:
    """Draws of the blocks and seeds of some windows, the same for all that is asked of them.

    Args:
        block: Exchangeable stretch each window lies in, shape `(n,)`.
        seeds: Most seeds a model has.
        draws: How many, at least 1.
        confidence: Share of the draws inside the intervals, above 0 and below 1.
        seed: Of the draws.

    Raises:
        ValueError: If there are fewer than 2 blocks.
    """

    def __init__(
        self, block: np.ndarray, *, seeds: int = 1, draws: int = 1000, confidence: float = 0.95, seed: int = 0
    ) -> None:
        names, self._member = np.unique(block, return_inverse=True)
        self.blocks, self.confidence = len(names), confidence
        if self.blocks < 2:
            raise ValueError("block holds a single block: a bootstrap over blocks needs at least 2, better 20")
        generator = np.random.default_rng(seed)
        self._drawn = generator.multinomial(self.blocks, np.full(self.blocks, 1 / self.blocks), size=draws)
        self._seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)

    def drawn(self, terms: np.ndarray, score: Score) -> Drawn:
        """The score of one model on all windows, and on each draw.

        Args:
            terms: What each window adds to the sums, shape `(S, n, ...)`; one seed stands for as many as were drawn.
            score: From sums `(..., *terms.shape[2:])` to scores `(...)`; NaN where a draw leaves it undefined.

        Raises:
            ValueError: If the number of windows is wrong.
        """
        if terms.shape[1] != len(self._member):
            raise ValueError(f"terms are of {terms.shape[1]} windows, block of {len(self._member)}: give one for each")
        values, spread = [], []
        for one in terms:
            of_block = np.zeros((self.blocks, *one.shape[1:]))
            np.add.at(of_block, self._member, one)
            values.append(score(of_block.sum(0)))
            spread.append(score(np.tensordot(self._drawn.astype(np.float64), of_block, 1)))
        weight = self._seeds if len(terms) == self._seeds.shape[1] else np.ones((len(self._seeds), len(terms)))
        drawn = (weight * np.stack(spread, 1)).sum(1) / weight.sum(1)
        return Drawn(float(np.mean(values)), drawn, self.confidence)


class Drawn(NamedTuple):
    """A score, and the same on each draw `(R,)`."""

    value: float
    draws: np.ndarray
    confidence: float

    @property
    def interval(self) -> Interval:
        """The score with the percentiles of its defined draws."""
        return Interval(self.value, *_ends(self.draws, self.confidence))

    def less(self, other: Drawn, *, lower_is_better: bool = False) -> Difference:
        """How much better this score is than another on the same draws."""
        ends = _ends(self.draws - other.draws, self.confidence)
        return Difference(self.value - other.value, *ends, lower_is_better=lower_is_better)


def _ends(values: np.ndarray, confidence: float) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if not len(defined):
        raise ValueError("no draw of blocks defines the score: use more, shorter blocks")
    return percentiles(defined, confidence)


def mean_of(values: np.ndarray) -> tuple[np.ndarray, Score]:
    """Terms and score of a plain mean over windows; values `(S, n)`."""
    return np.stack([values, np.ones_like(values)], -1), share_of


def share_of(sums: np.ndarray) -> np.ndarray:
    """The first of two sums by the second `(..., 2)`; NaN where that is 0."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 1] > 0)


def r2_terms(truth: np.ndarray, answers: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """What each window adds to R2 of every channel.

    Args:
        truth: Shape `(n, T, C)`.
        answers: One of that shape for each seed.

    Returns:
        Shape `(S, n, C, 4)`: samples, sum, squares and squared errors.
    """
    centred = truth - truth.mean((0, 1))  # R2 does not change with an offset, rounding errors do
    plain = [np.full_like(centred, 1.0).sum(1), centred.sum(1), (centred**2).sum(1)]
    return np.stack([np.stack([*plain, ((truth - answer) ** 2).sum(1)], -1) for answer in answers])


def r2_of(sums: np.ndarray) -> np.ndarray:
    """R2 of all channels together, `1 - squared errors / variation`: sums `(..., C, 4)` to `(...)`.

    A mean of the channels' own R2 would hang on those that hardly vary in the windows drawn.
    """
    samples, total, squares, residual = np.moveaxis(sums, -1, 0)
    variation = (squares - total**2 / np.maximum(samples, 1)).sum(-1)
    residual = residual.sum(-1)
    return np.where(variation > 1e-9, 1 - residual / np.maximum(variation, 1e-9), np.nan)
