"""An LSTM that reads a window from both ends and stops where the recording does."""

from __future__ import annotations

from torch import Tensor, nn


class BothWays(nn.Module):
    """One LSTM forwards and one backwards, joined to a feature vector a frame.

    Args:
        inputs: Numbers of a frame.
        dim: Width of the result.

    Source:
        Schuster and Paliwal 1997, "Bidirectional recurrent neural networks".
    """

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, -(-dim // 2), batch_first=True, bidirectional=True)
        self.join = nn.Linear(2 * -(-dim // 2), dim)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Frames (B, N, inputs) to (B, N, dim); the backward reading begins at each window's last true frame."""
        if mask is None:
            return self.join(self.lstm(frames)[0])
        packed = nn.utils.rnn.pack_padded_sequence(frames, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=frames.shape[1]
        )
        return self.join(states)
