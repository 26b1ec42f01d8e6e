"""The compiled causal convolution with SiLU as operators that torch can differentiate and trace.

Shapes: `u` and `y` (batch, length, channels), `weight` (taps, channels), `bias` (channels,), `state`
(batch, taps - 1, channels), the inputs before the first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurofmx.kernels.cpu.causal_conv import BLOCK, backward, forward, together
from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.tiles import add_up, array_of, rows_of


@operator("neurofmx::causal_conv_silu")
def causal_conv_silu_op(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> Tensor:
    """Outputs, see `neurofmx.kernels.causal_conv`."""
    y = u.new_empty(u.shape)
    given = _given(u, weight, bias, state)
    in_parallel(forward, _parts(u) * _blocks(u), *given, y.numpy())
    return y


@causal_conv_silu_op.register_fake
def _(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> Tensor:
    return u.new_empty(u.shape)


@torch.library.custom_op("neurofmx::causal_conv_silu_backward", mutates_args=())
def causal_conv_silu_backward_op(
    dy: Tensor, u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of inputs, weight, bias and state; the last is empty without one."""
    du, dweight, dbias, dstate = found = _gradients_of(u, weight, state)
    parts = u.new_empty(_parts(u), *weight.shape), u.new_empty(_parts(u), weight.shape[1])
    given = *_given(u, weight, bias, state), rows_of(dy)
    to = [tensor.numpy() for tensor in (du, *parts, dstate)]
    in_parallel(backward, _parts(u) * _blocks(u), *given, *to)
    for part, whole in ((to[1], dweight), (to[2], dbias)):
        add_up(part.reshape(len(part), whole.numel()), whole.view(-1).numpy())
    return found


@causal_conv_silu_backward_op.register_fake
def _(dy: Tensor, u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> tuple[Tensor, ...]:
    return _gradients_of(u, weight, state)


def _given(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> tuple[Any, ...]:
    """The arguments as arrays."""
    return rows_of(u), array_of(weight, u, axes=2), array_of(bias, u, axes=1), array_of(state, u, axes=3)


def _blocks(u: Tensor) -> int:
    """Number of blocks of channels."""
    return -(-u.shape[2] // BLOCK)


def _parts(u: Tensor) -> int:
    """Number of jobs per block of channels."""
    return -(-u.shape[0] // together(u.shape[1]))


def _gradients_of(u: Tensor, weight: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Room for all gradients."""
    taps, channels = weight.shape
    du = u.new_empty(u.shape)
    dstate = u.new_empty((u.shape[0], taps - 1, channels) if state is not None else (0, 0, 0))
    return du, u.new_empty(taps, channels), u.new_empty(channels), dstate


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keeps what the backward needs."""
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    """Hands the gradients to autograd."""
    given = ctx.saved_tensors  # read once, as what was checkpointed is made anew for one reading
    *found, dstate = causal_conv_silu_backward_op(dy, *given)
    return *found, dstate if given[3] is not None else None


causal_conv_silu_op.register_autograd(_backward, setup_context=_setup)
