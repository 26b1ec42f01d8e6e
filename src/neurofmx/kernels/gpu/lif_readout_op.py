"""Spiking neurons with their readout on a GPU as one operator of torch; symbols as in `lif_readout`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from neurofmx.kernels.gpu import lif_readout as kernels
from neurofmx.kernels.gpu.lif_op import LANES
from neurofmx.kernels.gpu.triton_there import bytes_of, launch


@torch.library.custom_op("neurofmx::lif_readout_triton", mutates_args=())
def lif_readout_op(
    current: Tensor,
    potential: Tensor,
    trace: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    reading: Sequence[float],
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Traces and potentials at the tokens' ends, the last potential and trace, and the number of spikes.

    Args:
        current: (batch, length, neurons), as all tensors of one type.
        potential: (batch, neurons).
        trace: (batch, neurons).
        beta: (neurons,).
        threshold: (neurons,).
        mask: (batch, length) bool.
        reading: Share of a trace that the next token takes over, and the weights of a token's steps.
        knobs: 1 for the hard and 0 for the soft reset, and the surrogate as `inverse_quadratic` gives it.

    Returns:
        As `neurofmx.kernels.lif_readout.Readout`, but at tokens that do not count the potentials before them.
    """
    batch, length, neurons = current.shape
    traces, ends = current.new_empty(current.shape), current.new_empty(current.shape)
    last, last_trace, counts = (current.new_empty(batch, neurons) for _ in range(3))
    given, blocks = _given(current, potential, trace, beta, threshold), -(-neurons // LANES)
    made = (traces, ends, last, last_trace, counts)
    arguments = (*given, bytes_of(mask, given[0]), _numbers(tuple(reading), current.dtype, current.device), *made)
    constants = _constants(mask, reading, knobs)
    launch(kernels.forward, batch * blocks, *arguments, length, neurons, blocks, **constants)
    return made


@lif_readout_op.register_fake
def _(current, potential, trace, beta, threshold, mask, reading, knobs):
    sequences = current.new_empty(current.shape), current.new_empty(current.shape)
    return *sequences, *(current.new_empty(potential.shape) for _ in range(3))


@torch.library.custom_op("neurofmx::lif_readout_triton_backward", mutates_args=())
def lif_readout_backward_op(
    dtraces: Tensor | None,
    dends: Tensor | None,
    dlast: Tensor | None,
    dlast_trace: Tensor | None,
    current: Tensor,
    potential: Tensor,
    ends: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    reading: Sequence[float],
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of current, potential, trace, decay and threshold; those that arrive may be missing."""
    batch, length, neurons = current.shape
    dx, trail = current.new_empty(current.shape), current.new_empty(batch, len(reading) - 1, neurons)
    dfirst, dtrace, dbeta, dtheta = (current.new_empty(batch, neurons) for _ in range(4))
    given, blocks = _given(current, potential, ends, beta, threshold), -(-neurons // LANES)
    numbers = _numbers(tuple(reading), current.dtype, current.device)
    gradients = {"TRACES": dtraces, "ENDS": dends, "LAST": dlast, "LAST_TRACE": dlast_trace}
    arriving = [trail if gradient is None else gradient.contiguous() for gradient in gradients.values()]
    arrive = {name: gradient is not None for name, gradient in gradients.items()}
    arguments = (*given, bytes_of(mask, trail), numbers, trail, *arriving, dx, dfirst, dtrace, dbeta, dtheta)
    sizes, constants = (*knobs[1:], length, neurons, blocks), _constants(mask, reading, knobs)
    launch(kernels.backward, batch * blocks, *arguments, *sizes, **arrive, **constants)
    return dx, dfirst, dtrace, dbeta.sum(0), dtheta.sum(0)


@lif_readout_backward_op.register_fake
def _(dtraces, dends, dlast, dlast_trace, current, potential, ends, beta, threshold, mask, reading, knobs):
    states = (current.new_empty(potential.shape) for _ in range(2))
    return current.new_empty(current.shape), *states, *(current.new_empty(beta.shape) for _ in range(2))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps the currents and one potential per token, from which the backward makes all steps anew."""
    current, potential, _, beta, threshold, mask, ctx.reading, ctx.knobs = inputs
    ctx.save_for_backward(current, potential, output[1], beta, threshold, mask)
    ctx.mark_non_differentiable(output[4])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
    """One gradient for each argument of `lif_readout_op`; none arrives at the number of spikes."""
    found = lif_readout_backward_op(*arriving[:4], *ctx.saved_tensors, ctx.reading, ctx.knobs)
    return *found, None, None, None


lif_readout_op.register_autograd(_gradients, setup_context=_remember)


def _given(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors as the kernels read them."""
    return tuple(tensor.contiguous() for tensor in tensors)


@lru_cache(maxsize=64)
def _numbers(reading: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The numbers of a readout on a device; they stay the same from call to call, and a copy there takes long."""
    return torch.tensor(reading, dtype=dtype, device=device)


def _constants(mask: Tensor | None, reading: Sequence[float], knobs: Sequence[float]) -> dict[str, Any]:
    """What kernels are compiled for; every operation rounds as in torch, or spikes near the threshold would differ."""
    flags = {"HARD": bool(knobs[0]), "MASKED": mask is not None}
    return {"STEPS": len(reading) - 1, **flags, "LANES": LANES, "num_warps": 1, "enable_fp_fusion": False}


def run(
    current: Tensor,
    potential: Tensor,
    trace: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    reading: Sequence[float],
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Drives the neurons and reads them, see `lif_readout_op`.

    Returns:
        As `neurofmx.kernels.lif_readout.Readout`.
    """
    traces, ends, *states = lif_readout_op(current, potential, trace, beta, threshold, mask, reading, knobs)
    if mask is not None:
        ends = torch.where(mask.unsqueeze(2), ends, 0)
    return traces, ends, *states
