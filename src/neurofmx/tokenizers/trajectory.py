"""Movement of a body, a joint or a robot: where it is, and how fast it goes."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from neurofmx.tokenizers.configs import TrajectoryConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


@final
class TrajectoryTokenizer(Tokenizer):
    """Project the positions and velocities of `patch` consecutive samples to one token.

    Args:
        layout: Of the windows (B, T, variables).
        dim: Width of a token.
        config: The time over which a velocity counts.
    """

    def __init__(self, layout: Layout, dim: int, config: TrajectoryConfig | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.velocity_scale = (config or TrajectoryConfig()).velocity_s * layout.rate
        self.project = nn.Linear(2 * layout.patch * layout.channels, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / patch, dim)."""
        x = sample.cleared().flatten(2)
        velocity = self.velocity_scale * torch.diff(x, dim=1, prepend=x[:, :1])
        if sample.recorded is not None:  # the fall to 0 behind the end is no movement
            velocity = velocity.masked_fill(~sample.recorded[..., None], 0.0)
        joined = torch.cat([x, velocity], -1).unflatten(1, (-1, self.layout.patch)).flatten(2)
        return Tokens(self.project(joined), *patches(sample, self.layout))
