"""Tokens of a text: a learnt vector for each."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from neurofmx.tokenizers.configs import TextConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


@final
class TextTokenizer(Tokenizer):
    """Look the vector of every token up.

    Args:
        layout: Of the windows (B, T, 1), whose samples are numbers of tokens.
        dim: Width of a token.
        config: How long the vectors are at first, and how much of them is dropped in training.

    Raises:
        ValueError: If the windows hold no numbers of tokens.

    Source:
        Bengio et al. 2003, A neural probabilistic language model, section 2, the matrix C.
    """

    def __init__(self, layout: Layout, dim: int, config: TextConfig | None = None) -> None:
        super().__init__()
        if not layout.vocabulary:
            raise ValueError("tokenizer=text reads numbers of tokens, these windows hold measurements; use linear")
        self.layout = layout
        config = config or TextConfig()
        self.vectors = nn.Embedding(layout.vocabulary, dim)
        with torch.no_grad():
            self.vectors.weight *= config.spread
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T, dim)."""
        return Tokens(self.dropout(self.vectors(sample.x[..., 0])), *patches(sample, self.layout))
