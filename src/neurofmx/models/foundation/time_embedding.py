"""What a time in seconds looks like to the network: waves of many periods, mixed by learnt weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WAVES = 16


class TimeEmbedding(nn.Module):
    """Vectors for times on a row's clock, the same for every modality whatever its rate.

    Args:
        dim: Channels of a vector.
        shortest: Shortest period, s, above 0.
        longest: Longest period in units of the shortest.

    Source:
        Vaswani et al. 2017, "Attention is all you need", section 3.5, with periods in seconds in place of positions.
    """

    periods: Tensor

    def __init__(self, dim: int, *, shortest: float, longest: float = 1000.0) -> None:
        super().__init__()
        if shortest <= 0:
            raise ValueError(f"shortest={shortest}: must be a period in seconds, above 0")
        periods = shortest * longest ** (torch.arange(WAVES) / (WAVES - 1))
        self.register_buffer("periods", periods, persistent=False)
        self.project = nn.Linear(2 * WAVES, dim)

    def forward(self, time: Tensor) -> Tensor:
        """Vectors (..., dim) of times (...,), s."""
        # turns in double precision: an hour at a period of a millisecond is beyond what single precision can tell apart
        turns = torch.remainder(time.double()[..., None] / self.periods.double(), 1.0)
        angle = (2 * math.pi * turns).to(self.periods.dtype)  # the weights may be in a form for inference
        return self.project(torch.cat([angle.sin(), angle.cos()], -1))
