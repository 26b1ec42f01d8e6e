"""The compiled products with a weight matrix as an operator that torch can differentiate and trace.

Shapes: `x` (..., inputs), `weight` (outputs, inputs) in float32 or int8, `scale`, `zero` and `bias` (outputs,), `y`
(..., outputs); all but `weight` are float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.linear import OUTPUTS, add_up_rows, forward
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.tiles import numbers_of

_NOTHING = np.empty(0, np.float32)


@operator("neurofmx::row_linear")
def row_linear_op(x: Tensor, weight: Tensor, scale: Tensor | None, zero: Tensor | None, bias: Tensor | None) -> Tensor:
    """Outputs."""
    (outputs, inputs), rows = weight.shape, numbers_of(x).reshape(-1)
    y, totals = np.empty(rows.size // inputs * outputs, np.float32), _NOTHING
    if scale is not None:
        totals = np.empty(rows.size // inputs, np.float32)
        add_up_rows(inputs, rows, totals)
    given = [_NOTHING if each is None else numbers_of(each) for each in (scale, zero, bias)]
    in_parallel(
        forward, -(-outputs // OUTPUTS), inputs, rows, numbers_of(weight).reshape(-1), *given, totals, y
    ) if rows.size else None
    return torch.from_numpy(y).view(*x.shape[:-1], outputs)


@row_linear_op.register_fake
def _(x, weight, scale, zero, bias):
    """Shape and type of `row_linear_op`."""
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keeps what the backward needs."""
    x, weight, scale, zero, bias = inputs
    ctx.biased = bias is not None
    ctx.save_for_backward(x, weight, scale, zero)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of inputs and bias, and of weights that are not quantised."""
    x, weight, scale, zero = ctx.saved_tensors
    matrix = weight if scale is None else (weight.float() - zero[:, None]) * scale[:, None]
    flat = dy.reshape(-1, len(weight))
    dweight = flat.t() @ x.reshape(-1, weight.shape[1]) if scale is None else None
    return dy @ matrix, dweight, None, None, flat.sum(0) if ctx.biased else None


row_linear_op.register_autograd(_backward, setup_context=_setup)
