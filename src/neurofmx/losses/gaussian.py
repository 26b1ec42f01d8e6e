"""How far predictions are from measured values: squared error, and the likelihood of a normal distribution.

Symbols: `y` value, `m` predicted mean, `v` predicted variance.

    squared error = (y - m)^2        -log N(y | m, v) = (log v + (y - m)^2 / v + log 2 pi) / 2

With a variance of 1 the second is half the first and a constant. It may be below 0, where values are predicted more
closely than to one unit: weighting by uncertainty refuses it then, so give that the squared error.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neurofmx.kernels.precision import full_precision
from neurofmx.losses.masking import blanked, mean_where


@full_precision
def gaussian_terms(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Squared error of each value; see `squared_error`."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}: give one shape"
        )
    return (blanked(prediction, mask) - blanked(target.to(prediction), mask)).square()


def squared_error(prediction: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean squared error.

    Args:
        prediction: Predicted values (...), standardised as the targets are.
        target: Values (...).
        mask: Which entries count, bool, broadcasts to the same shape; behind False anything may stand. None for all.

    Returns:
        A scalar, at least 0; 0 where nothing counts.

    Raises:
        ValueError: If shapes disagree or the mask is not bool.
    """
    return mean_where(gaussian_terms(prediction, target, mask), mask)


@full_precision
def gaussian_loss(mean: Tensor, log_variance: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean negative log likelihood of values under predicted means and variances.

    Args:
        mean: Predicted means (...).
        log_variance: Logarithms of the predicted variances (...).
        target: Values (...).
        mask: Which entries count, bool, broadcasts to the same shape; behind False anything may stand. None for all.

    Returns:
        A scalar, nats for an entry; 0 where nothing counts.

    Raises:
        ValueError: If shapes disagree or the mask is not bool.

    Source:
        Nix and Weigend (1994), Estimating the mean and variance of the target probability distribution.

    Example:
        >>> zero = torch.zeros(1)
        >>> round(gaussian_loss(zero, zero, zero).item(), 4)  # log(2 pi) / 2
        0.9189
    """
    if log_variance.shape != mean.shape:
        raise ValueError(
            f"log_variance has shape {tuple(log_variance.shape)}, mean {tuple(mean.shape)}: give one shape"
        )
    spread = blanked(log_variance, mask)
    terms = (spread + gaussian_terms(mean, target, mask) * torch.exp(-spread) + math.log(2 * math.pi)) / 2
    return mean_where(terms, mask)
