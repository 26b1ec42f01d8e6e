"""A model that is fitted in closed form: its features are its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurofmx.benchmark.adapters.stored import stored_answers
from neurofmx.benchmark.protocol import NoStatesError
from neurofmx.evaluation.fitted_model import fitted_model
from neurofmx.models.fitted.per_recording import PerRecording
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample


class FrozenFeatures:
    """Features of a fitted decoder, one step a window.

    Args:
        decoder: The fitted decoder.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def __call__(self, sample: Sample) -> np.ndarray:
        """Features `(B, 1, features)`.

        Raises:
            NoStatesError: If each recording has features of its own, which do not make one space.
        """
        if isinstance(self._decoder, PerRecording):
            raise NoStatesError("each recording is read by a decoder of its own, whose features are no common states")
        x = np.asarray(sample.cleared().numpy(), np.float64)
        if sample.present is not None:
            x = np.where(sample.present.numpy()[:, None], x, np.nan)
        return self._decoder.features.transform(x)[:, None]

    def answer(self, sample: Sample) -> np.ndarray:
        """Outputs of the fitted readout."""
        return self._decoder.readout(self(sample)[:, 0])


@dataclass(frozen=True, eq=False)
class FittedModel:
    """One classical model over all datasets that it was fitted on.

    Args:
        name: Of the model, such as `pca`; its folder under each dataset.
        checkpoints: Folder with `<dataset>/<name>/settings.json` and `best_fold<k>.safetensors`.
        scores: Folder with `<dataset>/<name>/answers.h5`; None to ask again.
    """

    name: str
    checkpoints: Path = Path("data/checkpoints")
    scores: Path | None = None
    seeds: Sequence[int] = (0,)

    def __call__(self, sample: Sample) -> np.ndarray:
        """Not before a fold is chosen; raises TypeError."""
        raise TypeError(f"{self.name} is fitted on each fold: call prepare first")

    def prepare(self, windows: Windows, *, fold: int, seed: int) -> FrozenFeatures:
        """The decoder fitted on a fold."""
        return FrozenFeatures(fitted_model(self.checkpoints / windows.dataset / self.name, windows, fold=fold))

    def stored_answers(self, windows: Windows) -> np.ndarray | None:
        """Answers that the evaluate stage kept."""
        return stored_answers(self.scores, windows, self.name, seeds=1)
