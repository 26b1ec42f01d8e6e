"""How far predictions are from measured values: the squared error.

It is minus the log likelihood of a normal distribution with one variance for all, but for constants.
"""

from __future__ import annotations

from torch import Tensor

from neurofmx.kernels.precision import full_precision
from neurofmx.losses.masking import blanked


@full_precision
def gaussian_terms(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Squared error of each value.

    Args:
        prediction: Predicted values (...), standardised as the targets are.
        target: Values (...).
        mask: Which entries count, bool, broadcasts to the same shape; behind False anything may stand. None for all.

    Returns:
        A term for each entry (...), at least 0; 0 behind the mask.

    Raises:
        ValueError: If shapes disagree or the mask is not bool.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}: give one shape"
        )
    return (blanked(prediction, mask) - blanked(target.to(prediction), mask)).square()
