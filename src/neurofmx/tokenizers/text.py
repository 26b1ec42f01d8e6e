"""Tokens of a text: a learnt vector for each."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from neurofmx.tokenizers.configs import TextConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


@final
class TextTokenizer(Tokenizer):
    """Look the vector of every token up, and that of its place if places are learnt.

    Places are counted from the start of what is read, over all calls that carry a state on.

    Args:
        layout: Of the windows (B, T, 1), whose samples are numbers of tokens.
        dim: Width of a token.
        config: Width and first length of the vectors, learnt places, and how much is dropped in training.

    Raises:
        ValueError: If the windows hold no numbers of tokens, or more of them than there are places.

    Source:
        Bengio et al. 2003, A neural probabilistic language model, section 2, the matrix C; learnt places: Devlin et
        al. 2019, BERT, section 3.
    """

    def __init__(self, layout: Layout, dim: int, config: TextConfig | None = None) -> None:
        super().__init__()
        config, tokens = config or TextConfig(), layout.shape[0]
        if not layout.vocabulary:
            raise ValueError("tokenizer=text reads numbers of tokens, these windows hold measurements; use linear")
        if tokens > (places := config.max_position_embeddings or tokens):
            raise ValueError(
                f"tokenizer_options.max_position_embeddings={places}: must be at least the {tokens} tokens of a "
                "window; null learns no places"
            )
        self.layout = layout
        width = config.embedding_dim or dim
        self.vectors = nn.Embedding(layout.vocabulary, width)
        with torch.no_grad():
            self.vectors.weight *= config.spread
        self.places = _places(config.max_position_embeddings, width)
        self.longest = config.max_position_embeddings
        self.project = nn.Identity() if width == dim else nn.Linear(width, dim)
        self.dropout = nn.Dropout(config.embedding_dropout)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T, dim).

        Raises:
            ValueError: If there are tokens behind the last place.
        """
        vectors = self.vectors(sample.x[..., 0])
        if self.places is not None:
            stop = sample.start + vectors.shape[1]
            self.check_room(stop)
            vectors = vectors + self.places.weight[sample.start : stop]
        return Tokens(self.project(self.dropout(vectors)), *patches(sample, self.layout))


def _places(places: int | None, width: int) -> nn.Embedding | None:
    """Small vectors at first, so that a token is told before its place is."""
    if places is None:
        return None
    made = nn.Embedding(places, width)
    nn.init.normal_(made.weight, std=0.02)
    return made
