"""Products with a weight matrix whose bits do not depend on how many rows are multiplied, in float32 or from int8.

BLAS libraries sum in another order for one row than for many, so a network that reads a stream token by token rounds
otherwise than one that reads it in one pass, and a neuron near its threshold may then fire in one of them alone. Here
every output is summed in one order, whatever stands in the rows beside it. Weights are read where torch keeps them, so
there is nothing to lay out before the first product, and one row costs one pass over the weights: with 8 bits a weight
that is a quarter of the memory to read.

Symbols: `x` input, `W` weight, `b` bias; of a quantised matrix `q` numbers of 8 bits, `s` scale and `z` zero point of
an output channel.

    y[n] = b[n] + sum_k x[k] W[n, k],      W[n, k] = s[n] (q[n, k] - z[n])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.kernels.checks import no_numba, require_cpu
from neurofmx.kernels.path import Path, resolve
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick


class Quantized(NamedTuple):
    """A matrix with 8 bits a number.

    Args:
        numbers: `q`, int8 (outputs, inputs).
        scale: `s`, above 0 (outputs,).
        zero_point: `z`, whole numbers from -128 to 127 (outputs,): what stands for 0.
    """

    numbers: Tensor
    scale: Tensor
    zero_point: Tensor

    def dequantize(self) -> Tensor:
        """The matrix that the numbers stand for (outputs, inputs), in the type of the scale."""
        return (self.numbers.to(self.scale.dtype) - self.zero_point[:, None]) * self.scale[:, None]


Weight = Tensor | Quantized


@full_precision
def row_linear(x: Tensor, weight: Weight, bias: Tensor | None = None, *, path: Path = "auto") -> Tensor:
    """Multiplies every row by a weight matrix and adds a bias.

    Args:
        x: Inputs (..., inputs).
        weight: Weights (outputs, inputs), or the same quantised; it gets no gradient where it is quantised.
        bias: Bias (outputs,), or `None` for none.
        path: `auto`, `numba` (compiled, CPU, float32; every row by itself) or `reference` (torch's product, for which
            8-bit weights are dequantised first). On a GPU `auto` is the reference.

    Returns:
        Outputs (..., outputs).

    Raises:
        ValueError: If a shape, a type of number or `path` is wrong.
        ImportError: If the package behind `path` is missing.

    Source:
        Jacob et al. (2018), Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference, equation 1, with a scale and zero point for every output channel.
    """
    numbers = weight.numbers if isinstance(weight, Quantized) else weight
    outputs, _ = require_shape("weight", numbers, outputs=None, inputs=x.shape[-1])
    if isinstance(weight, Quantized):
        require_shape("scale", weight.scale, outputs=outputs)
        require_shape("zero_point", weight.zero_point, outputs=outputs)
        if numbers.dtype != torch.int8:
            raise ValueError(f"weight.numbers must be torch.int8, got {numbers.dtype}: make them with quantize")
    if bias is not None:
        require_shape("bias", bias, outputs=outputs)
    chosen = "reference" if path == "auto" and _for_torch(x) else resolve(path, x.device)
    return pick(_PATHS, chosen, "path")(x, weight, bias)


def _for_torch(x: Tensor) -> bool:
    """Whether `auto` leaves the product to torch: on GPUs, and in float64, whose rounding moves no spike."""
    return x.device.type != "cpu" or x.dtype != torch.float32


def _reference(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """Torch's own product."""
    matrix = weight.dequantize().to(x.dtype) if isinstance(weight, Quantized) else weight
    return torch.nn.functional.linear(x, matrix, bias)


def _numba(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """The same in compiled loops."""
    require_cpu("x", x)
    if x.dtype != torch.float32:
        raise ValueError(f"x must be float32 for path='numba', got {x.dtype}: choose path='reference'")
    try:
        from neurofmx.kernels.cpu.direct import call
        from neurofmx.kernels.cpu.linear_op import row_linear_op
    except ImportError as error:
        raise no_numba(error) from error

    numbers, scale, zero = weight if isinstance(weight, Quantized) else (weight, None, None)
    return call(row_linear_op, x, numbers, scale, zero, bias)


_PATHS: dict[str, Callable[[Tensor, Weight, Tensor | None], Tensor]] = {"reference": _reference, "numba": _numba}
