"""Attention of tokenizers: to all of a window, past and future, but to nothing that was not recorded."""

from __future__ import annotations

from torch import Tensor, nn


class Attention(nn.Module):
    """Adds to each query what it finds in a context.

    Args:
        dim: Width of queries and context.
        heads: Attention heads; must divide `dim`.

    Raises:
        ValueError: If the heads do not divide the width.

    Source:
        Vaswani et al. 2017, "Attention is all you need", equation 1, with the norm before it.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"tokenizer_options heads={heads}: must divide hidden_dim={dim}")
        self.heads = heads
        self.norm_query, self.norm_context = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key_value, self.mix = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)

    def forward(self, query: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Queries (B, N, D) with what they find in the context (B, M, D) where its mask (B, M) is true."""
        parts = (self.query(self.norm_query(query)), *self.key_value(self.norm_context(context)).chunk(2, -1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = None if mask is None else mask[:, None, None]
        found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return query + self.mix(found.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """Blocks of self-attention and a feed-forward layer, each added to its input.

    Args:
        dim: Width of a token.
        layers: Blocks.
        heads: Attention heads; must divide `dim`.
    """

    def __init__(self, dim: int, *, layers: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.ModuleList(Attention(dim, heads) for _ in range(layers))
        self.think = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
            for _ in range(layers)
        )

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D); what the mask (B, N) leaves out is not looked at."""
        for attend, think in zip(self.attend, self.think, strict=True):
            tokens = attend(tokens, tokens, mask)
            tokens = tokens + think(tokens)
        return tokens
