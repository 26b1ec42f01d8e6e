"""The linear model every other model is held against: features of a window, and a tuned linear readout.

The features and the strength of the penalty are chosen on the validation windows: by R2, or in a classification by the
likelihood of the labels, as accuracy on the few trials that are often left for validation cannot tell strengths apart.
The model is then fitted once more on training and validation windows with that choice. It never sees a test window.
What it knows is a handful of arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import scipy  # loads scipy.special when it is used
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from neurofmx.headline import headline
from neurofmx.models.fitted.features.oscillations import Features
from neurofmx.models.fitted.features.table import FEATURES, FitFeatures, Kind, readers
from neurofmx.models.fitted.readout import Readout, fit_readouts
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.windows import Windows

STRENGTHS = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5)


class LinearConfig(BaseModel):
    """Settings of the linear model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Kind | Literal["auto"] = Field(
        default="auto",
        description="What is read of a window: flat (all samples), bands (log power of each channel in bands), csp "
        "(log power behind common spatial patterns), riemann (tangent space of covariances), lines (each sample may "
        "bend), smooth (likeness to training windows), course (a sound's shape in ten parts of its length), foreground "
        "(where a film differs from its background), gradients (directions of edges, and colours, of a picture), "
        "symbols (which tokens there are, and the last one); auto "
        "is what suits the modality, the best on the validation windows where several do: riemann for eeg (or "
        "flat, where no class is asked), flat or bands for ecog, ieeg and lfp, these or riemann for emg, flat, lines "
        "or smooth for trajectory, course for padded audio, foreground for video, gradients for colour images, symbols "
        "for tokens, flat otherwise.",
    )
    knots: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(9, 17), description="Knots of each broken line to choose from, with lines."
    )
    widths: tuple[PositiveFloat, ...] = Field(
        default=(0.5, 1.0, 2.0), description="Widths of the likeness to choose from, with smooth."
    )
    landmarks: int = Field(default=800, ge=1, description="Training windows to be like, with smooth.")
    strengths: tuple[PositiveFloat, ...] = Field(
        default=STRENGTHS, min_length=1, description="Penalties to choose from on the validation windows."
    )
    csp_components: int = Field(default=4, ge=1, description="Spatial filters of csp.")
    max_iter: int = Field(default=1000, ge=1, description="Most iterations of the logistic regression.")
    max_order: int = Field(default=8, ge=1, description="Tokens of the longest n-gram, where the next token is asked.")


@dataclass(frozen=True, eq=False)
class ClassicalDecoder(ABC):
    """Features and a linear readout; says how such a model answers and how it is stored.

    Args:
        features: What is read of a window.
        readout: From features to outputs.
    """

    features: Features
    readout: Readout

    KINDS: ClassVar[Mapping[str, type[Features]]]

    @classmethod
    @abstractmethod
    def fit(cls, windows: Windows, fold: int, config, *, seed: int = 0) -> Self:
        """Tune and fit on one fold of the windows."""

    @classmethod
    @abstractmethod
    def readers(cls, windows: Windows, config) -> list[FitFeatures]:
        """The features to try on the validation windows of a dataset, simplest first."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from `arrays()`.

        Args:
            arrays: What `arrays()` gave.

        Raises:
            ValueError: If an array is missing or unknown, naming it.
        """
        readout = {name.removeprefix("readout."): a for name, a in arrays.items() if name.startswith("readout.")}
        try:
            model = cls(cls.features_of(arrays), Readout(**readout))
        except TypeError as error:
            raise ValueError(f"{cls.__name__}: arrays {sorted(arrays)} do not fit ({error})") from error
        if unknown := set(arrays) - set(model.arrays()):
            raise ValueError(f"{cls.__name__}: unknown arrays {sorted(unknown)}; was it saved by another model?")
        return model

    def arrays(self) -> dict[str, np.ndarray]:
        """All the model knows, by name; enough for `from_arrays`."""
        learnt = self.named(self.features) | {f"readout.{name}": a for name, a in self.readout._asdict().items()}
        return {name: np.ascontiguousarray(array) for name, array in learnt.items()}

    @classmethod
    def named(cls, features: Features) -> dict[str, np.ndarray]:
        """Arrays of features, by `<kind>.<name>`."""
        kind = next(name for name, each in cls.KINDS.items() if type(features) is each)
        return {f"{kind}.{name}": array for name, array in features.arrays().items()}

    @classmethod
    def features_of(cls, arrays: Mapping[str, np.ndarray]) -> Features:
        """Features from their arrays, of the first kind where there is none; raises TypeError if they do not fit."""
        given: dict[str, dict[str, np.ndarray]] = {}
        for key, value in arrays.items():
            given.setdefault(key.partition(".")[0], {})[key.partition(".")[2]] = value
        kind = next((k for k in cls.KINDS if k in given), next(iter(cls.KINDS)))
        return cls.KINDS[kind](**given.get(kind, {}))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Answer windows scaled with the training windows of the fold.

        Args:
            x: Windows from `Windows.scaled`, shape `(n, time, channels)`, NaN in channels that a window's recording
                lacks.

        Returns:
            Outputs, shape `(n, task.width)`, float64.
        """
        with one_thread():
            return self.readout(self.features.transform(x))

    def answer(self, windows: Windows, fold: int, index: np.ndarray) -> np.ndarray:
        """Answer windows `index` of a fold, shape `(index, task.width)`."""
        return self.predict(windows.scaled(fold, index, absent=np.nan))

    @property
    def parameters(self) -> int:
        """Fitted numbers: weights, biases and what the features learnt."""
        learnt = sum(array.size for array in self.features.arrays().values())
        return self.readout.weight.size + self.readout.bias.size + learnt


class LinearDecoder(ClassicalDecoder):
    """Ridge or logistic regression on flat windows, on band powers, or on spatial covariances."""

    KINDS: ClassVar = FEATURES

    @classmethod
    def fit(cls, windows: Windows, fold: int, config: LinearConfig, *, seed: int = 0) -> Self:
        """Tune and fit on one fold.

        Args:
            windows: Windows of one dataset.
            fold: Fold, 0 to `windows.folds - 1`.
            config: Settings.
            seed: Not used, as nothing here is drawn; every model is called alike.

        Returns:
            The fitted model.

        Raises:
            ValueError: If a class has no training window, the fold has no validation window, or csp is asked for a
                task without classes.
        """
        tried = cls.readers(windows, config)
        return cls(*tune(windows, fold, tried, strengths=config.strengths, max_iter=config.max_iter))

    @classmethod
    def readers(cls, windows: Windows, config: LinearConfig) -> list[FitFeatures]:
        """The features to try, simplest first; errors are those of `features.table.readers`."""
        return readers(
            windows,
            config.features,
            csp_components=config.csp_components,
            knots=config.knots,
            landmarks=config.landmarks,
            widths=config.widths,
        )


def tune(
    windows: Windows, fold: int, candidates: Sequence[FitFeatures], *, strengths: Sequence[float], max_iter: int
) -> tuple[Features, Readout]:
    """Choose features and strength on the validation windows, then fit on training and validation windows.

    Args:
        windows: Windows of one dataset.
        fold: Fold, 0 to `windows.folds - 1`.
        candidates: Each learns features from windows `(n, t, c)` and labels; simplest first.
        strengths: Penalties to choose from.
        max_iter: Most iterations of the logistic regression.

    Returns:
        Features and readout that answer validation best; of equals the first features, the strongest penalty.

    Raises:
        ValueError: If the fold has no validation window or a class no training window.
    """
    reader, strength = best_of(windows, fold, candidates, strengths=strengths, max_iter=max_iter)
    part = windows.fold(fold)
    with one_thread():
        index = np.concatenate([part.train, part.validation])
        x, y = windows.scaled(fold, index, absent=np.nan), windows.y[index]
        features = reader(x, y)
        return features, next(_readouts(features, x, y, windows.task, [strength], max_iter))


def best_of(
    windows: Windows, fold: int, candidates: Sequence[FitFeatures], *, strengths: Sequence[float], max_iter: int
) -> tuple[FitFeatures, float]:
    """The features and the penalty that answer the validation windows best; arguments and errors as of `tune`."""
    if not len(windows.fold(fold).validation):
        raise ValueError(
            f"fold {fold} of {windows.dataset} has no validation window to tune on: give the split a validation part"
        )
    with one_thread():
        tried = _tried(windows, fold, candidates, strengths, max_iter)
        _, reader, strength = max(tried, key=lambda choice: choice[0])  # of equals the first, the strongest
        return reader, strength


def one_thread() -> AbstractContextManager[object]:
    """Hold the linear algebra to one thread inside the context.

    Eigenvalues of many small matrices take ten times longer on two threads beside a busy process than on one, and
    sums in a fixed order make the fit the same on every number of cores.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)


def _tried(
    windows: Windows, fold: int, candidates: Sequence[FitFeatures], strengths: Sequence[float], max_iter: int
) -> Iterator[tuple[float, FitFeatures, float]]:
    """Validation score of every reader and strength."""
    part = windows.fold(fold)
    x, y = windows.scaled(fold, part.train, absent=np.nan), windows.y[part.train]
    held_out, truth = windows.scaled(fold, part.validation, absent=np.nan), windows.y[part.validation]
    for reader in candidates:
        features = reader(x, y)
        unseen = features.transform(held_out)
        for readout in _readouts(features, x, y, windows.task, strengths, max_iter):
            yield agreement(readout(unseen), truth, windows.task), reader, float(readout.strength[0])


def _readouts(
    features: Features, x: np.ndarray, y: np.ndarray, task: Task, strengths: Sequence[float], max_iter: int
) -> Iterator[Readout]:
    """Readouts of the features of windows `(n, t, c)`, strongest penalty first."""
    rows, shared = features.transform(x), features.SHARED_UNIT
    return fit_readouts(rows, y, task, strengths=strengths, shared_unit=shared, max_iter=max_iter)


def agreement(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """How well answers fit the truth: mean log likelihood of the labels, or R2."""
    if task.kind == "classification":
        return float(np.mean(scipy.special.log_softmax(outputs, axis=1)[np.arange(len(y)), y]))
    return headline(outputs, y, task)
