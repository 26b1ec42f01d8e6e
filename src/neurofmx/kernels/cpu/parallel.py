"""Spread a compiled loop over the cores that torch was given, without a second team of threads in the way.

numba's own threads abort under concurrent calls or die after a fork, so its loops are compiled to run without the
interpreter's lock (`nogil`) and handed to a small pool of Python threads. The caller computes the first share itself
and workers never wait for anything, so nested and concurrent calls cannot block each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def in_parallel(kernel: Callable[..., None], jobs: int, *arguments: Any) -> None:
    """Runs `kernel(first, last, *arguments)` over all jobs, a stretch of them on each of torch's threads.

    Every job writes to its own place, so the bits do not depend on the number of threads.

    Args:
        kernel: A compiled loop over jobs `first` to `last`, exclusive, that holds no lock.
        jobs: Number of independent jobs, 0 or more.
        *arguments: Handed on.
    """
    threads = min(torch.get_num_threads(), jobs)
    if threads < 2:
        if jobs:
            kernel(0, jobs, *arguments)
        return
    bounds = [jobs * k // threads for k in range(threads + 1)]
    pool = _workers()
    shares = [pool.submit(kernel, first, last, *arguments) for first, last in pairwise(bounds[1:])]
    kernel(bounds[0], bounds[1], *arguments)
    for share in shares:
        share.result()


def _workers() -> ThreadPoolExecutor:
    """The pool of this process, made when it is first needed."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="neurofmx-kernel")
        return _pool


def _forget() -> None:
    """In a forked child the pool's threads are gone: start again."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
