"""How much a window of each class counts, so that all classes count the same together."""

from __future__ import annotations

import torch
from torch import Tensor


def balanced(y: Tensor, *, classes: int) -> Tensor:
    """Weights that make up for how often each class occurs; over the windows given they are 1 in the mean.

    Args:
        y: Labels of the training windows, (windows,), int64.
        classes: Number of classes.

    Returns:
        `windows / (classes that occur * windows of the class)`, (classes,), float32; 0 for a class without a window.

    Source:
        King and Zeng 2001, "Logistic regression in rare events data", eq. 8, with equal shares in the population.

    Example:
        >>> balanced(torch.tensor([0, 0, 0, 1]), classes=2)
        tensor([0.6667, 2.0000])
    """
    counts = torch.bincount(y, minlength=classes)
    present = (counts > 0).sum()
    weights = len(y) / (present * counts.clamp_min(1))
    return weights.masked_fill(counts == 0, 0.0).float()
