"""The compiled attention with a window as operators that torch can differentiate and trace.

Shapes: `queries` and `y` (batch, length, heads E), `both` keys and values behind them (batch, keys, 2 heads E), `marks`
what the backward needs to find the weights again (batch, heads, 2, length), `seed` a scalar int64, `spread` what the
entropy is made of (batch, heads, length), or of length 0 where nobody asks for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.exp2 import exp2_numbers
from neurofmx.kernels.cpu.simd.lanes import BYTES
from neurofmx.kernels.cpu.simd.tiles import rows_of
from neurofmx.kernels.cpu.window_attention import SPAN, Given, forward
from neurofmx.kernels.cpu.window_attention_backward import backward, settle
from neurofmx.kernels.dropout import threshold_of

_POWERS = {torch.float32: exp2_numbers(np.float32), torch.float64: exp2_numbers(np.float64)}


@operator("neurofmx::window_attention")
def window_attention_op(
    queries: Tensor,
    both: Tensor,
    seed: Tensor | None,
    heads: int,
    window: int | None,
    dropout: float,
    measures: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, marks and spread, see `neurofmx.kernels.window_attention`."""
    found = _outputs(queries, heads, measures)
    given = _given(queries, both, seed, heads, window, dropout, measures)
    in_parallel(forward, _jobs(queries, given), given, *(tensor.numpy() for tensor in found))
    return found


@torch.library.custom_op("neurofmx::window_attention_backward", mutates_args=())
def window_attention_backward_op(
    dy: Tensor,
    y: Tensor,
    marks: Tensor,
    queries: Tensor,
    both: Tensor,
    seed: Tensor | None,
    heads: int,
    window: int | None,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of queries, and of keys and values."""
    found = _gradients(queries, both)
    given = _given(queries, both, seed, heads, window, dropout)
    spans, size = _spans(queries, given), queries.shape[2] // heads
    earlier = queries.new_empty(len(queries), heads, spans - 1, 2, given.window - 1, size).numpy()
    dqueries, dboth = (tensor.numpy() for tensor in found)
    to = rows_of(y), marks.numpy(), rows_of(dy), dqueries, dboth, earlier
    in_parallel(backward, _jobs(queries, given), given, *to)
    if spans > 1:
        in_parallel(settle, len(queries) * heads, given.past, given.window, given.span, earlier, dboth)
    return found


@window_attention_op.register_fake
def _(
    queries: Tensor,
    both: Tensor,
    seed: Tensor | None,
    heads: int,
    window: int | None,
    dropout: float,
    measures: bool,
) -> tuple[Tensor, ...]:
    return _outputs(queries, heads, measures)


@window_attention_backward_op.register_fake
def _(
    dy: Tensor,
    y: Tensor,
    marks: Tensor,
    queries: Tensor,
    both: Tensor,
    seed: Tensor | None,
    heads: int,
    window: int | None,
    dropout: float,
) -> tuple[Tensor, ...]:
    return _gradients(queries, both)


def _outputs(queries: Tensor, heads: int, measures: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Room for outputs, marks and spread."""
    batch, length, _ = queries.shape
    marks = queries.new_empty(batch, heads, 2, length)
    return queries.new_empty(queries.shape), marks, queries.new_empty(batch, heads, length if measures else 0)


def _gradients(queries: Tensor, both: Tensor) -> tuple[Tensor, Tensor]:
    """Room for the gradients."""
    return queries.new_empty(queries.shape), both.new_empty(both.shape)


def _given(
    queries: Tensor,
    both: Tensor,
    seed: Tensor | None,
    heads: int,
    window: int | None,
    dropout: float,
    measures: bool = False,
) -> Given:
    """The arguments as arrays and numbers of their types."""
    (_, length, width), keys, lanes = queries.shape, both.shape[1], BYTES // queries.element_size()
    reach = keys + lanes  # what even the lanes without a query see
    seen = reach if window is None else min(window, reach)
    word = 0 if seed is None else int(seed)
    powers, scale = _POWERS[queries.dtype], math.sqrt(heads / width)
    number, factor = type(powers[0]), scale / math.log(2)
    return Given(
        rows_of(queries),
        rows_of(both),
        heads=heads,
        past=keys - length,
        window=seen,
        span=-(-max(SPAN, seen) // lanes) * lanes,
        drops=seed is not None and dropout > 0,
        threshold=np.uint32(threshold_of(dropout)),
        low=np.uint32(word & 0xFFFFFFFF),
        high=np.uint32(word >> 32 & 0xFFFFFFFF),
        numbers=tuple(map(number, (1 / (1 - dropout), scale, factor))),
        floor=number(powers[0] / factor),
        powers=powers,
        measures=measures,
    )


def _spans(queries: Tensor, given: Given) -> int:
    """Number of jobs per head of a sequence."""
    return -(-queries.shape[1] // given.span)


def _jobs(queries: Tensor, given: Given) -> int:
    """Number of jobs."""
    return queries.shape[0] * given.heads * _spans(queries, given)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    """Keeps what the backward needs."""
    queries, both, seed, *ctx.settings, _ = inputs
    ctx.save_for_backward(*output[:2], queries, both, seed)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dy: Tensor | None, _marks: None, _spread: None) -> tuple[Tensor | None, ...]:
    """Hands the gradients to autograd."""
    if dy is None:
        return (None,) * 7
    found = window_attention_backward_op(dy, *ctx.saved_tensors, *ctx.settings)
    return *found, None, None, None, None, None


window_attention_op.register_autograd(_backward, setup_context=_setup)
