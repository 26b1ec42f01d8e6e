"""Long short-term memory: the recurrent network to compare with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class LstmConfig(BaseModel):
    """Size of the LSTM. Section `models.<name>` of params.yaml with family `lstm`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=64, ge=1, description="Width of tokens and states.")
    num_layers: int = Field(default=2, ge=1, description="Stacked layers.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of features dropped between layers in training.")


class Lstm(nn.Module):
    """A stack of LSTM layers over tokens.

    Args:
        config: Sizes.

    Shape:
        tokens `(batch, tokens, hidden_dim)` -> states `(batch, tokens, hidden_dim)`.

    Source:
        Hochreiter and Schmidhuber 1997, "Long short-term memory".
    """

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        between = config.dropout if config.num_layers > 1 else 0.0
        self.layers = nn.LSTM(
            config.hidden_dim, config.hidden_dim, config.num_layers, batch_first=True, dropout=between
        )

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """States `(batch, tokens, hidden_dim)` and the hidden and cell state `(layers, batch, hidden_dim)` each."""
        return self.layers(tokens, state)
