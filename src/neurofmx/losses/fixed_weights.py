"""Weights that stay as they are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neurofmx.losses.weighting import Weighting


class FixedWeights(Weighting):
    """The sum of the losses, each times its weight.

    Args:
        names: What the losses are called.
        weights: A weight for some or all names, at least 0; the others have 1.

    Raises:
        ValueError: If a weight is negative or no number, or of no loss.
    """

    def __init__(self, names: Sequence[str], *, weights: Mapping[str, float] | None = None) -> None:
        super().__init__(names)
        given = dict(weights or {})
        wrong = {name: weight for name, weight in given.items() if name not in names or not 0 <= weight < math.inf}
        if wrong:
            raise ValueError(f"weights={wrong}: give numbers from 0 for some of {', '.join(names)}")
        self._weights = {name: float(given.get(name, 1.0)) for name in names}

    def total(self, losses: Mapping[str, Tensor], *, shared: Sequence[Tensor] = ()) -> Tensor:
        """The weighted sum of the losses that are there."""
        return torch.stack([self._weights[name] * loss for name, loss in losses.items()]).sum()

    def weights(self) -> dict[str, float]:
        """The weights given."""
        return dict(self._weights)
