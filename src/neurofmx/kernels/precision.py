"""Keep recurrences in full precision when the rest of a network runs in half.

A rounding error in a recurrence is fed back at every step, and half precision moves spikes and rounds decays such as
0.999 to 1. So the kernels step out of `torch.autocast` and widen what they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def full_precision(kernel: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Makes a kernel compute in float32 or wider, also inside `torch.autocast`.

    Args:
        kernel: A function of tensors, named tuples of tensors and settings.

    Returns:
        The same function, which widens 16-bit tensors to float32 and returns float32 for them.

    Example:
        >>> @full_precision
        ... def double(x: Tensor) -> Tensor:
        ...     return x + x
        >>> double(torch.ones(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """

    compute: Callable[..., Result] = kernel

    @wraps(kernel)
    def widened(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        values = [*args, *kwargs.values()]
        device = next(value.device.type for value in values if isinstance(value, Tensor))
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            if not any(map(_is_half, values)):  # the usual case, which costs a stream a call a layer
                return compute(*args, **kwargs)
            return compute(*map(_widen, args), **{name: _widen(value) for name, value in kwargs.items()})
        with torch.autocast(device, enabled=False):
            return compute(*map(_widen, args), **{name: _widen(value) for name, value in kwargs.items()})

    return widened


def _widen(value: Any) -> Any:
    """16-bit tensors as float32, also those inside a named tuple; everything else as it is."""
    if isinstance(value, tuple):
        widened = map(_widen, value)
        return type(value)(*widened) if hasattr(value, "_fields") else tuple(widened)
    return value.float() if _is_half(value) else value


def _is_half(value: Any) -> bool:
    """Whether something is a 16-bit tensor, or a tuple with one inside."""
    if isinstance(value, tuple):
        return any(map(_is_half, value))
    return isinstance(value, Tensor) and value.dtype in _HALF
