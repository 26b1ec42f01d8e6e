"""PopT: what a population says, whoever is in it and in whatever order.

Shapes: B batch, n members (units, channels or latents), D channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.layers.attention_block import AttentionBlock
from neurofmx.tokenizers.positions import fourier


class PopulationTransformer(nn.Module):
    """Set attention over the members of a population and one learnt summary.

    Permuting the members (with mask and positions) permutes their outputs alike and leaves the summary as it is, up to
    rounding: nothing here knows an order. Where positions are known, they are added as waves of several lengths. The
    summary begins as a learnt vector plus the mean member, which trains faster than the learnt vector alone.

    Args:
        dim: Channels of a member.
        heads: Attention heads; must divide `dim`.
        layers: Blocks, 1 or more.
        feedforward: Width of the feed-forward layers in units of `dim`.
        positions: Whether members bring positions.
        extent: Size of what is recorded, m, for the features of positions.
        octaves: Wavelengths of those features.
        dropout: Share of what each part adds that is dropped in training.
        attention_dropout: Share of attention weights dropped in training.

    Source:
        Chau et al. 2024, "Population Transformer: Learning population-level representations of neural activity",
        arXiv:2406.03044, section 3 (a transformer over channels with their positions and a summary token).
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        layers: int = 1,
        feedforward: int = 4,
        positions: bool = False,
        extent: float = 0.2,
        octaves: int = 4,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        how = {"heads": heads, "feedforward": feedforward, "dropout": dropout, "attention_dropout": attention_dropout}
        self.extent, self.octaves = extent, octaves
        self.summary = nn.Parameter(0.02 * torch.randn(dim))
        self.place = nn.Linear(6 * octaves, dim, bias=False) if positions else None
        self.blocks = nn.ModuleList(AttentionBlock(dim, **how) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, members: Tensor, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the population says, and its members after they have looked at each other.

        Args:
            members: Members (B, n, D); one behind the mask may be NaN.
            mask: Which of them are there (B, n), bool; None for all.
            positions: Where they sit (B, n, 3), m, NaN where nobody knows; for a model built with `positions`.

        Returns:
            Summary (B, D), the same for any order of the members, and the members (B, n, D) in their order, 0 where
            the mask is false.

        Raises:
            ValueError: If positions are missing, or given to a model built without.
        """
        there = None if mask is None else mask[..., None]
        members = self._placed(members if there is None else members.masked_fill(~there, 0.0), positions)
        tokens = torch.cat([self.summary + _mean(members, there), members], 1)
        visible = None if mask is None else nn.functional.pad(mask, (1, 0), value=True)[:, None]
        for block in self.blocks:
            tokens = block(tokens, mask=visible)
        tokens = self.norm(tokens)
        found = tokens[:, 1:]
        return tokens[:, 0], found if there is None else found.masked_fill(~there, 0.0)

    def _placed(self, members: Tensor, positions: Tensor | None) -> Tensor:
        """Members with what their positions say; nothing is added where nobody knows."""
        if (positions is None) != (self.place is None):
            raise ValueError(
                f"positions={'None' if positions is None else 'a tensor'}: this PopT was built with "
                f"positions={self.place is not None}; build it with the other value, or leave them as they were"
            )
        if positions is None or self.place is None:
            return members
        known = positions.isfinite().all(-1, keepdim=True)
        features = fourier(positions.nan_to_num(posinf=0.0, neginf=0.0), extent=self.extent, octaves=self.octaves)
        return members + self.place(features.masked_fill(~known, 0.0))


def _mean(members: Tensor, there: Tensor | None) -> Tensor:
    """Mean member (B, 1, D); 0 where there is none."""
    if there is None:
        return members.mean(1, keepdim=True)
    return members.masked_fill(~there, 0.0).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp_min(1)


PopT = PopulationTransformer
