"""Activations that are kept for the backward pass, or made anew in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint


def called(part: Callable[..., Any], *given: Any, recompute: bool) -> Any:
    """What a part of a network makes of its inputs.

    Args:
        part: A module or a method.
        *given: Its inputs, all that is kept of the call with `recompute`.
        recompute: Whether the backward pass runs the part once more, with the same dropout, in place of keeping what it
            needs: slower, with less memory.

    Returns:
        The outputs.

    Source:
        Chen et al. 2016, "Training deep nets with sublinear memory cost", section 4.1.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(part, *given, use_reentrant=False)
    return part(*given)
