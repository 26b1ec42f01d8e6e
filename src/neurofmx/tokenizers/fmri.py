"""Blood oxygenation of parcels or voxels, with their place in the atlas."""

from __future__ import annotations

from typing import final

from torch import nn

from neurofmx.tokenizers.channel_mixing import ChannelMixing
from neurofmx.tokenizers.configs import ParcelConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


@final
class FMRITokenizer(Tokenizer):
    """Tokens of parcels or voxels: networks of them, found from their activity and their coordinates.

    Args:
        layout: Of the windows (B, volumes, parcels).
        dim: Width of a token.
        config: Number of networks, and how finely a place is told.
    """

    def __init__(self, layout: Layout, dim: int, config: ParcelConfig | None = None) -> None:
        super().__init__()
        config = config or ParcelConfig()
        self.layout = layout
        self.mixing = ChannelMixing(layout, config.networks, extent=config.extent, octaves=config.octaves)
        self.project = nn.Linear(layout.patch * config.networks, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / patch, dim)."""
        networks = self.mixing(sample.cleared(), sample)
        joined = networks.unflatten(1, (-1, self.layout.patch)).flatten(2)
        return Tokens(self.project(joined), *patches(sample, self.layout))
