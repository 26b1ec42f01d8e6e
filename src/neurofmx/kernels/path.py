"""Choose between the ways of computing one kernel.

Every kernel of this package is a function with a `path` argument, and all its paths compute the same numbers, so the
choice is about speed alone.

| path        | what computes                                                | where                         |
|-------------|--------------------------------------------------------------|-------------------------------|
| `auto`      | the fastest of the others that is there                      | everywhere                    |
| `reference` | plain torch: slow, readable, the oracle of the others        | everywhere                    |
| `numba`     | loops compiled for this processor, forward and backward      | CPU, float32 and float64      |
| `cuda`      | what `neurofmx.kernels.cuda` chooses on a GPU                | CUDA                          |
| `library`   | the package people would use instead of us (snnTorch, ncps, mamba-ssm) | see each kernel     |
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Literal

import torch

from neurofmx.kernels.constant import constant_in_a_graph
from neurofmx.kernels.cuda import decisions

Path = Literal["auto", "reference", "library", "numba", "cuda"]

# What computes a kernel on the path `library`.
LIBRARIES = {
    "lif": "snntorch",
    "lif_readout": "snntorch",
    "alif": "snntorch",
    "cfc": "ncps",
    "wired_cfc": "ncps",
    "ltc": "ncps",
    "selective_scan": "mamba_ssm",
}


@constant_in_a_graph
def numba_is_there() -> bool:
    """Whether compiled loops can run; where they cannot, one warning per process says what to install."""
    return _import_numba()


@cache
def _import_numba() -> bool:
    try:
        import_module("neurofmx.kernels.cpu.simd.tiles")  # with numba, and all of its inner parts that loops need
    except Exception as error:  # also SystemError and OSError, where numpy or LLVM are not what numba was built for
        warnings.warn(
            f"numba can't be imported ({error!r}), so the plain torch loops run, which are many times slower: "
            "run `pip install --upgrade numba`",
            stacklevel=2,
        )
        return False
    return True


def resolve(path: Path, device: torch.device) -> Path:
    """The path that computes on a device.

    Args:
        path: What was asked for.
        device: Where the tensors are.

    Returns:
        `path`, with `auto` replaced by `cuda` on a CUDA device, `numba` on a CPU that has it, else `reference`.
    """
    if path != "auto":
        return path
    if device.type == "cuda":
        return "cuda"
    return "numba" if device.type == "cpu" and numba_is_there() else "reference"


def computed_by(paths: Mapping[str, Path], device: torch.device) -> str:
    """Names what computes the kernels of a network, for a report.

    Args:
        paths: The path of each kernel, by the kernel's name.
        device: Where the tensors are.

    Returns:
        One name where it is that of all, else one for every kernel. On a GPU the names are those of what computed
        there so far in this process, and `cuda` before the first call.

    Example:
        >>> computed_by({"cfc": "reference", "selective_scan": "reference"}, torch.device("cpu"))
        'reference'
        >>> computed_by({"cfc": "library", "selective_scan": "reference"}, torch.device("cpu"))
        'cfc ncps, selective_scan reference'
    """
    names = {kernel: _name(kernel, resolve(path, device)) for kernel, path in paths.items()}
    if len(set(names.values())) == 1:
        return next(iter(names.values()))
    return ", ".join(f"{kernel} {name}" for kernel, name in names.items())


def _name(kernel: str, path: Path) -> str:
    """What computes a kernel on a path that is not `auto`."""
    if path == "library":
        return LIBRARIES[kernel]
    if path == "cuda":
        chosen = decisions().get(kernel, [path])
        return " and ".join(dict.fromkeys(line.split(":")[0] for line in chosen))
    return path


def import_library(module: str, *, install: str) -> ModuleType:
    """Imports the package behind a path when it is first needed.

    Args:
        module: Name of the module to import.
        install: What to hand to `pip install` where it is missing.

    Returns:
        The module.

    Raises:
        ImportError: If the package is not installed or can't be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this path needs {module}, which can't be imported ({error}): "
            f"run `pip install {install}` or choose path='reference'"
        ) from error
