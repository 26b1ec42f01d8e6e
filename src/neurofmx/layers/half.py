"""Layers whose weights and products are of half precision, and whose inputs and outputs are float32.

So the recurrences, norms and residual sums between them stay float32, where a rounding error would be fed back or a
spike be moved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

State = tuple[Tensor, Tensor]


class _HalfMatrix(nn.Module):
    """A matrix of 16 bits a number among the buffers of a module."""

    rounded: Tensor

    def __init__(self, matrix: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("rounded", matrix.detach().to(dtype))

    @property
    def weight(self) -> Tensor:
        """The matrix in float32, made anew at every reading."""
        return self.rounded.float()


class HalfLinear(_HalfMatrix):
    """A linear layer in half precision.

    Args:
        layer: The layer whose weights it rounds.
        dtype: `torch.bfloat16` or `torch.float16`.
    """

    rounded_bias: Tensor | None

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__(layer.weight, dtype)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_buffer("rounded_bias", None if layer.bias is None else layer.bias.detach().to(dtype))

    @property
    def bias(self) -> Tensor | None:
        """The bias in float32 (out_features,), or `None`."""
        return None if self.rounded_bias is None else self.rounded_bias.float()

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs (..., in_features) to outputs (..., out_features), float32."""
        return linear(x.to(self.rounded.dtype), self.rounded, self.rounded_bias).float()


class HalfEmbedding(_HalfMatrix):
    """Vectors of tokens in half precision.

    Args:
        layer: The vectors to round.
        dtype: `torch.bfloat16` or `torch.float16`.
    """

    def __init__(self, layer: nn.Embedding, dtype: torch.dtype) -> None:
        super().__init__(layer.weight, dtype)
        self.num_embeddings, self.embedding_dim = layer.num_embeddings, layer.embedding_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors (..., embedding_dim) of tokens (...), float32."""
        return self.rounded[tokens].float()


class HalfConv(nn.Module):
    """A convolution in half precision.

    Args:
        layer: The convolution to round; it is changed.
        dtype: `torch.bfloat16` or `torch.float16`.
    """

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv, self.dtype = layer.to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        """Convolves inputs (batch, channels, ...), float32."""
        return self.conv(x.to(self.dtype)).float()


class HalfLSTM(nn.Module):
    """Torch's LSTM in half precision, its state included.

    Args:
        layer: The LSTM to round; it is changed.
        dtype: `torch.bfloat16` or `torch.float16`.
    """

    def __init__(self, layer: nn.LSTM, dtype: torch.dtype) -> None:
        super().__init__()
        self.lstm, self.dtype = layer.to(dtype), dtype

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `nn.LSTM`, with outputs in float32 and states in half precision."""
        y, carried = self.lstm(x.to(self.dtype), state)
        return y.float(), carried
