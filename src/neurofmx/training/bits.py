"""What the bits of a training depend on besides its recipe, fixed."""

from __future__ import annotations

import os

import torch


def fix_the_bits(threads: int) -> None:
    """Fix threads and algorithms of this process, so that the same recipe gives the same weights.

    Args:
        threads: Threads of torch: another number sums in another order.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it CUDA's products are refused as not deterministic
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
