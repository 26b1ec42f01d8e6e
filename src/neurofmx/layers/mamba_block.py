"""A Mamba layer on normalised tokens, added to its input."""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.kernels.path import Path
from neurofmx.layers.mamba import Mamba, MambaState


class MambaBlock(nn.Module):
    """Pre-norm residual Mamba block: `x + dropout(mamba(norm(x)))`.

    Args:
        dim: Channels of input and output.
        d_state: States per inner channel.
        d_conv: Width of the causal convolution in tokens.
        expand: Inner channels per channel.
        dropout: Share of what the layer adds that is dropped in training.
        path: Which computation of convolution and scan runs.

    Source:
        Gu and Dao 2023, "Mamba", section 3.4. Layer normalisation as in the other networks, where the paper's code has
        its root mean square.
    """

    def __init__(
        self,
        dim: int,
        *,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dropout: float = 0.0,
        path: Path = "auto",
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mamba = Mamba(dim, d_state=d_state, d_conv=d_conv, expand=expand, path=path)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Tokens (B, L, dim) after the block, and what it carries to the next stretch."""
        y, after = self.mamba(self.norm(x), state)
        return x + self.dropout(y), after
