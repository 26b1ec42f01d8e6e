"""Choose what computes a kernel on a GPU, and say by name what was chosen.

| name        | what computes                       | when                                                            |
|-------------|-------------------------------------|-----------------------------------------------------------------|
| `mamba_ssm` | mamba-ssm's own selective scan      | built with its kernel; float32, no state, mask or gradient      |
| `triton`    | our kernels                         | with Triton, on NVIDIA's GPUs of compute capability 8.0 or more |
| `reference` | plain torch, one step after another | anywhere else, and always for `ltc`, which has no kernel for it |

mamba-ssm computes no gradient for the state that a scan ends with, where ours do, so it may only answer calls that want
none. The reference is not handed to `torch.compile`: that compiles through Triton for a GPU, which is just what is
missing, and unrolls the loop over time.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from typing import Literal, NamedTuple

import torch

from neurofmx.kernels.constant import constant_in_a_graph
from neurofmx.kernels.gpu import triton_there

CudaPath = Literal["mamba_ssm", "triton", "reference"]
Kernel = Literal["selective_scan", "lif", "lif_readout", "cfc", "ltc"]

OLDEST = (8, 0)  # compute capability from which on there are products of TF32 numbers and asynchronous copies


class Decision(NamedTuple):
    """What computes a kernel, and why.

    Args:
        path: The name of what computes.
        why: The reason, in words.
    """

    path: CudaPath
    why: str


_decided: dict[tuple[Kernel, torch.device, torch.dtype, bool], Decision] = {}


@constant_in_a_graph
def cuda_path(kernel: Kernel, device: torch.device, dtype: torch.dtype, plain: bool = False) -> CudaPath:
    """Chooses what computes a kernel on a GPU.

    Args:
        kernel: The kernel.
        device: Where its tensors are.
        dtype: Of its tensors.
        plain: Whether a scan starts from a zero state, without a mask, and nobody asks for gradients.

    Returns:
        `mamba_ssm`, `triton` or `reference`.

    Raises:
        ValueError: If the device is no GPU.
    """
    asked = kernel, device, dtype, plain
    if asked not in _decided:
        _decided[asked] = _decide(*asked)
    return _decided[asked].path


def decisions() -> dict[str, list[str]]:
    """What computed on the GPU in this process so far, for a report beside the numbers.

    Returns:
        Per kernel, the names of what was chosen, each with its reason.
    """
    found: dict[str, list[str]] = {}
    for (kernel, *_), (path, why) in _decided.items():
        line = f"{path}: {why}"
        if line not in found.setdefault(kernel, []):
            found[kernel].append(line)
    return found


def _decide(kernel: Kernel, device: torch.device, dtype: torch.dtype, plain: bool) -> Decision:
    """The choice, without a memory."""
    if kernel == "ltc":
        return Decision("reference", "ltc has no kernel for GPUs")
    if triton_there.interpreting():
        return Decision("triton", "TRITON_INTERPRET=1 runs it as Python")
    if device.type != "cuda":
        built = "" if torch.version.cuda or torch.version.hip else " (this torch is built without CUDA)"
        raise ValueError(
            f"path='cuda' of {kernel} needs tensors on a CUDA device, got {device}{built}: "
            "choose path='auto', or move model and data to a CUDA device"
        )
    if kernel == "selective_scan" and plain and dtype == torch.float32 and mamba_is_there():
        return Decision("mamba_ssm", "mamba-ssm is built with its kernel, and no state, mask or gradient is asked for")
    if not triton_is_there():
        return Decision("reference", "Triton can't be imported")
    if torch.version.hip:
        return Decision("reference", "our kernels are written for NVIDIA's GPUs")
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST:
        return Decision("reference", f"compute capability {capability} is below {OLDEST}")
    return Decision("triton", f"compute capability {capability}")


@cache
def mamba_is_there() -> bool:
    """Whether mamba-ssm is installed with its compiled scan, which a default installation leaves out."""
    return find_spec("mamba_ssm") is not None and find_spec("selective_scan_cuda") is not None


@cache
def triton_is_there() -> bool:
    """Whether Triton can be imported; where it cannot, one warning says what to install."""
    if triton_there.triton is None:
        warnings.warn(
            "Triton can't be imported, so plain torch runs on the GPU, one step after another and many times slower: "
            "run `pip install triton`",
            stacklevel=2,
        )
    return triton_there.triton is not None
