"""Spiking neurons with their readout as one operator of torch; symbols as in `neurofmx.kernels.cpu.lif_readout`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu import lif
from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.lif_op import flat, flat_mask, over_batch, shares, starting
from neurofmx.kernels.cpu.lif_readout import backward, forward
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.tiles import arriving


@operator("neurofmx::lif_readout")
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
        current: (batch, length, neurons), float32 or float64, as the tensors that follow.
        potential: (batch, neurons).
        trace: (batch, neurons).
        beta: (neurons,).
        threshold: (neurons,).
        mask: (batch, length) bool.
        reading: Share of a trace that the next token takes over, and the weights of a token's steps.
        knobs: 1 for the hard and 0 for the soft reset, and the surrogate as `inverse_quadratic` gives it.

    Returns:
        As `neurofmx.kernels.lif_readout.Readout`.
    """
    traces, ends = (torch.empty_like(current, memory_format=torch.contiguous_format) for _ in range(2))
    last, last_trace, counts = (torch.empty_like(potential, memory_format=torch.contiguous_format) for _ in range(3))
    given = flat(current), flat(potential), flat(trace), flat(beta), flat(threshold)
    carry, *weights = np.array(reading, given[0].dtype)
    hard, made = knobs[0] > 0, [flat(tensor) for tensor in (traces, ends, last, last_trace, counts)]
    cut, jobs = _shares(current, mask)
    settings = flat_mask(mask), np.array(weights), carry, hard
    in_parallel(forward, jobs, cut, tuple(current.shape), *given, *settings, *made)
    return traces, ends, last, last_trace, counts


@lif_readout_op.register_fake
def _(current, potential, trace, beta, threshold, mask, reading, knobs):
    """Shapes and types of `lif_readout_op`."""
    sequences, state = current.new_empty(current.shape), current.new_empty(potential.shape)
    return sequences, sequences.clone(), state, state.clone(), state.clone()


@torch.library.custom_op("neurofmx::lif_readout_backward", mutates_args=())
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
    dx = torch.empty_like(current, memory_format=torch.contiguous_format)
    g, q = starting(dlast, potential), starting(dlast_trace, potential)
    given = flat(current), flat(potential), flat(ends), flat(beta), flat(threshold)
    carry, *weights = np.array(reading, given[0].dtype)
    hard, bump = knobs[0] > 0, tuple(np.array((*knobs[1:], 1.0), given[0].dtype))
    by_sequence = np.empty((2, *potential.shape), given[0].dtype)
    found = flat(g), flat(q), *by_sequence.reshape(2, -1), flat(dx)
    cut, jobs = _shares(current, mask)
    settings = flat_mask(mask), np.array(weights), carry, hard, bump
    outside = arriving(dtraces, current), arriving(dends, current)
    in_parallel(backward, jobs, cut, tuple(current.shape), *given, *settings, *outside, *found)
    return dx, g, q, *over_batch(by_sequence)


@lif_readout_backward_op.register_fake
def _(dtraces, dends, dlast, dlast_trace, current, potential, ends, beta, threshold, mask, reading, knobs):
    """Shapes and types of `lif_readout_backward_op`."""
    state = current.new_empty(potential.shape)
    return (
        current.new_empty(current.shape),
        state,
        state.clone(),
        beta.new_empty(beta.shape),
        beta.new_empty(beta.shape),
    )


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


def _shares(current: Tensor, mask: Tensor | None) -> tuple[tuple[int, int], int]:
    """How the work is cut: sequences and neurons of a job, and the number of jobs."""
    batch, _, neurons = current.shape
    several = min(lif.BLOCK // neurons, -(-batch // 2))
    if mask is not None or several < 2:
        block, jobs = shares(batch, neurons)
        return (1, block), jobs
    return (several, neurons), -(-batch // several)
