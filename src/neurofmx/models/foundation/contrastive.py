"""Projection of states to the sphere on which contrastive losses compare them."""

from __future__ import annotations

from torch import Tensor, nn


class ContrastiveProjection(nn.Module):
    """Two layers and a normalisation: `z = g / |g|, g = W2 gelu(W1 h + b1) + b2`.

    Args:
        dim: Channels of a state.
        width: Channels of what is compared.

    Source:
        Chen et al. 2020, "A simple framework for contrastive learning of visual representations", section 2.1.
    """

    def __init__(self, dim: int, *, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, width))

    def forward(self, states: Tensor) -> Tensor:
        """Unit vectors (..., width) of states (..., dim)."""
        return nn.functional.normalize(self.layers(states), dim=-1)
