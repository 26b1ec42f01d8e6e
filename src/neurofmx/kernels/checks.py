"""Say early which path a kernel's tensors can take: the right device, the right numbers, a mask of booleans."""

from __future__ import annotations

import torch
from torch import Tensor

from neurofmx.kernels.gpu.triton_there import interpreting
from neurofmx.kernels.shapes import require_shape


def require_mask(mask: Tensor | None, batch: int, length: int) -> None:
    """Checks a mask of the steps that count.

    Args:
        mask: The mask, or `None` where all count.
        batch: Number of sequences.
        length: Number of steps.

    Raises:
        ValueError: If the mask is not bool (batch, length).
    """
    if mask is None:
        return
    require_shape("mask", mask, batch=batch, length=length)
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be of torch.bool, True where a step counts, got {mask.dtype}: use mask.bool()")


def require_cpu(argument: str, tensor: Tensor) -> None:
    """Checks that compiled loops can run on a tensor.

    Args:
        argument: Name of the argument, for the message.
        tensor: The tensor.

    Raises:
        ValueError: If it is not on the CPU, or neither float32 nor float64.
    """
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{argument} must be on the CPU for path='numba', got {tensor.device}: "
            "choose path='auto', or move model and data to the CPU"
        )
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"{argument} must be float32 or float64 for path='numba', got {tensor.dtype}: convert it with .float()"
        )


def no_numba(error: ImportError) -> ImportError:
    """What to tell who asked for compiled loops without numba.

    Args:
        error: What the import said.

    Returns:
        The error to raise.
    """
    return ImportError(
        f"path='numba' needs numba, which can't be imported ({error}): "
        "run `pip install numba` or choose path='reference'"
    )


def require_cuda(argument: str, tensor: Tensor) -> None:
    """Checks that a tensor is on a GPU.

    Args:
        argument: Name of the argument, for the message.
        tensor: The tensor.

    Raises:
        ValueError: If it is not.
    """
    if tensor.device.type != "cuda" and not interpreting():
        raise ValueError(
            f"{argument} must be on a CUDA device for path='cuda', got {tensor.device}: "
            "choose path='auto', or move model and data to a CUDA device"
        )
