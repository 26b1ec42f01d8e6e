"""A mark for functions whose result `torch.compile` takes as fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


def constant_in_a_graph(function: Function) -> Function:
    """What `torch.compiler.assume_constant_result` does, without its import of the compiler: a second of every process.

    Args:
        function: Its result must follow from its arguments alone.

    Returns:
        The function.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
