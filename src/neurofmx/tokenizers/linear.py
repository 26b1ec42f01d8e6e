"""Neighbouring samples joined to one token: the plain tokenizer of spikes, voxels, parcels and image rows."""

from __future__ import annotations

from torch import Tensor, nn


class LinearTokenizer(nn.Module):
    """Project `patch` consecutive samples of all channels to one token.

    Args:
        channels: Channels of a window.
        dim: Width of a token.
        patch: Samples that share a token; must divide the window's length.

    Shape:
        window `(batch, time, channels)` -> tokens `(batch, time / patch, dim)`.

    Source:
        The patch embedding of Dosovitskiy et al. 2021, "An image is worth 16x16 words", eq. 1, along time.
    """

    def __init__(self, channels: int, dim: int, *, patch: int = 1) -> None:
        super().__init__()
        self.patch = patch
        self.project = nn.Linear(patch * channels, dim)

    def forward(self, window: Tensor) -> Tensor:
        """Tokens of a window, shape `(batch, time / patch, dim)`."""
        return self.project(window.unflatten(1, (-1, self.patch)).flatten(2))
