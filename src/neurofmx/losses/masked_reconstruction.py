"""Reconstruction of what was hidden: units, stretches of time or whole modalities that a network did not read.

Only entries that were hidden and recorded count. What the network read it could copy, and what was never recorded has
no right answer; neither reaches the loss nor its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from neurofmx.losses.gaussian import gaussian_terms
from neurofmx.losses.masking import fitted, mean_where
from neurofmx.losses.poisson import poisson_terms
from neurofmx.tables import pick

Likelihood = Literal["poisson", "gaussian"]
# prediction, target and mask, one shape -> a term for each entry; a Poisson prediction is the logarithm of a rate
LIKELIHOODS: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "poisson": poisson_terms,
    "gaussian": gaussian_terms,
}


def masked_reconstruction(
    prediction: Tensor,
    target: Tensor,
    *,
    hidden: Tensor,
    recorded: Tensor | None = None,
    likelihood: Likelihood = "gaussian",
) -> Tensor:
    """Mean loss over the entries that were hidden from the network and recorded.

    Args:
        prediction: What the network says (...): logarithms of rates for `poisson`, values for `gaussian`.
        target: What was recorded (...): counts, or values standardised as the predictions are.
        hidden: Which entries the network could not read, bool, broadcasts to the same shape.
        recorded: Which entries exist, as padding and missing channels do not, bool, broadcasts too; None for all.
        likelihood: `poisson` for counts, `gaussian` (squared error) for values.

    Returns:
        A scalar, at least 0; 0 where nothing counts.

    Raises:
        ValueError: If shapes disagree, a mask is not bool, or the likelihood is unknown.

    Source:
        Ye and Pandarinath (2021), Representation learning for neural population activity with Neural Data
        Transformers; only what was hidden counts: He et al. (2022), Masked autoencoders are scalable vision learners.
    """
    mask = fitted(hidden, target) if recorded is None else fitted(hidden, target) & fitted(recorded, target)
    return mean_where(pick(LIKELIHOODS, likelihood, "likelihood")(prediction, target, mask), mask)
