"""How much memory a step takes at its peak, on top of its weights and inputs.

The measure is resident memory: pages of this process that really exist. Before it starts, a step at a tiny size has
loaded and compiled everything, the inputs and weights of the real size are in place, freed memory has gone back to the
system, and the kernel has been told to forget the peak so far (Linux; elsewhere the peak of the process counts from its
start). Nor does the allocator keep what is freed (`benchmarks.case.ALLOCATORS`): how much it holds on to is chance.
What is reported is the rise of the peak during one step from there: outputs, gradients, everything that is kept from
forward to backward, and buffers.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.case import Size

_STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def rise(build: Callable[[Size], Any], *, tiny: Size, size: Size) -> float:
    """Measures one step; call it in a fresh process.

    Args:
        build: Builder of the side.
        tiny: Size of the step that warms up.
        size: Size of the step that is measured.

    Returns:
        The rise of the peak, MiB.
    """
    build(tiny).step()
    side = build(size)
    give_back()
    before = peak()
    side.step()
    return peak() - before


def give_back() -> None:
    """Returns freed memory to the system and forgets the peak so far, where that is possible."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        RESET.write_text("5")
    except OSError:
        pass  # not Linux, or not allowed: the peak then counts from the start of the process


def peak() -> float:
    """Most resident memory of this process since `give_back`, MiB."""
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
