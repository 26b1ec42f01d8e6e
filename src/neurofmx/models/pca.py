"""Principal components of flattened windows, and the linear readout on them: the classical low-dimensional decoder.

Of a text the windows are the tokens before each next one, as 0s and 1s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from neurofmx.models.fitted.features.oscillations import Features, Flat
from neurofmx.models.fitted.features.table import FitFeatures
from neurofmx.models.fitted.linear import STRENGTHS, ClassicalDecoder, one_thread, tune
from neurofmx.tokenizers.cutting.stretches import stretches
from neurofmx.tokenizers.cutting.windows import Windows

CONTEXT = 4  # tokens before the next one that are read
FLOORS = (0.01, 0.05, 0.1, 0.2, 0.4)  # shares of a token's frequency that its probability keeps, to choose from
ASKED = 5000  # next tokens of the validation windows, evenly spread, that the choice is made by
PIECE = 1024  # next tokens that are answered at once, of each of which the whole vocabulary is told
BESIDE, ROUNDS = 16, 12  # of the subspace iteration: vectors beside those that are wanted, and products


class PcaConfig(BaseModel):
    """Settings of the decoder on principal components."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: tuple[PositiveInt, ...] = Field(
        default=(4, 8, 16, 32, 64), min_length=1, description="Components to choose from on the validation windows."
    )
    strengths: tuple[PositiveFloat, ...] = Field(
        default=STRENGTHS, min_length=1, description="Penalties to choose from on the validation windows."
    )
    max_iter: int = Field(default=1000, ge=1, description="Most iterations of the logistic regression.")


@dataclass(frozen=True, eq=False)
class PrincipalComponents(Features):
    """Flat windows, standardised, seen along the directions in which training windows vary most.

    Args:
        mean: Of the training windows, shape `(t * c,)`.
        std: Of the training windows, 1 where they never change, shape `(t * c,)`.
        directions: Orthonormal columns, largest variance first, shape `(t * c, components)`.
    """

    SHARED_UNIT: ClassVar[bool] = True

    mean: np.ndarray
    std: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, components: int) -> PrincipalComponents:
        """Learn the directions with scikit-learn.

        Args:
            x: Windows, shape `(n, t, c)`.
            y: Not used.
            components: Directions to keep; at most as many as there are windows or numbers in one.
        """
        from sklearn.decomposition import PCA

        rows = Flat().transform(x)
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        std = np.where(std > 0, std, 1.0)
        pca = PCA(min(components, *rows.shape), svd_solver="full").fit((rows - mean) / std)
        return cls(mean, std, np.asarray(pca.components_).T.copy())

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, components)`."""
        return (Flat().transform(x) - self.mean) / self.std @ self.directions


class PcaDecoder(ClassicalDecoder):
    """Ridge or logistic regression on principal components; their number is tuned with the penalty."""

    KINDS: ClassVar = {"pca": PrincipalComponents}

    @classmethod
    def fit(cls, windows: Windows, fold: int, config: PcaConfig, *, seed: int = 0) -> Self:
        """Tune and fit on one fold.

        Args:
            windows: Windows of one dataset.
            fold: Fold, 0 to `windows.folds - 1`.
            config: Settings.
            seed: Not used, as nothing here is drawn; every model is called alike.

        Returns:
            The fitted model.

        Raises:
            ValueError: If a class has no training window or the fold has no validation window.
        """
        tried = cls.readers(windows, config)
        return cls(*tune(windows, fold, tried, strengths=config.strengths, max_iter=config.max_iter))

    @classmethod
    def readers(cls, windows: Windows, config: PcaConfig) -> list[FitFeatures]:
        """Fewest components first."""
        return [partial(PrincipalComponents.fit, components=k) for k in sorted(config.components)]


@dataclass(frozen=True, eq=False)
class PcaTextDecoder:
    """Ridge regression from principal components of the tokens before to the next token, as probabilities.

    The last `CONTEXT` tokens side by side, each a 1 among 0s, are a flat window of a text. What the readout says of the
    next token is held above a share of each token's own frequency and brought to the sum 1. A token that a window lacks
    counts as the mean. Components, penalty and share are chosen by the likelihood of validation windows.

    Args:
        directions: Centred components of each place and token `(CONTEXT, vocabulary + 1, components)`, the latest token
            first; the last row of a place stands for no token and is 0.
        weight: From components to next tokens `(components, vocabulary)`.
        frequency: Of each token, above 0, sum 1, `(vocabulary,)`.
        floor: Share of its frequency that a token's probability keeps `(1,)`.
    """

    directions: np.ndarray
    weight: np.ndarray
    frequency: np.ndarray
    floor: np.ndarray

    @classmethod
    def fit(cls, windows: Windows, fold: int, config: PcaConfig, *, seed: int = 0) -> Self:
        """Tune on the validation windows of a text, then fit on training and validation windows.

        Args:
            windows: Windows of one text.
            fold: Fold, 0 to `windows.folds - 1`.
            config: Settings.
            seed: Not used, as nothing here is drawn; every model is called alike.

        Returns:
            The fitted model.

        Raises:
            ValueError: If no stretch of the training windows is longer than the context.
        """
        part, most = windows.fold(fold), max(config.components)
        with one_thread():
            learnt = _learn(windows, part.train, most)
            before, after = _followed(windows, part.validation)
            some = np.linspace(0, len(after), min(len(after), ASKED), endpoint=False).astype(int)

            def likelihood(choice: tuple[int, float, float]) -> float:
                return float(np.mean(np.log(cls._chosen(learnt, *choice).probability(before[some], after[some]))))

            # of equals the fewest components, the strongest penalty, the highest floor
            strengths, floors = sorted(config.strengths, reverse=True), sorted(FLOORS, reverse=True)
            choice = max(product(sorted(config.components), strengths, floors), key=likelihood)
            return cls._chosen(_learn(windows, np.union1d(part.train, part.validation), most), *choice)

    @classmethod
    def _chosen(cls, learnt: _Learnt, components: int, strength: float, floor: float) -> Self:
        """The readout of so many components with a penalty."""
        spread, together = learnt.spread[:components], learnt.together[:components]
        weight = together / (spread + strength)[:, None]
        return cls(learnt.directions[..., :components], weight, learnt.frequency, np.array([floor]))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from `arrays()`; raises ValueError if they are another model's."""
        try:
            return cls(**arrays)
        except TypeError as error:
            raise ValueError(f"{cls.__name__}: arrays {sorted(arrays)} do not fit ({error})") from error

    def arrays(self) -> dict[str, np.ndarray]:
        """All the model knows, by name."""
        names = ("directions", "weight", "frequency", "floor")
        return {name: np.ascontiguousarray(getattr(self, name)) for name in names}

    def probability(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Probability of some next tokens.

        Args:
            before: The tokens before each `(n, CONTEXT)`, the latest first; the size of the vocabulary for none.
            after: The next token of each `(n,)`.

        Returns:
            Shape `(n,)`, above 0.
        """
        found = np.empty(len(after))
        for first in range(0, len(after), PIECE):
            part = slice(first, first + PIECE)
            rows = self.directions[np.arange(CONTEXT), before[part]].sum(1)
            said = np.maximum(self.frequency + rows @ self.weight, self.floor * self.frequency)
            found[part] = said[np.arange(len(said)), after[part]] / said.sum(1)
        return found

    def log_likelihood(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Logarithm of the probability of every true next token, from the tokens of its window before it.

        Args:
            x: Windows `(n, time, 1)` of token numbers.
            y: The token that follows each `(n, time)`.

        Returns:
            Natural logarithms `(n, time)`, float64.
        """
        none = ((0, 0), (CONTEXT - 1, 0))
        padded = np.pad(x[..., 0].astype(np.int64), none, constant_values=len(self.frequency))
        before = sliding_window_view(padded, CONTEXT, axis=1)[..., ::-1]
        with one_thread():
            return np.log(self.probability(before.reshape(-1, CONTEXT), y.ravel())).reshape(y.shape)

    def answer(self, windows: Windows, fold: int, index: np.ndarray) -> np.ndarray:
        """`log_likelihood` of windows `index`, shape `(index, time)`."""
        return self.log_likelihood(windows.x[index], windows.y[index])

    @property
    def parameters(self) -> int:
        """Fitted numbers: directions, weights, frequencies and the floor."""
        return sum(array.size for array in self.arrays().values())


class _Learnt(NamedTuple):
    """What a text says of components and next tokens, for any number of components and any penalty.

    Args:
        directions: As of `PcaTextDecoder`.
        spread: Sum of squares of each component over the text `(components,)`, largest first.
        together: Sum of each component where a token follows `(components, vocabulary)`.
        frequency: Of each token as the next one, each counted once more than it came `(vocabulary,)`.
    """

    directions: np.ndarray
    spread: np.ndarray
    together: np.ndarray
    frequency: np.ndarray


def _followed(windows: Windows, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens before `(n, CONTEXT)`, the latest first, and the next token `(n,)`, wherever so many stand before one."""
    texts = [text for text in stretches(windows, index).each() if len(text) > CONTEXT]
    if not texts:
        raise ValueError(f"{windows.dataset}: no stretch of its text has {CONTEXT + 1} tokens; cut longer windows")
    spans = np.concatenate([sliding_window_view(text, CONTEXT + 1) for text in texts])
    return spans[:, CONTEXT - 1 :: -1].astype(np.int64), spans[:, CONTEXT].astype(np.int64)


def _learn(windows: Windows, index: np.ndarray, components: int) -> _Learnt:
    """Components of the tokens before, and how they go with the next token."""
    from scipy.sparse import csr_array

    before, after = _followed(windows, index)
    number, size = len(after), windows.task.width
    place = before + size * np.arange(CONTEXT)
    rows = csr_array(
        (np.ones(place.size), (np.repeat(np.arange(number), CONTEXT), place.ravel())), (number, CONTEXT * size)
    )
    nexts = csr_array((np.ones(number), (np.arange(number), after)), (number, size))
    mean, counts = np.asarray(rows.sum(0)) / number, np.bincount(after, minlength=size)
    pairs = rows.T @ rows
    spread, frame = _largest(lambda v: pairs @ v - number * np.outer(mean, mean @ v), CONTEXT * size, components)
    together = np.asarray((rows.T @ nexts).T @ frame).T - np.outer(frame.T @ mean, counts)
    apart = frame.reshape(CONTEXT, size, -1)
    centred = apart - (mean.reshape(CONTEXT, size, 1) * apart).sum(1, keepdims=True)
    directions = np.pad(centred, ((0, 0), (0, 1), (0, 0)))
    return _Learnt(directions, spread, together, (counts + 1) / (number + size))


def _largest(covariance: Callable[[np.ndarray], np.ndarray], size: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues `(number,)` and vectors `(size, number)` of a symmetric map, by subspace iteration.

    Source:
        Halko, Martinsson and Tropp (2011), Finding structure with randomness, algorithm 4.4.
    """
    frame = np.random.default_rng(0).normal(size=(size, min(size, number + BESIDE)))
    for _ in range(ROUNDS):
        frame, _ = np.linalg.qr(covariance(frame))
    values, turned = np.linalg.eigh(frame.T @ covariance(frame))
    order = np.argsort(values)[::-1][:number]
    return np.maximum(values[order], 0.0), frame @ turned[:, order]
