"""Hidden channels as a model says them itself, by a head that was trained for it, without a readout learnt here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurofmx.benchmark.asked.co_smoothing import positive
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.protocol import Reconstructs, as_array
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample


class Own(NamedTuple):
    """What a model itself says of the hidden channels of a fold's test windows, `(n, T, hidden channels)`.

    Args:
        values: In standardised units.
        rates: Spikes a bin; None where the channels are no counts.
    """

    values: np.ndarray
    rates: np.ndarray | None


def own_reconstruction(
    material: Material, fold: int, model: Reconstructs, samples: Sequence[Sample], *, name: str
) -> Own:
    """Ask a model itself.

    Args:
        material: The dataset.
        fold: Fold that the model was prepared for.
        model: The model.
        samples: Validation and test windows with the hidden channels at 0.
        name: Of the model, for messages.

    Raises:
        ValueError: If an answer has another shape than the windows.
    """
    said = [as_array(model.reconstruct(sample, material.hidden)) for sample in samples]
    for each, sample in zip(said, samples, strict=True):
        if each.shape != tuple(sample.x.shape):
            raise ValueError(f"{name}: reconstruct gave {each.shape}; it must be {tuple(sample.x.shape)}")
    return Own(said[1][..., material.hidden], None if material.counts is None else _rates(material, fold, said))


def _rates(material: Material, fold: int, said: Sequence[np.ndarray]) -> np.ndarray:
    """Spikes a bin of the test windows' hidden channels, from standardised values of validation and test windows.

    Where windows hold roots of counts, a count is expected to be the square of what is expected of its root, and the
    variance around that: the mean squared error of the channel in the validation windows of its recording.
    """
    assert material.counts is not None
    windows, hidden, parts = material.windows, material.hidden, material.parts[fold]
    groups, counted = material.recordings(fold), [material.counts[index][..., hidden] for index in parts]
    rates = [_unscaled(windows, fold, *each)[..., hidden] for each in zip(parts[1:], said, strict=True)]
    if material.rooted:
        error = (np.sqrt(counted[1]) - rates[0]) ** 2
        around = {each: error[groups[1] == each].mean((0, 1)) for each in np.unique(groups[1])}
        spread = [np.stack([around[each] for each in group])[:, None] for group in groups[1:]]
        rates = [np.maximum(each, 0) ** 2 + more for each, more in zip(rates, spread, strict=True)]
    return positive(rates[0], rates[1], counted, groups)


def _unscaled(windows: Windows, fold: int, index: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Standardised values of windows `index` in the units of the windows."""
    own = windows.montage == "own"
    mean, std = (each[fold][windows.group[index], None] if own else each[fold] for each in (windows.mean, windows.std))
    return values * std + mean
