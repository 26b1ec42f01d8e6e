"""Mamba blocks along the time steps: each latent is a sequence of its own, and carries what its window left behind.

Shapes: B rows, K steps, L latents, D channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from neurofmx.kernels.path import computed_by
from neurofmx.layers.mamba import MambaState
from neurofmx.layers.mamba_block import MambaBlock
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.recompute import called


class Dynamics(nn.Module):
    """Residual Mamba blocks over the steps, with a normalisation at the end.

    Args:
        config: That of the model.

    Source:
        Gu and Dao 2023, "Mamba", section 3.4.
    """

    def __init__(self, config: NeurofmxConfig) -> None:
        super().__init__()
        sizes, self.recompute = config.sizes, config.sizes.recompute
        self.blocks = nn.ModuleList(
            MambaBlock(
                sizes.hidden_dim,
                d_state=config.d_state,
                d_conv=config.d_conv,
                expand=config.expand,
                dropout=config.dropout,
                path=config.kernels,
            )
            for _ in range(sizes.num_layers)
        )
        self.norm = nn.LayerNorm(sizes.hidden_dim)

    def forward(self, latents: Tensor, state: Sequence[MambaState] | None = None) -> tuple[Tensor, list[MambaState]]:
        """Latents (B, K, L, D) after the blocks, and what each block carries on; a stretch of no steps changes nothing.

        Args:
            latents: Latents (B, K, L, D).
            state: What the call on the stretch before returned; None at the start.
        """
        if not latents.shape[1]:
            return latents, list(state or [])
        sequences, carried = latents.transpose(1, 2).flatten(0, 1), list[MambaState]()
        before: Sequence[MambaState | None] = state or [None] * len(self.blocks)
        for block, known in zip(self.blocks, before, strict=True):
            sequences, after = called(block, sequences, known, recompute=self.recompute)
            carried.append(after)
        return self.norm(sequences).unflatten(0, (len(latents), -1)).transpose(1, 2), carried

    @property
    def kernels(self) -> str:
        """What computes the scans on the device of the weights, so that a score can name it."""
        device = next(self.parameters()).device
        first = self.blocks[0]
        assert isinstance(first, MambaBlock)
        return computed_by({"selective_scan": first.mamba.path_on(device)}, device)
