"""A layer that does nothing forwards and turns gradients round, for features that must not tell domains apart.

    y = x        dL/dx = -strength dL/dy        strength(p) = 2 / (1 + exp(-gamma p)) - 1

What stands behind it learns to name the domain; what stands before it learns to make that impossible.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class GradientReversal(torch.autograd.Function):
    """The identity, with the gradient times `-strength`. Called by `reverse_gradient`.

    Source:
        Ganin et al. 2016, "Domain-adversarial training of neural networks", JMLR 17, equations 16 and 17.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        """The input as it is."""
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        """The gradient turned round; strength has none."""
        return -ctx.strength * slopes[0], None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Hand on a tensor, and back its gradient turned round.

    Args:
        x: Any shape.
        strength: What the gradient is multiplied by, beside -1; 0 lets none through.

    Returns:
        `x`.

    Raises:
        ValueError: If `strength` is negative or no number: the features would learn the domain.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> reverse_gradient(x, 0.5).sum().backward()
        >>> x.grad
        tensor([-0.5000, -0.5000])
    """
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength={strength}: must be a number, 0 or more; 0 lets no gradient through")
    return GradientReversal.apply(x, float(strength))  # pyright: ignore[reportReturnType]


def reversal_strength(progress: float, *, gamma: float = 10.0, highest: float = 1.0) -> float:
    """How strongly gradients are reversed at a point of the training: 0 at first, while the domain branch is noise.

    Args:
        progress: Share of the training that is done, 0 to 1.
        gamma: How soon it rises; 10 in the paper.
        highest: What it approaches.

    Returns:
        The strength, 0 to below `highest`.

    Raises:
        ValueError: If `progress` is not from 0 to 1.

    Source:
        Ganin et al. 2016, section 5.2.2, the schedule of the adaptation parameter.

    Example:
        >>> reversal_strength(0.0), round(reversal_strength(0.5), 4)
        (0.0, 0.9866)
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress={progress}: must be the share of the training that is done, from 0 to 1")
    return highest * (2 / (1 + math.exp(-gamma * progress)) - 1)
