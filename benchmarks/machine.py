"""What the machine is and what it can do, so that a table of times can be read a year later."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
_PACKAGES = ("torch", "numba", "numpy", "mambapy", "snntorch", "ncps", "spikingjelly")
_SETTINGS = ("OMP_", "MKL_", "KMP_", "GOMP_", "NUMBA_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


def facts(*packages: str) -> dict[str, Any]:
    """What the times depend on besides the code that is timed.

    Args:
        *packages: Packages whose versions are of interest beside the usual ones.

    Returns:
        Processor, cores, memory, system, versions, settings in the environment, git revision, and how busy it was.
    """
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in (*_PACKAGES, *packages)},
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(_SETTINGS)},
        "revision": revision(),
        "load": round(os.getloadavg()[0], 1),
        "time": time.strftime("%Y-%m-%d %H:%M %Z"),
    }


def where(known: Mapping[str, Any]) -> str:
    """What a page of times begins with, from what `facts` returned; without a full stop."""
    machine = f"{known['processor']}, {known['cores']} cores, {known['memory_gib']} GiB, load {known['load']}"
    return f"{machine}, {known['time']}; revision {known['revision']}"


def revision() -> str:
    """The commit that is checked out, with a mark if files differ from it, or words where there is no git."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return f"{commit} with changes" if _git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def measure(*, threads: int) -> dict[str, float]:
    """Measures bandwidth, exponentials and matrix products, each as the best of several tries.

    Args:
        threads: Threads for torch. The compiled exponentials run on one.

    Returns:
        `copy_gb_s` and `triad_gb_s` (bytes read and written, 10^9 a second), `exp_gexp_s` (`torch.exp` on numbers in
        the cache, 10^9 a second), `sgemm_gflop_s`, and `compiled_exp_gexp_s` where our compiled exponential is
        there.
    """
    torch.set_num_threads(threads)
    a, b, c = (torch.ones(2**26) for _ in range(3))  # 256 MiB each, beyond any cache
    small = torch.linspace(-1, 1, 2**15 * threads)  # stays in the cache
    powers = torch.empty_like(small)
    left, right, product = (torch.rand(1024, 1024) for _ in range(3))
    found = {
        "copy_gb_s": 2 * a.nbytes / _best(lambda: b.copy_(a)) / 1e9,
        "triad_gb_s": 3 * a.nbytes / _best(lambda: torch.add(a, b, alpha=3.0, out=c)) / 1e9,
        "exp_gexp_s": small.numel() / _best(lambda: torch.exp(small, out=powers), repeats=100) / 1e9,
        "sgemm_gflop_s": 2 * 1024**3 / _best(lambda: torch.mm(left, right, out=product)) / 1e9,
    }
    return found | _compiled_exponentials()


def _best(work: Callable[[], object], *, tries: int = 7, repeats: int = 1) -> float:
    """Seconds of the fastest try."""
    work()
    seconds = []
    for _ in range(tries):
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        seconds.append((time.perf_counter() - began) / repeats)
    return min(seconds)


def _compiled_exponentials() -> dict[str, float]:
    """The rate of our own exponential in a compiled loop, on one thread."""
    try:
        from numba import njit

        from neurofmx.kernels.cpu.simd.fastmath import exp
    except ImportError:
        return {}

    @njit(fastmath={"contract", "reassoc", "nsz", "arcp"})
    def loop(x, y, repeats):
        for _ in range(repeats):
            for i in range(x.size):
                y[i] = exp(x[i] + y[i] * x[0])  # reads what it wrote, so that no repeat can be left out
        return y

    x, y = torch.linspace(-1e-3, 1e-3, 4096).numpy(), torch.zeros(4096).numpy()
    return {"compiled_exp_gexp_s": 4096 * 1000 / _best(lambda: loop(x, y, 1000)) / 1e9}
