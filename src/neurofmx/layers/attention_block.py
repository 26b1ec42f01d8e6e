"""A residual block of masked attention and a feed-forward layer, each behind a normalisation.

x <- x + attention(norm(x), norm(context))        x <- x + feedforward(norm(x))
"""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.layers.masked_attention import MaskedAttention, cleared


class AttentionBlock(nn.Module):
    """Vectors look at each other, or at others, and pass a feed-forward layer.

    Args:
        dim: Channels.
        heads: Attention heads; must divide `dim`.
        feedforward: Width of the feed-forward layer in units of `dim`, 1 or more.
        cross: Whether the block looks at a `context`, which then has a normalisation of its own.
        dropout: Share of what each part adds that is dropped in training.
        attention_dropout: Share of attention weights dropped in training.

    Source:
        Xiong et al. 2020, "On layer normalization in the transformer architecture", figure 1b; Jaegle et al. 2021,
        "Perceiver IO", section 3.1 and appendix E.2 (the same block for cross-attention).
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        feedforward: int = 4,
        cross: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm, self.norm_feedforward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(dim) if cross else None
        self.attention = MaskedAttention(dim, heads=heads, dropout=attention_dropout)
        wide = feedforward * dim
        self.feedforward = nn.Sequential(nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """The vectors after the block.

        Args:
            x: Vectors that look (B, Q, dim).
            context: Vectors looked at (B, M, dim), for a block with `cross` alone; others look at `x`.
            mask: Whom each sees (B, Q, M) or (B, 1, M), bool; None for all.

        Returns:
            Vectors (B, Q, dim).

        Raises:
            ValueError: If a context is missing, or given where there is none to look at.
        """
        if (context is None) != (self.norm_context is None):
            raise ValueError(
                f"context={'None' if context is None else 'a tensor'}: this block was built with "
                f"cross={self.norm_context is not None}; give a context to a block with cross=True alone"
            )
        own = self.norm(x)
        seen = own
        if context is not None and self.norm_context is not None:
            seen = self.norm_context(cleared(context, mask))  # before the norm, which would hand NaN to its weights
        x = x + self.dropout(self.attention(own, seen, mask))
        return x + self.dropout(self.feedforward(self.norm_feedforward(x)))
