"""The compiled neurons as an operator of torch, with its gradients; symbols as in `neurofmx.kernels.cpu.lif`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu.direct import operator
from neurofmx.kernels.cpu.lif import BLOCK, backward, forward
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.tiles import arriving


@operator("neurofmx::lif")
def lif_op(
    current: Tensor,
    potential: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    hold: int,
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potentials and last potentials.

    Args:
        current: (batch, length, neurons), float32 or float64, as the tensors that follow.
        potential: (batch, neurons).
        beta: (neurons,).
        threshold: (neurons,).
        mask: (batch, length) bool.
        hold: Steps for which every current is held.
        knobs: 1 for the hard and 0 for the soft reset, and the surrogate as `inverse_quadratic` gives it.

    Returns:
        As `neurofmx.kernels.lif.lif`.
    """
    batch, length, neurons = current.shape
    spikes = current.new_empty((batch, length * hold, neurons))
    potentials, last = torch.empty_like(spikes), current.new_empty((batch, neurons))
    block, jobs = shares(batch, neurons)
    given = flat(current), flat(potential), flat(beta), flat(threshold)
    hard, shape = knobs[0] > 0, (length, hold, neurons)
    made = flat(spikes), flat(potentials), flat(last)
    in_parallel(forward, jobs, block, shape, *given, flat_mask(mask), hard, *made)
    return spikes, potentials, last


@lif_op.register_fake
def _(current, potential, beta, threshold, mask, hold, knobs):
    """Shapes and types of `lif_op`."""
    batch, length, neurons = current.shape
    spikes = current.new_empty((batch, length * hold, neurons))
    return spikes, torch.empty_like(spikes), current.new_empty((batch, neurons))


@torch.library.custom_op("neurofmx::lif_backward", mutates_args=())
def lif_backward_op(
    ds: Tensor | None,
    du: Tensor | None,
    dlast: Tensor | None,
    potentials: Tensor,
    potential: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    hold: int,
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of current, first potentials, decay and threshold; those that arrive may be missing."""
    batch, steps, neurons = potentials.shape
    dx = potentials.new_empty((batch, steps // hold, neurons))
    g, given = starting(dlast, potential), (flat(potentials), flat(potential), flat(beta), flat(threshold))
    block, jobs = shares(batch, neurons)
    hard, bump = knobs[0] > 0, tuple(np.array((*knobs[1:], 1.0), given[0].dtype))
    by_sequence = np.empty((2, batch, neurons), given[0].dtype)
    outside = arriving(ds, potentials), arriving(du, potentials)
    found = flat(g), *by_sequence.reshape(2, -1), flat(dx)
    shape = (steps // hold, hold, neurons)
    in_parallel(backward, jobs, block, shape, *given, flat_mask(mask), hard, bump, *outside, *found)
    return dx, g, *over_batch(by_sequence)


@lif_backward_op.register_fake
def _(ds, du, dlast, potentials, potential, beta, threshold, mask, hold, knobs):
    """Shapes and types of `lif_backward_op`."""
    batch, steps, neurons = potentials.shape
    dx = potentials.new_empty((batch, steps // hold, neurons))
    return dx, potential.new_empty((batch, neurons)), beta.new_empty(neurons), threshold.new_empty(neurons)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps the potentials for the backward, which tell the spikes; the currents are not needed."""
    _, potential, beta, threshold, mask, ctx.hold, ctx.knobs = inputs
    ctx.save_for_backward(output[1], potential, beta, threshold, mask)
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
    """One gradient for each argument of `lif_op`."""
    return *lif_backward_op(*arriving, *ctx.saved_tensors, ctx.hold, ctx.knobs), None, None, None


lif_op.register_autograd(_gradients, setup_context=_remember)


def shares(batch: int, neurons: int) -> tuple[int, int]:
    """How the work is cut: neurons of a job, fewer where there are few sequences, and the number of jobs."""
    block = min(BLOCK, max(64, BLOCK * batch // 8))
    return block, batch * -(-neurons // block)


def flat(tensor: Tensor) -> np.ndarray:
    """A tensor as a flat array, without a copy where it is contiguous."""
    return tensor.detach().contiguous().numpy().reshape(-1)


def flat_mask(mask: Tensor | None) -> np.ndarray:
    """A mask as a flat array, an empty one where there is none."""
    return np.empty(0, np.bool_) if mask is None else flat(mask)


def starting(gradient: Tensor | None, like: Tensor) -> Tensor:
    """What a running gradient starts from, in memory of its own."""
    if gradient is None:
        return torch.zeros_like(like, memory_format=torch.contiguous_format)
    return gradient.clone(memory_format=torch.contiguous_format)


def over_batch(by_sequence: np.ndarray) -> tuple[Tensor, Tensor]:
    """Sums two gradients (2, batch, neurons) over the batch, sequence after sequence whatever the threads."""
    first, second = by_sequence.sum(1)
    return torch.from_numpy(first), torch.from_numpy(second)
