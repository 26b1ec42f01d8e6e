"""What all models are held against on one dataset, made once: the linear model, chance, the windows themselves."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from neurofmx.benchmark.asked.few_shot import Shot, shots_of
from neurofmx.benchmark.asked.latent import Space, raw, space
from neurofmx.benchmark.asked.reconstruction import Read, linear_read_back
from neurofmx.benchmark.asked.transfer import Learnt, linear_few
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.probe import pooled
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import fit_decoder
from neurofmx.tokenizers.cutting.windows import Windows


class Reference:
    """The baselines of one dataset, each made when it is first asked for.

    Args:
        material: The dataset.
        linear: Stored answers of the tuned linear model to all tested windows, `(n, width)` or `(1, n, width)`; None to
            fit it on every fold that is read.
    """

    def __init__(self, material: Material, *, linear: np.ndarray | None = None) -> None:
        self.material, self._stored = material, linear

    @cached_property
    def linear(self) -> np.ndarray:
        """Answers of the tuned linear model, `(windows, width)`, NaN where a window is not tested."""
        windows = self.material.windows
        answers = np.full((len(windows.y), windows.answer), np.nan)
        if self._stored is not None:
            answers[windows.tested] = self._stored.reshape(-1, *self._stored.shape[-2:])[0]
            return answers
        if windows.task.kind == "next_token":
            raise ValueError(f"{self.material.name}: give the stored answers of the linear model of a text")
        for fold in self.material.folds:
            test = windows.fold(fold).test
            answers[test] = fit_decoder(LinearDecoder, windows, fold, LinearConfig()).answer(windows, fold, test)
        return answers

    @cached_property
    def chance(self) -> np.ndarray:
        """Answers of chance, `(windows, width)`, NaN where a window is not tested."""
        return _chance(self.material.windows)

    @cached_property
    def shuffled_chance(self) -> np.ndarray:
        """The same where windows have each other's answers."""
        return _chance(self.material.shuffled)

    @cached_property
    def read_back(self) -> list[Read]:
        """Hidden channels by the linear model, each fold."""
        return [linear_read_back(self.material, fold) for fold in self.material.folds]

    @cached_property
    def few(self) -> list[Learnt]:
        """The linear model given few windows, each fold."""
        return [linear_few(self.material, fold) for fold in self.material.folds]

    @cached_property
    def space(self) -> list[Space]:
        """The windows themselves as a latent space, each fold."""
        material = self.material
        return [space(material, fold, raw(material, fold, material.parts[fold].test)) for fold in material.folds]

    @cached_property
    def shots(self) -> list[Shot]:
        """Nearest class means of the windows themselves, each fold."""
        material, steps = self.material, self.material.options.steps
        return [
            shots_of(material, fold, *(pooled(raw(material, fold, index), steps) for index in (part.train, part.test)))
            for fold, part in zip(material.folds, material.parts, strict=True)
        ]


def _chance(windows: Windows) -> np.ndarray:
    answers = np.full((len(windows.y), windows.answer), np.nan)
    for fold in range(windows.folds):
        answers[windows.fold(fold).test] = chance_outputs(windows, fold)
    return answers
