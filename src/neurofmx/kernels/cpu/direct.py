"""Operators of torch that are left out where nobody looks: in inference the compiled loops behind them are called.

An operator costs more to call than a short loop takes: it asks for gradients, tracing and aliases. In inference on
plain tensors none of these is of interest, and a network that reads a stream makes some calls a layer for every token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")
_LOOPS: dict[Any, Callable[..., Any]] = {}
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def operator(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Makes an operator that changes none of its arguments, and remembers what computes it.

    Args:
        name: Name of the operator, `library::name`.

    Returns:
        A decorator, as `torch.library.custom_op` is one.
    """

    def decorate(loops: Callable[..., Any]) -> Any:
        made = torch.library.custom_op(name, loops, mutates_args=())
        _LOOPS[made] = loops
        return made

    return decorate


def call(made: Any, first: torch.Tensor, *others: Any) -> Any:
    """Calls an operator, or the loops behind it where gradients are off, nothing is traced and tensors are plain.

    Args:
        made: What `operator` made.
        first: Its first argument.
        *others: The others.

    Returns:
        What it returns, the same bits either way.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or type(first) not in _PLAIN:
        return made(first, *others)
    return _LOOPS[made](first, *others)
