"""Long short-term memory: the recurrent network to compare with."""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.models.configs import LstmConfig


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

    def step(self, token: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """State `(batch, hidden_dim)` after one token `(batch, hidden_dim)` of a stream, and what to carry on from."""
        states, carried = self(token.unsqueeze(1), state)
        return states.squeeze(1), carried
