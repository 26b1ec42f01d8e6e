"""A voltage that is cleaned where it is read, a block at a time, with the result of cleaning the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from neurofmx.preprocessing.steps.blocks import Blocked
from neurofmx.preprocessing.steps.fir import Resampling, Step, total_reach
from neurofmx.preprocessing.steps.gaps import Gap, bridge, widened
from neurofmx.preprocessing.steps.montage import Montage, Reference, subtract_mean

BLOCK = 2**24  # values of the recording that are cleaned at a time: 128 MiB of float64
_TILE = 256  # rows and columns of a matrix that fit the processor's cache


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is done to a recording.

    Args:
        before: Names of the channels that are read.
        index: Their places in the recording, -1 for one that is missing, shape `(channels,)`.
        good: Which of them carry something, shape `(channels,)`; the others come out as NaN.
        gaps: Stretches without values, of each.
        reference: What is subtracted.
        montage: The channels after re-referencing.
        steps: Filters, one after the other.
        outputs: What becomes of the filtered voltage: the end of the channels' names, and further steps.
        resampling: The change of rate.
        artefact: Size after the filters beyond which a sample is marked, or none.
        margin: Samples around an artefact that are marked as well.
    """

    before: tuple[str, ...]
    index: np.ndarray
    good: np.ndarray
    gaps: tuple[tuple[Gap, ...], ...]
    reference: Reference | None
    montage: Montage
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, tuple[Step, ...]], ...]
    resampling: Resampling
    artefact: float | None
    margin: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels that come out."""
        return tuple(f"{name}{end}" for end, _ in self.outputs for name in self.montage.names)

    @property
    def reach(self) -> int:
        """Samples of the recording that a sample which comes out depends on, on each side."""
        furthest = max(total_reach(steps) for _, steps in self.outputs)
        return total_reach(self.steps) + max(furthest, self.margin) + self.resampling.reach


@final
class Cleaned(Blocked):
    """The cleaned channels of a recording.

    A recording of up to `block` values is one block.

    Args:
        source: The recording `(time, channels)`, in memory or lazy.
        plan: What is done to it.
        block: Values of the recording that are cleaned at a time, besides their neighbourhood, default `BLOCK`.

    Shape:
        `(time, channels)`, float32.
    """

    def __init__(self, source: Any, plan: Plan, *, block: int | None = None) -> None:
        channels = max(1, len(plan.index), len(plan.names) * plan.resampling.up // plan.resampling.down)
        wanted = max((BLOCK if block is None else block) // channels, 2 * plan.reach)
        samples = max(1, wanted // plan.resampling.down) * plan.resampling.up  # that come out of a block
        super().__init__((plan.resampling.length(len(source)), len(plan.names)), np.float32, samples=samples)
        self._source, self._plan = source, plan

    def make(self, first: int, last: int) -> np.ndarray:
        """Read the recording around the samples `first` to `last - 1` that come out, and clean it."""
        ratio, reach = self._plan.resampling, self._plan.reach
        begin = max(0, first * ratio.down // ratio.up - reach) // ratio.down * ratio.down
        end = min(len(self._source), -(-last * ratio.down // ratio.up) + reach)
        skipped = begin * ratio.up // ratio.down
        made = self._clean(np.asarray(self._source[begin:end]), begin, first - skipped, last - skipped)
        return turned(made, np.float32)

    def _clean(self, piece: np.ndarray, begin: int, first: int, last: int) -> np.ndarray:
        """A piece `(time, channels)` of the recording as rows that come out, of which some are wanted."""
        plan = self._plan
        rows, lacking = self._bridged(piece, begin)
        for step in plan.steps:
            rows = step.apply(rows)
        lacking = self._with_artefacts(rows, lacking)
        made = []
        for _, steps in plan.outputs:
            one = rows
            for step in steps:
                one = step.apply(one)
            made.append(plan.resampling.apply(one)[:, first:last])
        if lacking is not None:
            lacking = self._at_new_rate(lacking)[:, first:last]
            made = [np.where(lacking, np.nan, one) for one in made]
        return np.concatenate(made) if len(made) > 1 else made[0]

    def _bridged(self, piece: np.ndarray, begin: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows of the montage without holes, and where there were some."""
        plan, marked = self._plan, None
        rows = turned(piece, np.float64)
        if not np.array_equal(plan.index, np.arange(len(rows))):
            rows = rows[plan.index]
        rows[~plan.good] = 0.0
        if any(plan.gaps) or not plan.good.all():
            holes = tuple(gaps if good else () for gaps, good in zip(plan.gaps, plan.good, strict=True))
            marked = bridge(rows, holes, begin=begin)
            marked[~plan.good] = True
        if plan.reference in ("average", "group"):
            rows = subtract_mean(rows, plan.before, plan.good, reference=plan.reference)
        plus, minus = plan.montage.plus, plan.montage.minus
        if plan.reference == "bipolar":
            rows = np.stack([rows[a] - rows[b] for a, b in zip(plus, minus, strict=True)])
            marked = None if marked is None else marked[plus] | marked[minus]
        return rows, marked

    def _with_artefacts(self, rows: np.ndarray, marked: np.ndarray | None) -> np.ndarray | None:
        """What is marked so far, and what is too large."""
        if self._plan.artefact is None:
            return marked
        large = widened(np.abs(rows) > self._plan.artefact, self._plan.margin)
        return large if marked is None else large | marked

    def _at_new_rate(self, marked: np.ndarray) -> np.ndarray:
        """Mark every new sample within one old or new sample of a marked one."""
        ratio = self._plan.resampling
        if ratio.up == ratio.down:
            return marked
        marked = widened(marked, -(-ratio.down // ratio.up))
        nearest = np.round(np.arange(ratio.length(marked.shape[1])) * ratio.down / ratio.up).astype(int)
        return marked[:, np.minimum(nearest, marked.shape[1] - 1)]


def turned(array: np.ndarray, dtype: type) -> np.ndarray:
    """The transpose of a matrix, copied a tile at a time: a copy in one go waits for memory most of the time."""
    rows = np.empty(array.shape[::-1], dtype)
    for first in range(0, len(array), _TILE):
        for left in range(0, array.shape[1], _TILE):
            rows[left : left + _TILE, first : first + _TILE] = array[first : first + _TILE, left : left + _TILE].T
    return rows
