"""The logistic function and SiLU with bits that do not depend on where in an array a number stands.

torch computes as many whole vectors as fit into an array in one way, and the numbers that are left in another, which
rounds some of them differently. A stream, whose arrays are shorter, would so drift from one pass over the same tokens.
Here rows are filled up to whole vectors for the while; those that are whole already stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.functional import silu as silu_of_torch

_WHOLE = 32  # numbers: what torch computes in one go with the widest vectors there are


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function.

    Args:
        x: Numbers (..., channels).

    Returns:
        `1 / (1 + exp(-x))`, in the same shape.
    """
    return _in_whole_rows(torch.sigmoid, x)


def silu(x: Tensor) -> Tensor:
    """The input times its logistic function.

    Args:
        x: Numbers (..., channels).

    Returns:
        `x / (1 + exp(-x))`, in the same shape.
    """
    return _in_whole_rows(silu_of_torch, x)


class RowSiLU(nn.SiLU):
    """`nn.SiLU` by `silu`."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps numbers (..., channels) to as many."""
        return silu(input)


def _in_whole_rows(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function of every number, of rows that are a multiple of the vectors."""
    channels = x.shape[-1]
    rest = -channels % _WHOLE
    return function(pad(x, (0, rest)))[..., :channels] if rest else function(x)
