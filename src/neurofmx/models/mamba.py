"""A plain stack of Mamba blocks: the state-space network to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from neurofmx.kernels.path import computed_by
from neurofmx.layers.mamba import MambaState
from neurofmx.layers.mamba_block import MambaBlock
from neurofmx.models.configs import MambaConfig


class MambaStack(nn.Module):
    """Pre-norm residual Mamba blocks over tokens, without spikes and without a liquid path.

    Args:
        config: Sizes.

    Shape:
        tokens `(batch, tokens, hidden_dim)` -> states `(batch, tokens, hidden_dim)`.

    Source:
        Gu and Dao 2023, "Mamba", section 3.4 and figure 3: blocks interleaved with normalisation and residuals, one
        norm at the end. Layer normalisation as in the other networks, where the paper's code has its root mean square.
    """

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            MambaBlock(
                config.hidden_dim,
                d_state=config.d_state,
                d_conv=config.d_conv,
                expand=config.expand,
                dropout=config.dropout,
                path=config.kernels,
            )
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(self, tokens: Tensor, state: Sequence[MambaState] | None = None) -> tuple[Tensor, list[MambaState]]:
        """States `(batch, tokens, hidden_dim)`, and what each block carries to the next stretch."""
        carried: list[MambaState] = []
        for index, block in enumerate(self.blocks):
            tokens, after = block(tokens, state[index] if state else None)
            carried.append(after)
        return self.norm(tokens), carried

    @property
    def kernels(self) -> str:
        """What computes the scans on the device of the weights, so that a score can name it."""
        device = next(self.parameters()).device
        first = self.blocks[0]
        assert isinstance(first, MambaBlock)
        return computed_by({"selective_scan": first.mamba.path_on(device)}, device)
