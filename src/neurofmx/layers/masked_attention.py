"""Attention from some vectors to others, with a mask that says who sees whom.

Shapes: B batch, Q vectors that look, M vectors looked at, H heads, E channels per head.

    y = softmax(Q K^T / sqrt(E)) V W_o

A key behind the mask is no part of the softmax, whatever it holds. Who sees nobody finds 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaskedAttention(nn.Module):
    """Multi-head attention over a set, computed by the fused kernels of `scaled_dot_product_attention`.

    Args:
        dim: Channels of what looks, and of the output.
        heads: Number of heads; must divide `dim`.
        dropout: Share of attention weights dropped in training, 0 to below 1.

    Raises:
        ValueError: If `heads` does not divide `dim`.

    Source:
        Vaswani et al. 2017, "Attention is all you need", equation 1 and section 3.2.2; Dao et al. 2022,
        "FlashAttention", algorithm 1 (one of those kernels).
    """

    def __init__(self, dim: int, *, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads={heads} must divide dim={dim}; take one of its divisors")
        self.heads, self.dropout = heads, dropout
        self.query, self.key_value = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """What each vector finds.

        Args:
            x: Vectors that look (B, Q, dim).
            context: Vectors looked at (B, M, dim), M may be 0.
            mask: Whom each sees (B, Q, M) or (B, 1, M), bool; None for all.

        Returns:
            Found vectors (B, Q, dim), without a residual connection.
        """
        if not context.shape[1]:
            return self.output(torch.zeros_like(x))
        queries = self._heads(self.query(x))
        keys, values = map(self._heads, self.key_value(cleared(context, mask)).chunk(2, -1))
        anyone = None if mask is None else mask.any(-1, keepdim=True)
        found = nn.functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            # a softmax over nothing is 0 / 0 in some kernels: who sees nobody looks at all, and its find is dropped
            attn_mask=None if mask is None or anyone is None else (mask | ~anyone)[:, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        found = found.transpose(1, 2).flatten(2)
        return self.output(found if anyone is None else found.masked_fill(~anyone, 0.0))

    def _heads(self, x: Tensor) -> Tensor:
        """(B, n, dim) as (B, H, n, E)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def cleared(context: Tensor, mask: Tensor | None) -> Tensor:
    """The vectors looked at (B, M, channels) with 0 in those that nobody sees, so that they may hold NaN.

    Args:
        context: Vectors (B, M, channels).
        mask: Who sees them (B, Q, M) or (B, 1, M), bool; None for all.
    """
    return context if mask is None else context.masked_fill(~mask.any(1)[..., None], 0.0)
