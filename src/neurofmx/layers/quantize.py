"""Weights of 8 bits for inference: a quarter of the memory, read once a token.

Every output channel of a matrix has a scale and a zero point of its own, so that one large weight coarsens its own row
alone. Inputs, sums and outputs stay float32, and so does everything that is no large matrix: biases, norms, time
constants, thresholds, the synapses of `ltc` cells, wired or not, the depthwise convolution of Mamba.

Symbols: `w` weight, `q` its number, `s` scale, `z` zero point of its channel; `l, h` least and largest weight of it.

    q = round(w / s) + z,    |w - s (q - z)| <= s / 2
    asymmetric: s = (h - l) / 255, z = -128 - round(l / s), with l <= 0 <= h        symmetric: s = max |w| / 127, z = 0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from neurofmx.kernels.linear import Quantized, row_linear
from neurofmx.tables import pick

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Scheme = Literal["asymmetric", "symmetric"]
_LEAST, _MOST = -128, 127


def _asymmetric(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and zero point that spend all 256 numbers on the range of a channel, 0 included."""
    low, high = matrix.amin(1).clamp(max=0), matrix.amax(1).clamp(min=0)
    scale = _above_zero((high - low) / (_MOST - _LEAST))
    return scale, _LEAST - (low / scale).round()


def _symmetric(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Scale for a range around 0, whose zero point is 0."""
    scale = _above_zero(matrix.abs().amax(1) / _MOST)
    return scale, torch.zeros_like(scale)


def _above_zero(scale: Tensor) -> Tensor:
    """Scales, of a channel of zeros any: here 1."""
    return torch.where(scale > 0, scale, 1.0)


SCHEMES: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {"asymmetric": _asymmetric, "symmetric": _symmetric}


@torch.no_grad()
def quantize(matrix: Tensor, *, scheme: Scheme = "asymmetric") -> Quantized:
    """Rounds a matrix to 8 bits a number.

    Args:
        matrix: Weights (outputs, inputs).
        scheme: `asymmetric`, which fits ranges that lie beside 0, or `symmetric`, whose zero points are 0.

    Returns:
        The numbers, with a scale and a zero point for every output.

    Raises:
        ValueError: If the scheme is unknown, or a weight is infinite or no number.

    Source:
        Jacob et al. (2018), Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference, section 2.1; a range for every output channel: Krishnamoorthi (2018), Quantizing deep convolutional
        networks for efficient inference, section 2.

    Example:
        >>> numbers, scale, zero_point = quantize(torch.tensor([[0.0, 0.5, 2.55]]))
        >>> numbers.tolist(), round(scale.item(), 6), zero_point.item()
        ([[-128, -78, 127]], 0.01, -128.0)
    """
    if not torch.isfinite(matrix).all():
        raise ValueError("matrix holds numbers that are infinite or NaN: train again, or load other weights")
    matrix = matrix.detach().float()
    scale, zero = pick(SCHEMES, scheme, "scheme")(matrix)
    numbers = (matrix / scale[:, None]).round() + zero[:, None]
    return Quantized(numbers.clamp(_LEAST, _MOST).to(torch.int8), scale, zero)


class _EightBits(nn.Module):
    """A matrix of 8 bits a number among the buffers of a module.

    Args:
        matrix: The weights to round (outputs, inputs).
        scheme: As for `quantize`.
    """

    numbers: Tensor
    scale: Tensor
    zero_point: Tensor

    def __init__(self, matrix: Tensor, scheme: Scheme) -> None:
        super().__init__()
        for name, tensor in quantize(matrix, scheme=scheme)._asdict().items():
            self.register_buffer(name, tensor)

    @property
    def quantized(self) -> Quantized:
        """The matrix."""
        return Quantized(self.numbers, self.scale, self.zero_point)

    @property
    def weight(self) -> Tensor:
        """What the matrix stands for (outputs, inputs), made anew at every reading."""
        return self.quantized.dequantize()


class QuantizedLinear(_EightBits):
    """A linear layer with weights of 8 bits.

    Args:
        linear: The layer whose weights it rounds; its bias is kept as it is.
        scheme: As for `quantize`.
    """

    bias: Tensor | None

    def __init__(self, linear: nn.Linear, *, scheme: Scheme = "asymmetric") -> None:
        super().__init__(linear.weight, scheme)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs (..., in_features) to outputs (..., out_features), float32."""
        return row_linear(x, self.quantized, self.bias)


class QuantizedEmbedding(_EightBits):
    """Vectors of tokens with 8 bits a number; a scale and a zero point for every token.

    Args:
        embedding: The vectors to round.
        scheme: As for `quantize`.
    """

    def __init__(self, embedding: nn.Embedding, *, scheme: Scheme = "asymmetric") -> None:
        super().__init__(embedding.weight, scheme)
        self.num_embeddings, self.embedding_dim = embedding.num_embeddings, embedding.embedding_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors (..., embedding_dim) of tokens (...), of which only the ones wanted are dequantised."""
        return (self.numbers[tokens] - self.zero_point[tokens, None]) * self.scale[tokens, None]


class QuantizedConv(_EightBits):
    """A convolution whose weights are kept in 8 bits, and dequantised for every call.

    Args:
        conv: The convolution whose weights it rounds, without the rest of it: `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`.
        scheme: As for `quantize`.
    """

    def __init__(self, conv: Convolution, *, scheme: Scheme = "asymmetric") -> None:
        super().__init__(conv.weight.flatten(1), scheme)
        self._shape = conv.weight.shape
        self.conv = conv
        del conv.weight  # what is left of it pads and strides

    def forward(self, x: Tensor) -> Tensor:
        """Convolves inputs (batch, channels, ...), float32."""
        return self.conv._conv_forward(x, self.weight.view(self._shape), self.conv.bias)


def size_in_bytes(model: nn.Module) -> int:
    """What the weights and buffers of a model take when saved, without names.

    Args:
        model: A network.

    Returns:
        Bytes, shared tensors counted once.
    """
    held = {tensor.data_ptr(): tensor.nbytes for tensor in model.state_dict().values()}
    return sum(held.values())
