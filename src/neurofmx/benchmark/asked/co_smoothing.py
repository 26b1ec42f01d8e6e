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
from neurofmx.benchmark.metrics.bits_per_spike import bits_of, bits_terms, spike_metric_name

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
    shuffled: Sequence[np.ndarray] = (),
) -> dict[str, Any]:
    """The line of the score.

    Args:
        counts: Of the tested windows, `(n, T, units)`.
        ours: Rates by each seed of the model, of that shape.
        linear: Rates by the linear model.
        recording: Whose units a window's are, `(n,)`.
        draws: Of the blocks of these windows.
        bin_s: Width of a bin, s.
        shuffled: Rates by the control readouts of some seeds, which learnt from other windows' counts.
    """
    given = {"model": ours, "linear": [linear]} | ({"shuffled": shuffled} if shuffled else {})
    drawn = {name: draws.drawn(bits_terms(counts, rates, recording), bits_of) for name, rates in given.items()}
    name = spike_metric_name("co_smoothing", bin_s=bin_s)
    line = entry(
        name,
        drawn["model"],
        linear=drawn["linear"],
        chance=0.0,
        shuffled=drawn.get("shuffled"),
        metrics={name: drawn["model"].value},
        beside={which: {name: each.value} for which, each in drawn.items()} | {"chance": {name: 0.0}},
    )
    return line | {"share": None, "linear_share": None}  # no number of bits is perfect
