"""Spiking neurons on a GPU as an operator of torch, with its gradients; symbols as in `neurofmx.kernels.gpu.lif`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurofmx.kernels.gpu import lif as kernels
from neurofmx.kernels.gpu.triton_there import bytes_of, launch

LANES = 32  # neurons of a program, a warp's threads: few per program, as all that are there run at once
AHEAD = 8  # steps read ahead


@torch.library.custom_op("neurofmx::lif_triton", mutates_args=())
def lif_op(
    current: Tensor,
    potential: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    hold: int,
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, potentials and last potentials; where a step does not count, the potential is that before it.

    Args:
        current: (batch, length, neurons), as all tensors of one type.
        potential: (batch, neurons).
        beta: (neurons,).
        threshold: (neurons,).
        mask: (batch, length) bool.
        hold: Steps for which every current is held.
        knobs: 1 for the hard and 0 for the soft reset, and the surrogate as `inverse_quadratic` gives it.

    Returns:
        As `neurofmx.kernels.lif.lif`, but for the potentials at steps that do not count.
    """
    batch, length, neurons = current.shape
    spikes = current.new_empty(batch, length * hold, neurons)
    potentials, last = torch.empty_like(spikes), current.new_empty(batch, neurons)
    current, blocks = current.contiguous(), -(-neurons // LANES)
    given = (current, *(tensor.contiguous() for tensor in (potential, beta, threshold)), bytes_of(mask, current))
    constants = {"HOLD": hold, "HARD": bool(knobs[0]), "MASKED": mask is not None, "LANES": LANES, "AHEAD": AHEAD}
    sizes = (length, neurons, blocks)
    # Not fused, so that every operation rounds as in torch: else spikes near the threshold would differ.
    how = {"num_warps": 1, "enable_fp_fusion": False}
    launch(kernels.forward, batch * blocks, *given, spikes, potentials, last, *sizes, **constants, **how)
    return spikes, potentials, last


@lif_op.register_fake
def _(current, potential, beta, threshold, mask, hold, knobs):
    batch, length, neurons = current.shape
    spikes = current.new_empty(batch, length * hold, neurons)
    return spikes, torch.empty_like(spikes), current.new_empty(batch, neurons)


@torch.library.custom_op("neurofmx::lif_triton_backward", mutates_args=())
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
    blocks, length = -(-neurons // LANES), steps // hold
    dx, dfirst = potentials.new_empty(batch, length, neurons), potentials.new_empty(batch, neurons)
    dbeta, dtheta = torch.empty_like(dfirst), torch.empty_like(dfirst)
    given = (potentials, *(tensor.contiguous() for tensor in (potential, beta, threshold)), bytes_of(mask, potentials))
    arriving = [potentials if gradient is None else gradient.contiguous() for gradient in (ds, du, dlast)]
    constants = {"HOLD": hold, "HARD": bool(knobs[0]), "MASKED": mask is not None, "LANES": LANES, "AHEAD": AHEAD}
    arrive = {"SPIKES": ds is not None, "POTENTIALS": du is not None, "LAST": dlast is not None}
    made, sizes = (dx, dfirst, dbeta, dtheta, *knobs[1:]), (length, neurons, blocks)
    launch(kernels.backward, batch * blocks, *given, *arriving, *made, *sizes, **constants, **arrive, num_warps=1)
    return dx, dfirst, dbeta.sum(0), dtheta.sum(0)


@lif_backward_op.register_fake
def _(ds, du, dlast, potentials, potential, beta, threshold, mask, hold, knobs):
    batch, steps, neurons = potentials.shape
    dx, dfirst = potentials.new_empty(batch, steps // hold, neurons), potentials.new_empty(batch, neurons)
    return dx, dfirst, potentials.new_empty(neurons), potentials.new_empty(neurons)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """Keeps the potentials for the backward, which tell the spikes; the currents are not needed."""
    _, potential, beta, threshold, mask, ctx.hold, ctx.knobs = inputs
    ctx.save_for_backward(output[1], potential, beta, threshold, mask)
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
    """One gradient for each argument of `lif_op`."""
    return *lif_backward_op(*arriving, *ctx.saved_tensors, ctx.hold, ctx.knobs), None, None, None


lif_op.register_autograd(_gradients, setup_context=_remember)


def run(
    current: Tensor,
    potential: Tensor,
    beta: Tensor,
    threshold: Tensor,
    mask: Tensor | None,
    hold: int,
    knobs: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Drives the neurons, see `lif_op`.

    Returns:
        As `neurofmx.kernels.lif.lif`.
    """
    spikes, potentials, last = lif_op(current, potential, beta, threshold, mask, hold, knobs)
    if mask is not None:
        potentials = torch.where(mask.repeat_interleave(hold, 1).unsqueeze(2), potentials, 0)
    return spikes, potentials, last
