"""The temperature of contrasts, fixed or learnt with the network.

Symbols: `tau` temperature, `e` the parameter of a learnt one.

    tau = LOWEST + exp(e)

Clamped from below in place of that, it would have no gradient to come back by.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOWEST = 0.01  # that it may come near: below, one wrong pair decides the gradient


class Temperature(nn.Module):
    """What the losses that it is given to, such as `info_nce`, divide similarities by.

    Args:
        start: The temperature, of a learnt one at first, above 0.01.
        learnt: Whether it has a parameter; without, it has no state either.

    Raises:
        ValueError: If it is not above 0.01.

    Source:
        Radford et al. (2021), Learning transferable visual models from natural language supervision, section 2.5.

    Example:
        >>> Temperature(0.1)(), round(Temperature(0.1, learnt=True)().item(), 6)
        (0.1, 0.1)
    """

    def __init__(self, start: float, *, learnt: bool = False) -> None:
        super().__init__()
        if not LOWEST < start < math.inf:
            raise ValueError(f"start={start}: a temperature must be above {LOWEST}, usually 0.05 to 0.5")
        self.start = start
        self.log_excess = nn.Parameter(torch.tensor(math.log(start - LOWEST))) if learnt else None

    def forward(self) -> Tensor | float:
        """The temperature now; a learnt one is a scalar with gradient."""
        return self.start if self.log_excess is None else LOWEST + self.log_excess.exp()
