"""Co-smoothing: how well spikes of hidden units are told from states, in bits per spike above each unit's mean rate.

Rates of a linear readout may fall below 0, so they are held above a share of the unit's mean, which the validation
windows choose. The name of the score has the width of its bins, without which it means nothing.

Source:
    Pei et al. (2021), Neural Latents Benchmark '21: evaluating latent variable models of neural population activity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import xlogy

from neurofmx.benchmark.drawn import Draws
from neurofmx.benchmark.entry import entry
from neurofmx.benchmark.metrics.bits_per_spike import LEAST_RATE, spike_metric_name

FLOORS = (0.01, 0.05, 0.1, 0.2, 0.4)  # of a unit's mean rate, under which no predicted rate may fall


def positive(
    validation: np.ndarray, test: np.ndarray, counted: Sequence[np.ndarray], recording: Sequence[np.ndarray]
) -> np.ndarray:
    """Rates of the test windows, held above the share of each unit's mean that suits the validation windows.

    Args:
        validation: What a readout says of the validation windows, `(n, T, units)`, spikes a bin.
        test: The same of the test windows.
        counted: Counts of training and validation windows.
        recording: Whose units a window's are, of training, validation and test windows: a unit's mean is over the
            training windows of its recording.

    Returns:
        Shape of `test`, above 0.
    """
    mean = {each: np.maximum(counted[0][recording[0] == each].mean((0, 1)), 1e-6) for each in np.unique(recording[0])}
    mine = np.isin(recording[1], recording[2])  # nothing was learnt of recordings that are not tested
    held, asked = (np.stack([mean[k] for k in part])[:, None] for part in (recording[1][mine], recording[2]))

    def likelihood(floor: float) -> float:
        rates = np.maximum(validation[mine], floor * held)
        return float(np.sum(xlogy(counted[1][mine], rates) - rates))

    return np.maximum(test, max(FLOORS, key=likelihood) * asked)


def co_smoothing(
    counts: np.ndarray,
    ours: Sequence[np.ndarray],
    linear: np.ndarray,
    recording: np.ndarray,
    draws: Draws,
    *,
    bin_s: float,
) -> dict[str, Any]:
    """The line of the score.

    Args:
        counts: Of the tested windows, `(n, T, units)`.
        ours: Rates by each seed of the model, of that shape.
        linear: Rates by the linear model.
        recording: Whose units a window's are, `(n,)`.
        draws: Of the blocks of these windows.
        bin_s: Width of a bin, s.
    """
    mine, theirs = (draws.drawn(bits_terms(counts, rates, recording), bits_of) for rates in (ours, [linear]))
    line = entry(
        spike_metric_name("co_smoothing", bin_s=bin_s), mine, linear=theirs, chance=0.0, metrics={"bits": mine.value}
    )
    return line | {"share": None, "linear_share": None}  # no number of bits is perfect


def bits_terms(counts: np.ndarray, rates: Sequence[np.ndarray], recording: np.ndarray) -> np.ndarray:
    """What each window adds to bits per spike.

    Args:
        counts: Of the tested windows, `(n, T, units)`.
        rates: The same shape for each seed, spikes a bin.
        recording: Whose units a window's are, `(n,)`: the mean rate that a model must beat is each unit's own, over
            all tested windows of its recording.

    Returns:
        Log likelihood gained and spikes, `(seeds, n, 2)`.
    """
    null = np.zeros_like(counts)
    for each in np.unique(recording):
        null[recording == each] = counts[recording == each].mean((0, 1))
    spikes, nothing = counts.sum((1, 2)), _likelihood(counts, null)
    return np.stack([np.stack([_likelihood(counts, each) - nothing, spikes], -1) for each in rates])


def _likelihood(counts: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Log likelihood of each window's counts, without what all rates share, `(n,)`."""
    rates = np.maximum(rates, LEAST_RATE)
    return (xlogy(counts, rates) - rates).sum((1, 2))


def bits_of(sums: np.ndarray) -> np.ndarray:
    """Bits per spike: sums `(..., 2)` to `(...)`, NaN where there is no spike."""
    gained, spikes = np.moveaxis(sums, -1, 0)
    return np.where(spikes > 0, gained / np.maximum(spikes, 1) / np.log(2), np.nan)
