"""Neighbouring samples joined to one token: the plain tokenizer, which takes windows of any kind."""

from __future__ import annotations

from torch import nn

from neurofmx.tokenizers.configs import PlainConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


class LinearTokenizer(Tokenizer):
    """Project `patch` consecutive samples of all channels to one token.

    Args:
        layout: Of the windows.
        dim: Width of a token.
        config: Nothing to set.

    Source:
        The patch embedding of Dosovitskiy et al. 2021, "An image is worth 16x16 words", eq. 1, along time.
    """

    def __init__(self, layout: Layout, dim: int, config: PlainConfig | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.project = nn.Linear(layout.patch * layout.channels, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / patch, dim)."""
        joined = sample.cleared().unflatten(1, (-1, self.layout.patch)).flatten(2)
        return Tokens(self.project(joined), *patches(sample, self.layout))
