"""How much better than a constant rate predicted rates tell where the spikes are, in bits per spike.

Symbols: `k` counts, `r` predicted rates, `m` the null model's rates, all in spikes a bin; n bins, N units.

    log L(r) = sum (k log r - r - log k!)
    bits per spike = (log L(r) - log L(m)) / (log 2 sum k)

0 is no better than each unit's mean rate, below 0 is worse. It depends on the width of a bin, so that width is part of
its name. Asked of units that the model did not read it is co-smoothing, of bins after the last one read it is forward
prediction.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import xlogy

Protocol = Literal["co_smoothing", "forward_prediction", "reconstruction"]
LEAST_RATE = 1e-9  # spikes a bin; in place of a predicted rate of 0, under which one spike would be impossible


def bits_per_spike(
    rates: np.ndarray, counts: np.ndarray, *, mask: np.ndarray | None = None, null: np.ndarray | None = None
) -> float:
    """Log likelihood of spikes under predicted rates above that under constant rates, in bits for every spike.

    Args:
        rates: Predicted spikes a bin (..., units), at least 0.
        counts: Spikes (..., units), whole numbers from 0.
        mask: Which entries count (..., units), bool; what stands behind False is not looked at. None for all.
        null: Constant rates of the units (units,), spikes a bin, such as means of the training bins. None for the means
            of the counts scored, as the Neural Latents Benchmark has it; no constant does better than they do.

    Returns:
        Bits per spike, a sum over all units divided by all spikes: units that fire more weigh more.

    Raises:
        ValueError: If shapes disagree, there is no spike, or an entry that counts is negative, not finite or a
            fraction of a spike.

    Source:
        Pei et al. (2021), Neural Latents Benchmark '21: evaluating latent variable models of neural population
        activity.

    Example:
        >>> counts = np.array([[0.0], [0.0], [0.0], [4.0]])
        >>> round(bits_per_spike(counts, counts), 6)  # to know which of four bins has the spikes is worth two bits
        2.0
        >>> bits_per_spike(np.ones((4, 1)), counts)
        0.0
    """
    there = _there(rates, counts, mask)
    rates, counts = np.where(there, rates, 0.0), np.where(there, counts, 0.0)
    _check(rates, counts)
    units = counts.shape[-1]
    means = _means(counts, there) if null is None else _checked(null, units)
    gained = _log_likelihood(np.maximum(rates, LEAST_RATE), counts, there) - _log_likelihood(means, counts, there)
    return float(gained / counts.sum() / np.log(2))


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


def _there(rates: np.ndarray, counts: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Which entries count."""
    mask = np.ones(counts.shape, bool) if mask is None else mask
    if not rates.shape == counts.shape == mask.shape:
        raise ValueError(
            f"shapes differ: rates {rates.shape}, counts {counts.shape}, mask {mask.shape}; give one shape"
        )
    return mask.astype(bool)


def _check(rates: np.ndarray, counts: np.ndarray) -> None:
    """Refuse what is no rate or no count."""
    for name, values in (("rates", rates), ("counts", counts)):
        bad = int(np.sum(~np.isfinite(values) | (values < 0)))
        if bad:
            raise ValueError(f"{name} holds {bad} entries below 0 or not finite: give spikes a bin, or mask them")
    if np.any(counts != np.round(counts)):
        raise ValueError("counts holds fractions: bits per spike is defined for counts, neither smoothed nor scaled")
    if not counts.any():
        raise ValueError("counts holds no spike: bits per spike is undefined; use more bins, or leave the part out")


def _checked(null: np.ndarray, units: int) -> np.ndarray:
    """Constant rates, none of them 0."""
    if null.shape != (units,) or not np.all(null >= 0):
        raise ValueError(f"null has shape {null.shape}: give one rate of at least 0 for each of {units} units")
    return np.maximum(null, LEAST_RATE)


def _means(counts: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean of each unit over its entries that count (units,); 0 for one without."""
    axes = tuple(range(counts.ndim - 1))
    return counts.sum(axes) / np.maximum(there.sum(axes), 1)


def _log_likelihood(rates: np.ndarray, counts: np.ndarray, there: np.ndarray) -> float:
    """Log likelihood of Poisson counts, without `log k!`, which is the same for all rates."""
    return float(np.sum(np.where(there, xlogy(counts, rates) - rates, 0.0)))
