"""The linear model of several streams: what it reads of each alone, side by side, and one tuned readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from neurofmx.models.fitted.features.oscillations import Features
from neurofmx.models.fitted.features.table import FitFeatures
from neurofmx.models.fitted.linear import ClassicalDecoder, LinearDecoder, agreement, best_of, one_thread
from neurofmx.models.fitted.readout import Readout, fit_readouts
from neurofmx.tokenizers.cutting.windows import Windows


@dataclass(frozen=True, eq=False)
class StreamsDecoder:
    """Features of each stream and a readout of all of them.

    Args:
        features: What is read of the windows of each stream.
        mean: Mean of these features over the rows that it was fitted on, by stream `(features,)`.
        readout: From the features of all streams, one behind the other, to outputs.
        kind: The model of one stream alone, whose features are read; default the linear one.
    """

    features: Mapping[str, Features]
    mean: Mapping[str, np.ndarray]
    readout: Readout
    kind: type[ClassicalDecoder] = LinearDecoder

    @classmethod
    def fit(
        cls,
        streams: Mapping[str, Windows],
        fold: int,
        config: Any,
        *,
        kind: type[ClassicalDecoder] = LinearDecoder,
    ) -> Self:
        """Tune and fit on one fold.

        Of each stream the features are read that answer the validation rows best alone; the penalty of all together is
        then chosen by the validation rows as well, and all is fitted once more on training and validation rows. Of one
        stream that is the linear model of its windows.

        Args:
            streams: Windows of each stream, row by row the same moments, answers and split.
            fold: Fold, 0 to `folds - 1`.
            config: Settings of the model.
            kind: The model of one stream alone, whose features are read.

        Raises:
            ValueError: If the fold has no validation row, or a class no training row.
        """
        first = next(iter(streams.values()))
        part = first.fold(fold)
        how: dict[str, Any] = {"strengths": config.strengths, "max_iter": config.max_iter}
        chosen = {name: best_of(each, fold, kind.readers(each, config), **how)[0] for name, each in streams.items()}
        with one_thread():
            tried = cls._fitted(streams, fold, part.train, chosen, kind=kind, **how)
            unseen = {name: each.scaled(fold, part.validation, absent=np.nan) for name, each in streams.items()}
            truth = first.y[part.validation]
            scores = [agreement(each.predict(unseen), truth, first.task) for each in tried]
            best = tried[int(np.argmax(scores))]  # of equals the strongest penalty
            strength = float(best.readout.strength[0])
            index = np.concatenate([part.train, part.validation])
            how["strengths"] = [strength]
            return cls._fitted(streams, fold, index, chosen, kind=kind, **how)[0]

    @classmethod
    def _fitted(
        cls,
        streams: Mapping[str, Windows],
        fold: int,
        index: np.ndarray,
        chosen: Mapping[str, FitFeatures],
        *,
        kind: type[ClassicalDecoder],
        strengths: Sequence[float],
        max_iter: int,
    ) -> list[Self]:
        """Learn from some rows with every penalty, the strongest first."""
        first = next(iter(streams.values()))
        x, y = {name: each.scaled(fold, index, absent=np.nan) for name, each in streams.items()}, first.y[index]
        features = {name: fit(x[name], y) for name, fit in chosen.items()}
        rows = {name: each.transform(x[name]) for name, each in features.items()}
        mean = {name: each.mean(axis=0) for name, each in rows.items()}
        shared = all(each.SHARED_UNIT for each in features.values())
        side_by_side = np.concatenate(list(rows.values()), axis=1)
        found = fit_readouts(side_by_side, y, first.task, strengths=strengths, shared_unit=shared, max_iter=max_iter)
        return [cls(features, mean, readout, kind) for readout in found]

    @classmethod
    def from_arrays(cls, kind: type[ClassicalDecoder], names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from `arrays()`.

        Args:
            kind: The model of one stream alone, whose features were read.
            names: The streams, in their order.
            arrays: What `arrays()` gave.

        Raises:
            ValueError: If an array is missing or unknown.
        """
        given: dict[str, dict[str, np.ndarray]] = {name: {} for name in (*names, "readout")}
        for key, value in arrays.items():
            given.setdefault(key.partition(".")[0], {})[key.partition(".")[2]] = value
        try:
            mean = {name: given[name].pop("mean") for name in names}
            features = {name: kind.features_of(given[name]) for name in names}
            model = cls(features, mean, Readout(**given["readout"]), kind)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{cls.__name__}: arrays {sorted(arrays)} do not fit ({error})") from error
        if unknown := set(arrays) - set(model.arrays()):
            raise ValueError(f"{cls.__name__}: unknown arrays {sorted(unknown)}; was it saved by another model?")
        return model

    def arrays(self) -> dict[str, np.ndarray]:
        """All the model knows, by stream, features and name; enough for `from_arrays`."""
        learnt = {f"{stream}.mean": mean for stream, mean in self.mean.items()}
        for stream, features in self.features.items():
            learnt |= {f"{stream}.{name}": array for name, array in self.kind.named(features).items()}
        learnt |= {f"readout.{name}": array for name, array in self.readout._asdict().items()}
        return {name: np.ascontiguousarray(array) for name, array in learnt.items()}

    @property
    def parameters(self) -> int:
        """Fitted numbers: weights, biases and what the features learnt."""
        learnt = sum(array.size for each in self.features.values() for array in each.arrays().values())
        return self.readout.weight.size + self.readout.bias.size + learnt

    def predict(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Answer rows.

        Args:
            x: Windows `(n, time, channels)` from `Windows.scaled` of one stream or more, NaN in channels that a
                recording lacks; of a stream that is left out the features are at their mean, which is all that is known
                of it.

        Returns:
            Outputs `(n, task.width)`, float64.
        """
        number = len(next(iter(x.values())))
        with one_thread():
            rows = [
                each.transform(x[name]) if name in x else np.tile(self.mean[name], (number, 1))
                for name, each in self.features.items()
            ]
            return self.readout(np.concatenate(rows, axis=1))
