"""Say early, and in the reader's words, that a tensor has the wrong shape."""

from __future__ import annotations

from torch import Tensor


def require_shape(argument: str, tensor: Tensor, **sizes: int | None) -> tuple[int, ...]:
    """Checks a tensor against a shape legend and returns its sizes.

    Args:
        argument: Name of the argument, for the message.
        tensor: The tensor to check.
        **sizes: The name of every axis in order, with the size it must have; `None` takes any size of 1 or more.
            The axis called `batch` may be empty.

    Returns:
        The sizes of all axes.

    Raises:
        ValueError: If the number of axes or a size differs, or an axis other than `batch` is empty.

    Example:
        >>> import torch
        >>> require_shape("current", torch.zeros(2, 5, 3), batch=None, time=None, neurons=3)
        (2, 5, 3)
        >>> require_shape("potential", torch.zeros(2, 4), batch=2, neurons=3)
        Traceback (most recent call last):
        ...
        ValueError: potential must have the shape (batch=2, neurons=3), got (2, 4)
    """
    shape = tuple(tensor.shape)
    fits = len(shape) == len(sizes)
    for have, (name, want) in zip(shape, sizes.items(), strict=False):  # a plain loop, as a stream asks at every token
        if (want is not None and have != want) or (have == 0 and name != "batch"):
            fits = False
    if not fits:
        legend = ", ".join(name if size is None else f"{name}={size}" for name, size in sizes.items())
        raise ValueError(f"{argument} must have the shape ({legend}), got {shape}")
    return shape
