"""A temperature of contrasts that is learnt with the network.

Symbols: `tau` temperature, `e` the parameter.

    tau = LOWEST + exp(e)

Clamped from below in place of that, it would have no gradient to come back by.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOWEST = 0.01  # that it may come near: below, one wrong pair decides the gradient


class LearntTemperature(nn.Module):
    """What similarities are divided by, learnt by the losses that it is given to, such as `info_nce`.

    Args:
        start: The temperature at first, above 0.01.

    Raises:
        ValueError: If it is not above 0.01.

    Source:
        Radford et al. (2021), Learning transferable visual models from natural language supervision, section 2.5.

    Example:
        >>> round(LearntTemperature(0.1)().item(), 6)
        0.1
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        if not LOWEST < start < math.inf:
            raise ValueError(f"start={start}: a learnt temperature must be above {LOWEST}, usually 0.05 to 0.5")
        self.log_excess = nn.Parameter(torch.tensor(math.log(start - LOWEST)))

    def forward(self) -> Tensor:
        """The temperature now, a scalar with gradient."""
        return LOWEST + self.log_excess.exp()
