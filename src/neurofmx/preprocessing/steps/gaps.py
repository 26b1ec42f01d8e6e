"""Where a recording has no values: found in one pass, bridged for the filters, and marked again behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy  # loads scipy.ndimage when it is used

from neurofmx.recordings.lazy import pieces


class Gap(NamedTuple):
    """A stretch of one channel without finite values.

    Args:
        first: Its first sample.
        last: One past its last sample.
        before: The value before it, NaN at the start of the recording.
        after: The value after it, NaN at the end.
    """

    first: int
    last: int
    before: float
    after: float


class Found(NamedTuple):
    """What one pass over a channel finds.

    Args:
        lacking: Samples that are not finite.
        low: Smallest finite value, NaN if there is none.
        high: Largest finite value.
        gaps: The stretches without values, in order.
    """

    lacking: int
    low: float
    high: float
    gaps: tuple[Gap, ...]


def survey(data: Any, index: Sequence[int]) -> list[Found]:
    """Look at every sample once, a piece at a time.

    Args:
        data: Samples `(time, channels)`, in memory or lazy.
        index: The channels to look at.

    Returns:
        What was found in each of these channels.
    """
    low, high = np.full(len(index), np.nan), np.full(len(index), np.nan)
    runs: list[list[Gap]] = [[] for _ in index]
    last = np.full(len(index), np.nan)
    for begin, end in pieces(data):
        piece = np.asarray(data[begin:end])[:, list(index)]
        finite = np.isfinite(piece)
        if not finite.all():
            piece = np.where(finite, piece, np.nan)
        low, high = np.fmin(low, np.fmin.reduce(piece)), np.fmax(high, np.fmax.reduce(piece))
        for k in range(len(index)):
            _join(runs[k], piece[:, k], finite[:, k], begin, last[k])
        last = piece[-1]
    return [
        Found(sum(gap.last - gap.first for gap in gaps), float(a), float(b), tuple(gaps))
        for gaps, a, b in zip(runs, low, high, strict=True)
    ]


def bridge(rows: np.ndarray, gaps: Sequence[Sequence[Gap]], *, begin: int) -> np.ndarray:
    """Put a straight line over every gap, so that a filter can pass; at an end the nearest value holds.

    Args:
        rows: Samples `(channels, time)`, changed in place.
        gaps: The gaps of each channel.
        begin: Which sample of the recording the rows begin with.

    Returns:
        The mask `(channels, time)` of what was bridged.
    """
    mask = np.zeros(rows.shape, bool)
    for k, gap in _inside(gaps, begin, begin + rows.shape[1]):
        first, last = max(gap.first, begin), min(gap.last, begin + rows.shape[1])
        before, after = (other if np.isnan(one) else one for one, other in (gap[2:], gap[:1:-1]))
        share = (np.arange(first, last) - gap.first + 1) / (gap.last - gap.first + 1)
        rows[k, first - begin : last - begin] = before + share * (after - before)
        mask[k, first - begin : last - begin] = True
    return mask


def widened(mask: np.ndarray, samples: int) -> np.ndarray:
    """A mask `(channels, time)` that also holds what is so many samples away from it."""
    return scipy.ndimage.maximum_filter1d(mask.astype(np.uint8), 2 * samples + 1, axis=1, mode="constant").astype(bool)


def _join(runs: list[Gap], values: np.ndarray, finite: np.ndarray, begin: int, last: float) -> None:
    """Add the gaps of one piece of a channel; one that the piece before left open goes on."""
    open_ = bool(runs) and runs[-1].last == begin
    if open_ and finite[0]:
        runs[-1] = runs[-1]._replace(after=float(values[0]))
    if finite.all():
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[True], finite, [True]])))
    for first, stop in edges.reshape(-1, 2):
        before = float(values[first - 1]) if first else float(last)
        after = float(values[stop]) if stop < len(values) else np.nan
        gap = Gap(begin + int(first), begin + int(stop), before, after)
        if open_ and not first:
            runs[-1] = gap._replace(first=runs[-1].first, before=runs[-1].before)
        else:
            runs.append(gap)


def _inside(gaps: Sequence[Sequence[Gap]], begin: int, end: int) -> Iterator[tuple[int, Gap]]:
    """Channel and gap of all that touch a stretch."""
    for k, all_ in enumerate(gaps):
        yield from ((k, gap) for gap in all_ if gap.first < end and gap.last > begin)
