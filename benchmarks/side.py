"""One side of a benchmark: an implementation with its weights and inputs in place, ready to be stepped."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

Tensors = Sequence[Tensor]


class NotThere(Exception):
    """A side that can't run here; the message says what to do about it."""


class Side:
    """A computation forward and backward.

    Args:
        forward: Computes the outputs, the same ones in the same order on all sides of a benchmark.
        wanted: Tensors whose gradients are wanted.
        arrange: Puts the gradients of `wanted` into the form that all sides share, for comparison alone.
        path: Name of the path that computes, where the side is ours.
        parameters: Number of trained numbers, where sides must have equally many.
    """

    def __init__(
        self,
        forward: Callable[[], Tensors],
        wanted: Tensors,
        *,
        arrange: Callable[[Tensors], Tensors] = tuple,
        path: str = "",
        parameters: int | None = None,
    ) -> None:
        self.forward, self.wanted, self.arrange = forward, wanted, arrange
        self.path, self.parameters = path, parameters
        self._arriving: Tensors | None = None

    def step(self) -> tuple[Tensors, Tensors]:
        """Runs forward and backward once: what is timed.

        Returns:
            Outputs, and gradients of all that is wanted for one fixed gradient that arrives at the outputs.
        """
        outputs = tuple(self.forward())
        if self._arriving is None:
            generator = torch.Generator().manual_seed(1)
            made = [torch.randn(out.shape, generator=generator, dtype=out.dtype, device="cpu") for out in outputs]
            self._arriving = [torch.empty_like(out).copy_(numbers) for out, numbers in zip(outputs, made, strict=True)]
        return outputs, torch.autograd.grad(outputs, self.wanted, self._arriving)


def leaves(*tensors: Tensor) -> list[Tensor]:
    """Copies that want gradients, so that sides share numbers but no memory."""
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def peer(module: str, *, install: str) -> ModuleType:
    """Imports a package that is compared with.

    Args:
        module: Module to import.
        install: The command that installs it.

    Returns:
        The module.

    Raises:
        NotThere: If it can't be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise NotThere(f"{module} can't be imported ({error}): run `{install}`") from error


def ours(module: str, name: str) -> Callable[..., Any]:
    """A function or class of ours, which an older revision may not have.

    Args:
        module: Module below `neurofmx`.
        name: What is wanted of it.

    Returns:
        The function or class.

    Raises:
        NotThere: If this revision does not have it.
    """
    try:
        return getattr(import_module(f"neurofmx.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise NotThere(f"this revision has no neurofmx.{module}.{name} ({error})") from error


def path_of(function: Callable[..., Any], path: str | None = None) -> str:
    """The path that computes when a kernel of ours is called with a path, or without one.

    Args:
        function: The kernel.
        path: What it is called with; `None` where it is left to its default.

    Returns:
        Name of the path, with `auto` looked up as the kernel looks it up.
    """
    chosen = path or inspect.signature(function).parameters["path"].default
    return resolved(chosen)


def resolved(path: str) -> str:
    """What `auto` stands for on the device that sides are built on; any other path as it is."""
    lookup = getattr(import_module("neurofmx.kernels.path"), "resolve", None)
    return lookup(path, torch.get_default_device()) if lookup else path
