"""Weights that each loss learns from how far it can be brought down.

Symbols: `L[i]` loss i, `s[i]` logarithm of the variance of what it measures.

    total = sum_i (exp(-s[i]) L[i] + s[i]) / 2        lowest at s[i] = log L[i]

So a loss that stays large counts less, and at the optimum every term pulls as hard as any other, whatever its unit. The
paper writes this for squared errors, and for cross-entropies with L[i] twice as large: that moves `s` by log 2 and
leaves the weight at the optimum, 1 / (2 L[i]), as it is, so one form serves both.

Losses must not be negative: the optimum of one that is lies at an infinite weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from neurofmx.losses.weighting import Weighting


class UncertaintyWeights(Weighting):
    """Weights by learnt uncertainty. Its parameters go to the optimiser beside the network's, without weight decay.

    Args:
        names: What the losses are called.

    Source:
        Kendall, Gal and Cipolla (2018), Multi-task learning using uncertainty to weigh losses for scene geometry and
        semantics, section 3.2.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def total(self, losses: Mapping[str, Tensor], *, shared: Sequence[Tensor] = ()) -> Tensor:
        """The weighted sum; what a step lacks leaves its own uncertainty alone.

        Raises:
            ValueError: If a loss is negative.
        """
        values = torch.stack([loss.detach() for loss in losses.values()]).tolist()
        negative = {name: value for name, value in zip(losses, values, strict=True) if value < 0}
        if negative:
            raise ValueError(
                f"losses {negative} are below 0, where weighting by uncertainty has no optimum: use losses that are at "
                "least 0, such as squared errors, or fixed weights"
            )
        terms = [loss * torch.exp(-self.log_variance[name]) + self.log_variance[name] for name, loss in losses.items()]
        return torch.stack(terms).sum() / 2

    def weights(self) -> dict[str, float]:
        """`exp(-s) / 2` of each loss."""
        return {name: math.exp(-self.log_variance[name].item()) / 2 for name in self.names}
