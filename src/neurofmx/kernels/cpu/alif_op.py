"""The compiled adaptive neurons as an operator of torch; symbols as in `neurofmx.kernels.cpu.alif`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.kernels.cpu.alif import backward, forward
from neurofmx.kernels.cpu.lif_op import flat, flat_mask, shares, starting
from neurofmx.kernels.cpu.parallel import in_parallel
from neurofmx.kernels.cpu.simd.tiles import arriving


@torch.library.custom_op("neurofmx::alif", mutates_args=())
def alif_op(
    current: Tensor,
    potential: Tensor,
    synaptic: Tensor,
    adaptation: Tensor,
    beta: Tensor,
    threshold: Tensor,
    alpha: Tensor,
    rho: Tensor,
    kappa: Tensor,
    mask: Tensor | None,
    hold: int,
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Spikes, potentials, synaptic currents and adaptations at every step, and the last of the latter three.

    Args:
        current: (batch, length, neurons), float32 or float64, as the tensors that follow.
        potential: (batch, neurons).
        synaptic: (batch, neurons).
        adaptation: (batch, neurons).
        beta: (neurons,).
        threshold: (neurons,).
        alpha: (neurons,).
        rho: (neurons,).
        kappa: (neurons,).
        mask: (batch, length) bool.
        hold: Steps for which every current is held.
        knobs: 1 for the hard and 0 for the soft reset, and the surrogate as `inverse_quadratic` gives it.

    Returns:
        Four tensors (batch, length * hold, neurons), and three (batch, neurons).
    """
    batch, length, neurons = current.shape
    written = [current.new_empty((batch, length * hold, neurons)) for _ in range(4)]
    final = [current.new_empty((batch, neurons)) for _ in range(3)]
    block, jobs = shares(batch, neurons)
    state, numbers = _flat(potential, synaptic, adaptation), _flat(beta, threshold, alpha, rho, kappa)
    given = (length, hold, neurons), flat(current), state, numbers, flat_mask(mask), knobs[0] > 0
    in_parallel(forward, jobs, block, *given, *_flat(*written), _flat(*final))
    return written[0], written[1], written[2], written[3], final[0], final[1], final[2]


@alif_op.register_fake
def _(current, potential, synaptic, adaptation, beta, threshold, alpha, rho, kappa, mask, hold, knobs):
    """Shapes and types of `alif_op`."""
    batch, length, neurons = current.shape
    written = [current.new_empty((batch, length * hold, neurons)) for _ in range(4)]
    return (*written, *(current.new_empty((batch, neurons)) for _ in range(3)))


@torch.library.custom_op("neurofmx::alif_backward", mutates_args=())
def alif_backward_op(
    ds: Tensor | None,
    du: Tensor | None,
    dlast: Tensor | None,
    dlast_synaptic: Tensor | None,
    dlast_adaptation: Tensor | None,
    trajectory: Sequence[Tensor],
    state: Sequence[Tensor],
    numbers: Sequence[Tensor],
    mask: Tensor | None,
    hold: int,
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of current, the first state and the numbers of the neurons; those that arrive may be missing."""
    potentials = trajectory[0]
    batch, steps, neurons = potentials.shape
    dx = potentials.new_empty((batch, steps // hold, neurons))
    last = dlast, dlast_synaptic, dlast_adaptation
    g = [starting(gradient, like) for gradient, like in zip(last, state, strict=True)]
    by_sequence = np.empty((5, batch, neurons), flat(dx).dtype)
    block, jobs = shares(batch, neurons)
    given = (steps // hold, hold, neurons), _flat(*trajectory), _flat(*state), _flat(*numbers), flat_mask(mask)
    how = knobs[0] > 0, tuple(np.array((*knobs[1:], 1.0), by_sequence.dtype))
    outside = arriving(ds, potentials), arriving(du, potentials)
    found = tuple(by_sequence.reshape(5, -1))
    in_parallel(backward, jobs, block, *given, *how, *outside, _flat(*g), found, flat(dx))
    sums = [torch.from_numpy(total) for total in by_sequence.sum(1)]
    return dx, g[0], g[1], g[2], sums[0], sums[1], sums[2], sums[3], sums[4]


@alif_backward_op.register_fake
def _(ds, du, dlast, dlast_synaptic, dlast_adaptation, trajectory, state, numbers, mask, hold, knobs):
    """Shapes and types of `alif_backward_op`."""
    batch, steps, neurons = trajectory[0].shape
    dx = trajectory[0].new_empty((batch, steps // hold, neurons))
    states = [dx.new_empty((batch, neurons)) for _ in range(3)]
    return (dx, *states, *(dx.new_empty(neurons) for _ in range(5)))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps what the forward wrote, which tells the spikes; the currents are not needed."""
    mask, ctx.hold, ctx.knobs = inputs[9:]
    ctx.save_for_backward(*output[1:4], *inputs[1:9], mask)
    ctx.mark_non_differentiable(output[2], output[3])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
    """One gradient for each argument of `alif_op`; none arrives at currents and adaptations within the sequence."""
    *saved, mask = ctx.saved_tensors
    found = alif_backward_op(*arriving[:2], *arriving[4:], saved[:3], saved[3:6], saved[6:], mask, ctx.hold, ctx.knobs)
    return *found, None, None, None


alif_op.register_autograd(_gradients, setup_context=_remember)


def _flat(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    """Tensors as flat arrays."""
    return tuple(map(flat, tensors))
