"""The promise of every mask, checked the same way for every loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def assert_blind(loss: Callable[[Tensor], Tensor], x: Tensor, mask: Tensor) -> None:
    """Whatever stands behind a mask, value and gradient are the same, finite, and 0 behind it.

    Args:
        loss: Of the entries, the mask already applied.
        x: Entries.
        mask: Where they count, of a shape that broadcasts to that of `x`.
    """
    mask = mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim)).expand_as(x)
    results = []
    for filler in (0.5, 1e30, torch.nan, torch.inf, -torch.inf):
        entries = torch.where(mask, x, filler).requires_grad_()
        value = loss(entries)
        (slope,) = torch.autograd.grad(value, entries)
        assert torch.isfinite(value), f"{filler} behind the mask reaches the value"
        assert not slope[~mask].any(), f"{filler} behind the mask has a gradient"
        results.append((value, slope))
    assert results[0][1].any(), "a loss without gradient would pass any test"
    for value, slope in results[1:]:
        torch.testing.assert_close((value, slope), results[0], rtol=0, atol=0)
