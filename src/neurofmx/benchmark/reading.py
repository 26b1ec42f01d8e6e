"""A model that has read a fold: its states of the windows to learn from, to choose on and to be tested on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurofmx.benchmark.material import Material
from neurofmx.benchmark.probe import pooled
from neurofmx.benchmark.protocol import Encoder, Prepares, States, encode, seeds_of
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample


@dataclass(frozen=True, eq=False)
class Reading:
    """States of one fold.

    Args:
        encoder: The model as it was prepared for the fold.
        fold: The fold.
        seed: The model's seed.
        train: States of the training windows.
        validation: Of the validation windows.
        test: Of the test windows.
    """

    encoder: Encoder
    fold: int
    seed: int
    train: States
    validation: States
    test: States

    def features(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows for a probe of the training, validation and test windows."""
        return pooled(self.train, steps), pooled(self.validation, steps), pooled(self.test, steps)


def prepared(model: Any, windows: Windows, *, fold: int, seed: int) -> Encoder:
    """The model for a fold: as it says itself, or as it is."""
    return model.prepare(windows, fold=fold, seed=seed) if isinstance(model, Prepares) else model


def read(model: Any, material: Material, *, fold: int, seed: int, name: str, windows: Windows | None = None) -> Reading:
    """Prepare a model for a fold and ask it for all states.

    Args:
        model: The model.
        material: The dataset.
        fold: One of `material.folds`.
        seed: The model's seed.
        name: The model's name, for messages.
        windows: What it learns from in place of the dataset's own windows, such as shuffled ones.
    """
    windows = windows or material.windows
    encoder = prepared(model, windows, fold=fold, seed=seed)
    parts = (encode(encoder, Sample.of(windows, fold, index), name=name) for index in material.parts[fold])
    return Reading(encoder, fold, seed, *parts)


def readings(model: Any, material: Material, *, seeds: tuple[int, ...], name: str) -> Iterator[tuple[int, Reading]]:
    """All folds and seeds of a model, each with the number of its seed."""
    for number, seed in enumerate(seeds_of(model, seeds)):
        for fold in material.folds:
            yield number, read(model, material, fold=fold, seed=seed, name=name)


def reread(model: Any, material: Material, reading: Reading, *, name: str) -> Reading:
    """The same fold by a model that was prepared on windows with each other's answers.

    A model that gives some test windows the very same states has not looked at answers: its states stay.
    """
    windows = material.shuffled
    encoder = prepared(model, windows, fold=reading.fold, seed=reading.seed)
    some = material.parts[reading.fold].test[:64]
    states = encode(encoder, Sample.of(windows, reading.fold, some), name=name).values
    if np.array_equal(states, reading.test.values[: len(some), : states.shape[1]]):
        return reading
    return read(model, material, fold=reading.fold, seed=reading.seed, name=name, windows=windows)
