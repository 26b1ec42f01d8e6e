"""What every compiled kernel must stand: threads, forks, and the checks of torch for its operators."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

Run = Callable[[], Sequence[Tensor]]


def same_bits(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether all tensors are equal to the last bit."""
    return all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))


def at_threads(threads: int, run: Run) -> Sequence[Tensor]:
    """What comes out with so many threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return run()
    finally:
        torch.set_num_threads(before)


def assert_bits_depend_on_nothing(run: Run) -> None:
    """The same twice, with 1, 2 and 3 threads, and from several threads at once."""
    once = at_threads(1, run)
    for threads in (1, 2, 3):
        assert same_bits(at_threads(threads, run), once)
    with ThreadPoolExecutor(4) as pool:
        for other in at_threads(2, lambda: list(pool.map(lambda _: run(), range(8)))):
            assert same_bits(other, once)


def assert_survives_a_fork(run: Run) -> None:
    """A child computes the same as its parent, which had threads of its own at work.

    Args:
        run: Gives tensors of under 32768 numbers: with more, torch itself starts threads, and hangs in a child.
    """
    parent = at_threads(2, run)
    child = os.fork()
    if not child:  # leave without pytest's own way out
        code = 1
        try:
            code = 0 if same_bits(at_threads(2, run), parent) else 2
        finally:
            os._exit(code)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child of a fork hangs")
