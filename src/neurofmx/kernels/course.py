"""What tells liquid cells how time passes: elapsed times of every step and unit, and a mask of steps that count."""

from __future__ import annotations

import torch
from torch import Tensor


def elapsed_of(elapsed: float | Tensor, x: Tensor, units: int) -> Tensor:
    """Brings elapsed times into one form.

    Args:
        elapsed: One number, or a tensor that broadcasts to (batch, time, units).
        x: Inputs (batch, time, inputs).
        units: Units of the cell.

    Returns:
        Elapsed times (batch or 1, time or 1, units) in the type of the inputs.

    Raises:
        ValueError: If they do not broadcast.
    """
    span = torch.as_tensor(elapsed, dtype=x.dtype, device=x.device)
    batch, time, _ = x.shape
    try:
        span.expand(batch, time, units)
    except RuntimeError:
        wanted = f"(batch={batch}, time={time}, units={units})"
        raise ValueError(f"elapsed must broadcast to {wanted}, got {tuple(span.shape)}") from None
    return span[(None,) * (3 - span.dim())].expand(-1, -1, units)


def without_padding(tensor: Tensor, mask: Tensor | None) -> Tensor:
    """Puts 0 where a step is padding, whatever was there.

    Args:
        tensor: Sequences (batch, time, channels).
        mask: Which steps count (batch, time), or `None` for all.

    Returns:
        The sequences.
    """
    return tensor if mask is None else tensor.masked_fill(~mask[..., None], 0)
