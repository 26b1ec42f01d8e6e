"""Interpolated n-grams with modified Kneser-Ney smoothing: what a neural language model is held against.

The probability of a token after the `k - 1` tokens before it takes a discount off every count and gives the mass to the
same question with one token less before it, down to equal shares of the vocabulary:

    p_k(w | h) = (c(h w) - D_k(c(h w))) / c(h) + b(h) p_{k-1}(w | h')         p_0(w) = 1 / vocabulary
    b(h) = (D_k1 N1(h) + D_k2 N2(h) + D_k3 N3(h)) / c(h)

Symbols: `c(g)` how often the n-gram g stands in the training text if it has the full length, and otherwise how many
different tokens stand before it; `c(h)` its sum over w; `N1, N2, N3(h)` how many w have a count of one, two, or three
and more after h; `D_k(c)` the discount of a count, one each for one, two and more; `h'` h without its first token.

The discounts of all lengths are tuned on the validation windows, longer n-grams as long as they help. The counts are
then taken once more from training and validation windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from pydantic import BaseModel

from neurofmx.tokenizers.cutting.stretches import stretches
from neurofmx.tokenizers.cutting.windows import Windows

START = (0.6, 1.0, 1.3)  # discounts that the search begins with, about what English words have
LIMITS = (1e-4, 1.0), (1e-4, 2.0), (1e-4, 3.0)  # a discount is at most the count it is taken off


class _Level(NamedTuple):
    """What is known of n-grams of one length. An n-gram is the number of its context and its last token.

    Args:
        keys: `context * vocabulary + token` of each n-gram `(n-grams,)`, sorted; its place is its number.
        counts: Count of each as part of a longer model `(n-grams,)`: how many tokens stand before it.
        raw: How often each stands in the text `(n-grams,)`.
    """

    keys: np.ndarray
    counts: np.ndarray
    raw: np.ndarray


class _Seen(NamedTuple):
    """What n-grams of one length say of some tokens, for any discounts `D (3,)`.

    `p_k = share + held @ D + (freed @ D + unseen) p_{k-1}`

    Args:
        share: `c(h w) / c(h)` `(tokens,)`.
        held: `-1 / c(h)` in the column of the discount that `c(h w)` has, `(tokens, 3)`.
        freed: `N1(h), N2(h), N3(h)` over `c(h)`, `(tokens, 3)`.
        unseen: 1 where the context never came, and all else is 0, `(tokens,)`.
    """

    share: np.ndarray
    held: np.ndarray
    freed: np.ndarray
    unseen: np.ndarray


@dataclass(frozen=True, eq=False)
class NgramDecoder:
    """Answers windows of tokens with the probability of each true next token.

    Args:
        text: The tokens it learnt from, one stretch after the other `(tokens,)`, int32.
        first: Where each stretch begins `(stretches,)`.
        discounts: Tuned discounts `(order, 3)`, of shorter n-grams first.
        vocabulary: Number of tokens there are `(1,)`.

    Source:
        Chen and Goodman 1998, An empirical study of smoothing techniques for language modeling, section 3 (equation
        numbers differ between versions); the continuation counts are Kneser and Ney 1995.
    """

    text: np.ndarray
    first: np.ndarray
    discounts: np.ndarray
    vocabulary: np.ndarray

    @cached_property
    def levels(self) -> list[_Level]:
        """Counts of the n-grams of each length, taken when first asked for."""
        return _count(self.text, self.first, order=self.order, vocabulary=int(self.vocabulary[0]))

    @classmethod
    def fit(cls, windows: Windows, fold: int, config: BaseModel, *, seed: int = 0) -> Self:
        """Tune on the validation windows and count in training and validation windows.

        Args:
            windows: Windows of one text.
            fold: Fold, 0 to `windows.folds - 1`.
            config: Settings of the linear model; `max_order` is the longest n-gram.
            seed: Not used, as nothing here is drawn.

        Returns:
            The fitted model.
        """
        part, longest = windows.fold(fold), int(config.max_order)  # type: ignore[attr-defined]
        vocabulary = np.array([windows.task.width])
        text, first = stretches(windows, part.train)
        levels = _count(text, first, order=longest, vocabulary=int(vocabulary[0]))
        x, y = windows.x[part.validation, :, 0], windows.y[part.validation]
        discounts = _tuned(levels, x, y, int(vocabulary[0]))
        return cls(*stretches(windows, np.union1d(part.train, part.validation)), discounts, vocabulary)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from `arrays()`; raises ValueError if they are another model's."""
        try:
            return cls(**arrays)
        except TypeError as error:
            raise ValueError(f"{cls.__name__}: arrays {sorted(arrays)} do not fit ({error})") from error

    def arrays(self) -> dict[str, np.ndarray]:
        """All the model knows: the text is smaller than its counts, which are taken anew in seconds."""
        return {name: getattr(self, name) for name in ("text", "first", "discounts", "vocabulary")}

    def log_likelihood(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Logarithm of the probability of every true next token, from the tokens of its window before it.

        Args:
            x: Windows `(n, time, 1)` of token numbers.
            y: The token that follows each `(n, time)`.

        Returns:
            Natural logarithms `(n, time)`, float64.
        """
        size = int(self.vocabulary[0])
        seen = [_seen(self.levels, k, x[..., 0], y, size, top=k + 1 == self.order) for k in range(self.order)]
        return np.log(_interpolate(seen, self.discounts, size)).reshape(y.shape)

    def answer(self, windows: Windows, fold: int, index: np.ndarray) -> np.ndarray:
        """`log_likelihood` of windows `index`, shape `(index, time)`."""
        return self.log_likelihood(windows.x[index], windows.y[index])

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.discounts)

    @property
    def parameters(self) -> int:
        """Counts and discounts."""
        return sum(len(level.keys) for level in self.levels) + self.discounts.size


def _count(text: np.ndarray, first: np.ndarray, *, order: int, vocabulary: int) -> list[_Level]:
    """Number and count all n-grams of a text up to a length."""
    place = np.arange(len(text)) - np.repeat(first, np.diff(np.r_[first, len(text)]))  # tokens before, in its stretch
    levels, numbers = [], np.zeros(len(text), np.int64)
    for length in range(1, order + 1):
        context = np.r_[0, numbers[:-1]] if length > 1 else numbers
        whole = place >= length - 1
        keys, where, own, raw = np.unique(
            context[whole] * vocabulary + text[whole], return_index=True, return_inverse=True, return_counts=True
        )
        if levels:  # each n-gram found here puts one more token before the n-gram without its first
            shorter = numbers[np.flatnonzero(whole)[where]]
            levels[-1] = levels[-1]._replace(counts=np.bincount(shorter, minlength=len(levels[-1].keys)))
        levels.append(_Level(keys, raw, raw))
        numbers = np.full(len(text), -1)
        numbers[whole] = own
    return levels


def _seen(levels: Sequence[_Level], k: int, x: np.ndarray, y: np.ndarray, vocabulary: int, *, top: bool) -> _Seen:
    """What n-grams of length `k + 1` say of the answers `y (n, time)` to windows `x (n, time)`."""
    level = levels[k]
    counts = (level.raw if top else level.counts).astype(np.int64)
    context = _contexts(levels, k, x, vocabulary).reshape(-1)
    number = _find(level.keys, context, y.reshape(-1), vocabulary)
    owner, kind = level.keys // vocabulary, np.minimum(counts, 3)
    width = 1 + int(owner.max(initial=0))
    known = (context >= 0) & (context < width)
    place = np.where(known, context, 0)
    total = np.where(known, np.bincount(owner, weights=counts, minlength=width)[place], 0.0)
    scale = np.where(total > 0, 1 / np.maximum(total, 1.0), 0.0)
    freed = np.stack([np.bincount(owner[kind == n], minlength=width)[place] * scale for n in (1, 2, 3)], axis=1)
    count = np.where(number >= 0, counts[number], 0)
    held = -scale[:, None] * (np.minimum(count, 3)[:, None] == (1, 2, 3))
    return _Seen(count * scale, held, freed, (total == 0).astype(np.float64))


def _contexts(levels: Sequence[_Level], length: int, x: np.ndarray, vocabulary: int) -> np.ndarray:
    """Number of the n-gram of a length that ends at each position of windows `(n, time)`, -1 for one never seen."""
    numbers = np.zeros(x.shape, np.int64)
    for k in range(length):
        before = np.full(x.shape, -1) if k else numbers
        if k:
            before[:, 1:] = numbers[:, :-1]
        numbers = _find(levels[k].keys, before.reshape(-1), x.reshape(-1), vocabulary).reshape(x.shape)
    return numbers


def _find(keys: np.ndarray, context: np.ndarray, token: np.ndarray, vocabulary: int) -> np.ndarray:
    """Number of each n-gram `(n,)`, -1 for one that is not among the keys."""
    wanted = context * vocabulary + token
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((context >= 0) & (keys[place] == wanted), place, -1)


def _interpolate(seen: Sequence[_Seen], discounts: np.ndarray, vocabulary: int) -> np.ndarray:
    """Probability `(tokens,)` of the true tokens, from the shortest n-grams to the longest."""
    p = np.full(len(seen[0].share), 1.0 / vocabulary)
    for level, discount in zip(seen, discounts, strict=True):
        p = level.share + level.held @ discount + (level.freed @ discount + level.unseen) * p
    return p


def _tuned(levels: Sequence[_Level], x: np.ndarray, y: np.ndarray, vocabulary: int) -> np.ndarray:
    """Discounts `(order, 3)` that make windows most likely; the order grows as long as that helps."""
    best, lowest = np.empty((0, 3)), np.inf
    shorter: list[_Seen] = []
    for k in range(len(levels)):
        seen = [*shorter, _seen(levels, k, x, y, vocabulary, top=True)]
        discounts, loss = _search(seen, np.vstack([best, START]), vocabulary)
        if loss >= lowest:
            break
        best, lowest = discounts, loss
        shorter.append(_seen(levels, k, x, y, vocabulary, top=False))
    return best


def _search(seen: Sequence[_Seen], start: np.ndarray, vocabulary: int) -> tuple[np.ndarray, float]:
    """Discounts of the lowest mean negative log probability, and that value."""
    from scipy.optimize import minimize

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        return _loss(seen, flat.reshape(start.shape), vocabulary)

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", bounds=LIMITS * len(start))
    return found.x.reshape(start.shape), float(found.fun)


def _loss(seen: Sequence[_Seen], discounts: np.ndarray, vocabulary: int) -> tuple[float, np.ndarray]:
    """Mean negative log probability, and its gradient with respect to every discount `(order * 3,)`."""
    steps = [np.full(len(seen[0].share), 1.0 / vocabulary)]
    backs = [level.freed @ discount + level.unseen for level, discount in zip(seen, discounts, strict=True)]
    for level, discount, back in zip(seen, discounts, backs, strict=True):
        steps.append(level.share + level.held @ discount + back * steps[-1])
    slope, gradient = -1 / (steps[-1] * len(steps[-1])), np.empty_like(discounts)
    for k in reversed(range(len(seen))):
        gradient[k] = slope @ seen[k].held + (slope * steps[k]) @ seen[k].freed
        slope = slope * backs[k]
    return float(-np.mean(np.log(steps[-1]))), gradient.ravel()
