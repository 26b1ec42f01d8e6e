"""Forecasts of the next steps, each step counted by how far ahead it lies.

Symbols: `l[h]` loss of the forecast h steps ahead, h from 1 to H; `g` discount.

    loss = sum_h g^(h-1) mean(l[h]) / sum_h g^(h-1)

The sums go over the entries that count, so steps behind the end of a recording are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neurofmx.losses.masked_reconstruction import LIKELIHOODS, Likelihood
from neurofmx.losses.masking import mean_where
from neurofmx.tables import pick


def forecast_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    mask: Tensor | None = None,
    likelihood: Likelihood = "gaussian",
    discount: float = 1.0,
) -> Tensor:
    """Mean loss of forecasts.

    Args:
        prediction: What the network says of the next H steps (..., H, C): logarithms of rates for `poisson`.
        target: What came (..., H, C).
        mask: Which entries count, bool, broadcasts to the same shape; behind False anything may stand. None for all.
        likelihood: `poisson` for counts, `gaussian` (squared error) for values.
        discount: How much a step counts beside the one before it, above 0 and at most 1.

    Returns:
        A scalar, at least 0; 0 where nothing counts.

    Raises:
        ValueError: If shapes disagree, the mask is not bool, the likelihood is unknown, or the discount out of range.
    """
    if not 0 < discount <= 1:
        raise ValueError(f"discount={discount}: must be above 0 and at most 1; 1 counts all steps the same")
    terms = pick(LIKELIHOODS, likelihood, "likelihood")(prediction, target, mask)
    ahead = torch.arange(terms.shape[-2], device=terms.device, dtype=terms.dtype)
    return mean_where(terms, mask, weight=discount ** ahead[:, None])
