"""Leave entries out of a loss so that what stands there reaches neither its value nor its gradient.

`0 * NaN` is NaN, and autograd multiplies: a loss that is computed first and masked afterwards has NaN in its gradient
wherever what it left out was NaN. So entries are blanked before anything is computed from them, and the terms they
would add are left out of the sum and of the count as well.

A loss over nothing is 0. It says nothing of the network, so leave it out of a `MultiTaskLossManager`'s step.
"""

from __future__ import annotations

import torch
from torch import Tensor


def blanked(x: Tensor, mask: Tensor | None) -> Tensor:
    """The same entries with 0 wherever they do not count.

    Args:
        x: Entries (...).
        mask: True where an entry counts, of a shape that broadcasts to that of `x`; None for everywhere.

    Returns:
        Entries (...); those that do not count have a gradient of 0, whatever they hold.

    Raises:
        ValueError: If the mask is not bool, or does not broadcast to the shape of `x`.
    """
    if mask is None:
        return x
    return torch.where(fitted(mask, x), x, torch.zeros((), dtype=x.dtype, device=x.device))


def mean_where(terms: Tensor, mask: Tensor | None, *, weight: Tensor | None = None) -> Tensor:
    """Mean over the terms that count.

    Args:
        terms: Terms (...), finite where they do not count as well: compute them from `blanked` entries.
        mask: True where a term counts, of a shape that broadcasts to that of `terms`; None for everywhere.
        weight: How much each counts, of a shape that broadcasts too, at least 0; None for the same.

    Returns:
        A scalar; 0 where nothing counts.

    Raises:
        ValueError: If the mask is not bool, or does not broadcast to the shape of `terms`.
    """
    counts = torch.ones_like(terms) if weight is None else weight.to(terms).expand_as(terms)
    if mask is not None:
        counts = blanked(counts, mask)
    total = counts.sum()
    return (terms * counts).sum() / torch.where(total > 0, total, torch.ones_like(total))


def fitted(mask: Tensor, x: Tensor) -> Tensor:
    """A mask after a check that it can say of every entry of `x` whether it counts."""
    if mask.dtype != torch.bool:
        raise ValueError(f"mask has dtype {mask.dtype}: must be bool, True where an entry counts")
    try:
        shape = torch.broadcast_shapes(mask.shape, x.shape)
    except RuntimeError:
        shape = None
    if shape != x.shape:
        raise ValueError(f"mask has shape {tuple(mask.shape)}, which does not broadcast to {tuple(x.shape)}")
    return mask


def rows_where(mask: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The rows that count of tensors that have as many rows.

    Args:
        mask: True where a row counts (rows,); None for all.
        *tensors: Each (rows, ...).

    Returns:
        The tensors, each with the rows that count; rows left out have a gradient of 0.

    Raises:
        ValueError: If the tensors differ in their number of rows, or the mask is not bool of as many.
    """
    rows = {len(tensor) for tensor in tensors}
    if len(rows) > 1:
        raise ValueError(f"the tensors have {sorted(rows)} rows: give as many rows of each")
    if mask is None:
        return tensors
    if mask.dtype != torch.bool or mask.shape != (*rows,):
        raise ValueError(
            f"mask is {mask.dtype} {tuple(mask.shape)}: must be bool ({rows.pop()},), True where a row counts"
        )
    return tuple(tensor[mask] for tensor in tensors)
