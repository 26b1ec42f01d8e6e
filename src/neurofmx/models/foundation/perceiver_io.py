"""Perceiver IO: any number of inputs into a few latents, and any number of questions answered from them.

Shapes: B batch, M inputs, L latents, Q queries. Cost is M L + Q L + depth L^2, never M^2.
"""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.layers.attention_block import AttentionBlock


class PerceiverEncoder(nn.Module):
    """Latents look at the inputs once, then `depth` times at each other.

    Args:
        dim: Channels of inputs and latents.
        heads: Attention heads; must divide `dim`.
        depth: Blocks of self-attention among the latents, 0 or more.
        feedforward: Width of the feed-forward layers in units of `dim`.
        dropout: Share of what each part adds that is dropped in training.
        attention_dropout: Share of attention weights dropped in training.

    Source:
        Jaegle et al. 2022, "Perceiver IO: A general architecture for structured inputs and outputs", ICLR, section 3.1,
        steps read and process; latents come from outside, as here they differ from step to step.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        depth: int = 1,
        feedforward: int = 4,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        how = {"heads": heads, "feedforward": feedforward, "dropout": dropout, "attention_dropout": attention_dropout}
        self.read = AttentionBlock(dim, cross=True, **how)
        self.process = nn.ModuleList(AttentionBlock(dim, **how) for _ in range(depth))

    def forward(self, latents: Tensor, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Latents after reading and processing.

        Args:
            latents: Latents (B, L, dim).
            inputs: Inputs (B, M, dim).
            mask: Which inputs a latent sees (B, L, M) or (B, 1, M), bool; None for all. What no latent sees may be NaN.

        Returns:
            Latents (B, L, dim).
        """
        return self.steps(latents[:, None], inputs, None if mask is None else mask[:, None])[:, 0]

    def steps(self, latents: Tensor, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same for latents of K steps, which look at the inputs of all steps but only at each other in their own.

        Args:
            latents: Latents (B, K, L, dim).
            inputs: Inputs (B, M, dim).
            mask: Which inputs the latents of a step see (B, K, L, M) or (B, K, 1, M), bool; None for all.

        Returns:
            Latents (B, K, L, dim).
        """
        shape = latents.shape
        if mask is not None:
            mask = mask.expand(-1, -1, shape[2], -1).flatten(1, 2)
        latents = self.read(latents.flatten(1, 2), inputs, mask).reshape(-1, *shape[2:])
        for block in self.process:
            latents = block(latents)
        return latents.view(shape)


class PerceiverDecoder(nn.Module):
    """Queries look at the latents once; what a query does not depend on is any other query.

    Args:
        dim: Channels of queries, latents and answers.
        heads: Attention heads; must divide `dim`.
        feedforward: Width of the feed-forward layer in units of `dim`.
        dropout: Share of what each part adds that is dropped in training.
        attention_dropout: Share of attention weights dropped in training.

    Source:
        Jaegle et al. 2022, section 3.2, decoding with a query array.
    """

    def __init__(
        self, dim: int, *, heads: int, feedforward: int = 4, dropout: float = 0.0, attention_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.look = AttentionBlock(
            dim,
            heads=heads,
            feedforward=feedforward,
            cross=True,
            dropout=dropout,
            attention_dropout=attention_dropout,
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, latents: Tensor, mask: Tensor | None = None) -> Tensor:
        """Answers (B, Q, dim) to queries (B, Q, dim) from latents (B, L, dim), as far as the mask (B, Q, L) lets."""
        return self.norm(self.look(queries, latents, mask))


class PerceiverIO(nn.Module):
    """Encoder and decoder in a row: `decoder(queries, encoder(latents, inputs))`.

    Args:
        dim: Channels of inputs, latents, queries and answers.
        heads: Attention heads; must divide `dim`.
        depth: Blocks of self-attention among the latents.
        feedforward: Width of the feed-forward layers in units of `dim`.
        dropout: Share of what each part adds that is dropped in training.
        attention_dropout: Share of attention weights dropped in training.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        depth: int = 1,
        feedforward: int = 4,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        how = {"heads": heads, "feedforward": feedforward, "dropout": dropout, "attention_dropout": attention_dropout}
        self.encoder, self.decoder = PerceiverEncoder(dim, depth=depth, **how), PerceiverDecoder(dim, **how)

    def forward(self, inputs: Tensor, latents: Tensor, queries: Tensor, mask: Tensor | None = None) -> Tensor:
        """Answers to queries (B, Q, dim) about inputs (B, M, dim), which latents (B, L, dim) see as far as the mask."""
        return self.decoder(queries, self.encoder(latents, inputs, mask))
