"""The models in closed form where something is beside the windows: one tuned readout of both, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel

from neurofmx.models.fitted.linear import ClassicalDecoder
from neurofmx.models.fitted.streams import StreamsDecoder
from neurofmx.tokenizers.cutting.windows import Windows


@dataclass(frozen=True, eq=False)
class BesideDecoder:
    """Features of the windows and of what is beside them, and one readout; a network that reads both meets its like.

    Args:
        streams: What is read of each, under the names in `NAMES`.
    """

    NAMES: ClassVar = ("windows", "beside")

    streams: StreamsDecoder

    @classmethod
    def fit(cls, kind: type[ClassicalDecoder], windows: Windows, fold: int, config: BaseModel) -> Self:
        """Tune and fit on one fold, as of `StreamsDecoder.fit`.

        Args:
            kind: The decoder of windows alone, whose features are read.
            windows: With something beside them.
            fold: Fold, 0 to `windows.folds - 1`.
            config: Settings of the decoder.
        """
        return cls(StreamsDecoder.fit(_both(windows), fold, config, kind=kind))

    @classmethod
    def from_arrays(cls, kind: type[ClassicalDecoder], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a model from `arrays()`; raises ValueError if they are another's."""
        return cls(StreamsDecoder.from_arrays(kind, cls.NAMES, arrays))

    @classmethod
    def are_mine(cls, arrays: Mapping[str, np.ndarray]) -> bool:
        """Whether arrays are of such a model, and not of one of windows alone."""
        return any(name.startswith(f"{cls.NAMES[1]}.") for name in arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """All the model knows, by name; enough for `from_arrays`."""
        return self.streams.arrays()

    def answer(self, windows: Windows, fold: int, index: np.ndarray) -> np.ndarray:
        """Answer windows `index` of a fold, shape `(index, task.width)`."""
        both = _both(windows)
        return self.streams.predict({name: each.scaled(fold, index, absent=np.nan) for name, each in both.items()})

    @property
    def parameters(self) -> int:
        """Fitted numbers: weights, biases and what the features learnt."""
        return self.streams.parameters


def _both(windows: Windows) -> dict[str, Windows]:
    """The windows and what is beside them, with the same answers and split."""
    if windows.beside is None:
        raise ValueError(f"{windows.dataset}: nothing is beside its windows, and this model reads both")
    beside = replace(windows.beside, y=windows.y, block=windows.block, split=windows.split, task=windows.task)
    return dict(zip(BesideDecoder.NAMES, (replace(windows, beside=None), beside), strict=True))
