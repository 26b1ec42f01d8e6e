"""How much better than a constant rate predicted rates tell where the spikes are, in bits per spike.

Symbols: `k` counts, `r` predicted rates, `m` the null model's rates, all in spikes a bin; n bins, N units.

    log L(r) = sum (k log r - r - log k!)
    bits per spike = (log L(r) - log L(m)) / (log 2 sum k)

0 is no better than each unit's mean rate, below 0 is worse; units that fire more weigh more. Both likelihoods are sums
over windows, so that a bootstrap can draw windows. The score depends on the width of a bin, so that width is part of
its name. Asked of units that the model did not read it is co-smoothing, of bins after the last one read it is forward
prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import xlogy

Protocol = Literal["co_smoothing", "forward_prediction", "reconstruction"]
LEAST_RATE = 1e-9  # spikes a bin; in place of a predicted rate of 0, under which one spike would be impossible


def bits_terms(counts: np.ndarray, rates: Sequence[np.ndarray] | np.ndarray, recording: np.ndarray) -> np.ndarray:
    """What each window adds to bits per spike.

    Args:
        counts: Of the windows, `(n, T, units)`, whole numbers from 0.
        rates: The same shape for each seed, spikes a bin, at least 0.
        recording: Whose units a window's are, `(n,)`: the mean rate that a model must beat is each unit's own, over
            all these windows of its recording, as the Neural Latents Benchmark has it.

    Returns:
        Log likelihood gained and spikes, `(seeds, n, 2)`.

    Raises:
        ValueError: If rates have another shape than the counts.

    Source:
        Pei et al. (2021), Neural Latents Benchmark '21: evaluating latent variable models of neural population
        activity.

    Example:
        >>> counts = np.array([0.0, 0.0, 0.0, 4.0]).reshape(4, 1, 1)
        >>> terms = bits_terms(counts, [counts], np.zeros(4))
        >>> round(float(bits_of(terms[0].sum(0))), 6)  # to know which of four bins has the spikes is worth two bits
        2.0
    """
    if wrong := [each.shape for each in rates if each.shape != counts.shape]:
        raise ValueError(f"rates have shape {wrong[0]}, counts {counts.shape}: give one shape")
    null = np.zeros_like(counts)
    for each in np.unique(recording):
        null[recording == each] = counts[recording == each].mean((0, 1))
    spikes, nothing = counts.sum((1, 2)), _likelihood(counts, null)
    return np.stack([np.stack([_likelihood(counts, each) - nothing, spikes], -1) for each in rates])


def bits_of(sums: np.ndarray) -> np.ndarray:
    """Bits per spike: sums of terms over windows `(..., 2)` to `(...)`, NaN where there is no spike."""
    gained, spikes = np.moveaxis(sums, -1, 0)
    return np.where(spikes > 0, gained / np.maximum(spikes, 1) / np.log(2), np.nan)


def spike_metric_name(protocol: Protocol, *, bin_s: float) -> str:
    """What a score in bits per spike is called: how it was asked, and the width of its bins.

    Args:
        protocol: `co_smoothing` (units not read), `forward_prediction` (bins after the last read) or `reconstruction`.
        bin_s: Width of a bin, s, above 0.

    Returns:
        The name.

    Raises:
        ValueError: If the width is not above 0.

    Example:
        >>> spike_metric_name("co_smoothing", bin_s=0.02)
        'co_smoothing_bits_per_spike_20ms'
    """
    if not 0 < bin_s < np.inf:
        raise ValueError(f"bin_s={bin_s}: a bin must be wider than 0 s; give its width in seconds, such as 0.02")
    return f"{protocol}_bits_per_spike_{1000 * bin_s:g}ms"


def _likelihood(counts: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Log likelihood of each window's counts, without `log k!`, which is the same for all rates, `(n,)`."""
    rates = np.maximum(rates, LEAST_RATE)
    return (xlogy(counts, rates) - rates).sum((1, 2))
