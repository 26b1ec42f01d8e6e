"""Triton where it is installed; where it is not, the files with its kernels can still be imported and read.

Triton comes with torch for CUDA, not with torch for the CPU, and only who launches a kernel needs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

try:
    triton: Any = import_module("triton")
    tl: Any = import_module("triton.language")
except ImportError:
    triton = tl = None

# The type of arguments that are compiled into a kernel.
if TYPE_CHECKING:
    constexpr: TypeAlias = Any
else:
    constexpr = Any if tl is None else tl.constexpr


def part(function: Callable[..., Any]) -> Any:
    """Hands a function that kernels call to Triton, and leaves it as it is where there is no Triton.

    Args:
        function: In Triton's language.

    Returns:
        What kernels can call.
    """
    return function if triton is None else triton.jit(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Hands a kernel to Triton, which compiles it once for all values of its arguments of type `int`.

    Triton would compile anew for numbers divisible by 16, and there lay four neighbours of a row into one thread. That
    spreads a tile's steps over the threads; as it is, each thread has the steps of one channel, and scans cost nothing.

    Args:
        function: In Triton's language, with `int` written at its whole numbers.

    Returns:
        What `launch` takes.
    """
    if triton is None:
        return function
    numbers = [name for name, argument in signature(function).parameters.items() if argument.annotation == "int"]
    return triton.jit(function, do_not_specialize=numbers)


def interpreting() -> bool:
    """Whether Triton runs its kernels as Python on the CPU, which the tests do where there is no GPU."""
    return triton is not None and os.environ.get("TRITON_INTERPRET") == "1"


def launch(compiled: Any, programs: int, *arguments: Any, **settings: Any) -> None:
    """Runs a kernel on the device of its first argument.

    Args:
        compiled: What `kernel` made.
        programs: How many of it run; none where it is 0.
        *arguments: Tensors and numbers, a tensor first.
        **settings: Constants of the kernel, `num_warps` and the like.
    """
    if programs:
        with torch.cuda.device_of(arguments[0]):  # else Triton launches on the current device, wherever the tensors are
            compiled[(programs,)](*arguments, **settings)


def rows_of(tensor: Tensor) -> tuple[Tensor, int]:
    """A sequence whose rows lie evenly apart, as they do in a part of a wider product.

    Args:
        tensor: Sequence (batch, length, channels) with any strides.

    Returns:
        The tensor, or a copy if its rows lie otherwise, and the number of elements from row to row.
    """
    batch, length, channels = tensor.shape
    row = tensor.stride(1) if length > 1 else tensor.stride(0)
    even = batch == 1 or length == 1 or tensor.stride(0) == length * tensor.stride(1)
    if even and (channels == 1 or tensor.stride(2) == 1):
        return tensor, row
    return tensor.contiguous(), channels


def bytes_of(mask: Tensor | None, other: Tensor) -> Tensor:
    """A mask in whole bytes, which kernels can read.

    Args:
        mask: Booleans, or `None`.
        other: What to hand over instead where there is no mask and nothing is read.

    Returns:
        A contiguous tensor.
    """
    return other if mask is None else mask.contiguous().view(torch.uint8)
