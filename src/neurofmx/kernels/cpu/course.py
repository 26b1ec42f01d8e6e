"""What tells the compiled liquid cells how time passes: elapsed times, and which steps are no padding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.tiles import OPTIONS, numbers_of


class Course(NamedTuple):
    """What tells how the states change with time."""

    elapsed: np.ndarray  # per step of the solver, where a cell has one (batch or 1, time or 1, units)
    mask: np.ndarray  # which steps are no padding (batch, time), or (batch, 0) where none is


def course_of(elapsed: Tensor, mask: Tensor | None, batch: int) -> Course:
    """Elapsed times and mask as the loops take them.

    Args:
        elapsed: Elapsed times (batch or 1, time or 1, units).
        mask: Which steps count (batch, time), or `None` for all.
        batch: Number of sequences.

    Returns:
        The course.
    """
    return Course(numbers_of(elapsed), np.empty((batch, 0), np.bool_) if mask is None else numbers_of(mask))


@njit(forceinline=True, **OPTIONS)
def counts(course, row, t):
    """Whether a step is no padding."""
    return course.mask.shape[1] == 0 or course.mask[row, t]
