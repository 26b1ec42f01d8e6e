"""How surprising counts are under predicted rates: the negative log likelihood of a Poisson distribution.

Symbols: `k` count, `r` predicted rate in the same bin.

    -log P(k | r) = r - k log r + log k!        d/d(log r) = r - k

It is at least 0, since no probability is above 1, so that it can be weighted by its uncertainty.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neurofmx.kernels.precision import full_precision
from neurofmx.losses.masking import blanked


@full_precision
def poisson_terms(log_rate: Tensor, counts: Tensor, mask: Tensor | None = None) -> Tensor:
    """Negative log likelihood of each count.

    Args:
        log_rate: Logarithm of the predicted counts in a bin (...), any number below 88, where the rate overflows.
        counts: Counts (...), at least 0.
        mask: Which entries count, bool, broadcasts to the same shape; behind False anything may stand. None for all.

    Returns:
        A term for each entry (...), nats, at least 0 for whole counts; behind the mask that of no count at a rate of 1.

    Raises:
        ValueError: If shapes disagree or the mask is not bool.

    Source:
        As a loss for spikes: Pandarinath et al. (2018), Inferring single-trial neural population dynamics using
        sequential auto-encoders.

    Example:
        >>> round(poisson_terms(torch.tensor([0.0]), torch.tensor([3.0])).item(), 4)  # -log(exp(-1) / 3!)
        2.7918
    """
    if log_rate.shape != counts.shape:
        raise ValueError(f"log_rate has shape {tuple(log_rate.shape)}, counts {tuple(counts.shape)}: give one shape")
    log_rate, counts = blanked(log_rate, mask), blanked(counts.to(log_rate), mask)
    return log_rate.exp() - counts * log_rate + torch.lgamma(counts + 1)
