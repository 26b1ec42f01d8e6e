"""Spikes: from trains to counts in bins, with behaviour on the same clock; or counts that were binned at the source."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from neurofmx.preprocessing.steps.alignment import aligned, shared_span
from neurofmx.preprocessing.steps.checks import Bad, drop_channels, screen
from neurofmx.preprocessing.steps.smoothing import Smoothing, reach, smoothed
from neurofmx.preprocessing.steps.units import UnitOptions, unfit
from neurofmx.recordings.lazy import pieces
from neurofmx.recordings.recording import Events, Recording, Signal

GROUP = 32  # units that are smoothed at a time, in double precision
_log = logging.getLogger(__name__)


class SpikeOptions(UnitOptions):
    """How spikes become features; part `preprocess` of a dataset's block."""

    bin_ms: float | None = Field(
        default=20.0, gt=0, description="width of a bin, ms; null keeps the bins of recordings that hold counts"
    )
    sqrt: bool = Field(default=False, description="square root of the counts, which evens out their variance")
    smoothing: Smoothing = Field(default="none", description="Gaussian: `none`, `centred`, or `causal` (past only)")
    sigma_ms: float = Field(default=60.0, gt=0, description="standard deviation of the kernel, ms")
    bad: Bad = Field(default="error", description="units whose count never changes: `error`, or `drop` them everywhere")

    @property
    def rate(self) -> float | None:
        """Bins a second, Hz; None where it is the recording's."""
        return None if self.bin_ms is None else 1000 / self.bin_ms

    @property
    def reach(self) -> float:
        """How far, s, a bin is mixed with others in time: a split must leave at least this gap."""
        return reach(self.smoothing, sigma=self.sigma_ms / 1000)


def preprocess(recordings: Iterable[Recording], options: SpikeOptions) -> list[Recording]:
    """Count spikes in bins over the time that every signal covers, and take the signals at the bins' centres.

    Args:
        recordings: Recordings with events `spikes`, or with a signal `spikes (bins, units)` that holds counts. Counts
            are never interpolated: their bins are kept, or whole numbers of them are added up.
        options: What to do.

    Returns:
        Recordings with a signal `spikes (bins, units)`, instead of the events, and every other signal at the same
        rate. Bins have their centre as time; bins of counts keep the time that the recording gives them.

    Raises:
        ValueError: If there is no time that every signal covers, a unit is unusable, or bins do not fit into
            `bin_ms`.
    """
    recordings = list(recordings)
    counted = [(_add_up if "spikes" in each.signals else _bin)(each, options) for each in recordings]
    fit = _without_unfit(recordings, counted, options)
    usable = screen(fit, "spikes", bad=options.bad, option="preprocess.bad")
    return [_transform(recording, options) for recording in usable]


def count(events: Events, edges: np.ndarray) -> np.ndarray:
    """Count the events of every source in bins.

    Args:
        events: Events of several sources.
        edges: Ascending bin edges `(bins + 1,)`, s. A bin holds its left edge and not its right one.

    Returns:
        Counts `(bins, sources)`, int32.

    Example:
        >>> count(Events(np.array([0.1, 0.5, 0.6]), np.array([0, 1, 1]), ("a", "b")), np.array([0, 0.5, 1])).tolist()
        [[1, 0], [0, 2]]
    """
    counts = np.zeros((len(edges) - 1, len(events.names)), dtype=np.int32)
    for first, last in pieces(events.times):
        bins = np.searchsorted(edges, events.times[first:last], side="right") - 1
        inside = (bins >= 0) & (bins < len(counts))
        np.add.at(counts, (bins[inside], events.sources[first:last][inside]), 1)
    return counts


def _bin(recording: Recording, options: SpikeOptions) -> Recording:
    """Counts, and all signals at the bins' centres."""
    if options.bin_ms is None:
        raise ValueError(f"preprocess.bin_ms=null: recording {recording.name} holds spike times, give a width in ms")
    width = options.bin_ms / 1000
    edges = _edges(recording, width)
    centres = edges[:-1] + width / 2
    spikes = recording.event("spikes")
    counts = Signal(count(spikes, edges), 1 / width, "spikes", spikes.names, float(centres[0]))
    rest = {name: events for name, events in recording.events.items() if name != "spikes"}
    moved = aligned(recording, counts, times=centres)
    return replace(recording, signals={"spikes": counts, **moved}, events=rest)


def _edges(recording: Recording, width: float) -> np.ndarray:
    """Bin edges over the time that all signals, or else the whole recording, cover."""
    start, stop = shared_span(recording)
    bins = int((stop - start) / width + 1e-6)
    if bins < 1:
        raise ValueError(
            f"recording {recording.name}: its signals have no bin of {1000 * width:g} ms in common "
            f"(from {start} to {stop} s); slice the recording, or make preprocess.bin_ms smaller"
        )
    return start + np.arange(bins + 1) * width


def _add_up(recording: Recording, options: SpikeOptions) -> Recording:
    """Counts of the source, or sums over whole numbers of its bins; the signals at the middle of what is added up."""
    counts = recording.signal("spikes")
    joined = _bins_joined(recording, counts, options)
    bins = len(counts.data) // joined
    data = counts.data[: bins * joined].reshape(bins, joined, -1).sum(axis=1, dtype=np.float64)  # bytes would overflow
    sums = replace(counts, data=data, rate=counts.rate / joined)
    others = replace(recording, signals={name: s for name, s in recording.signals.items() if name != "spikes"})
    middle = sums.times + (joined - 1) / (2 * counts.rate)
    return replace(recording, signals={"spikes": sums, **aligned(others, sums, times=middle)})


def _bins_joined(recording: Recording, counts: Signal, options: SpikeOptions) -> int:
    """How many bins of the source make one."""
    if options.bin_ms is None:
        return 1
    ratio = options.bin_ms * counts.rate / 1000
    joined = round(ratio)
    if joined < 1 or abs(ratio - joined) > 1e-6 * joined or joined > len(counts.data):
        raise ValueError(
            f"preprocess.bin_ms={options.bin_ms:g}: recording {recording.name} holds counts in {len(counts.data)} bins "
            f"of {1000 / counts.rate:g} ms, which can be added up in whole numbers only; give a multiple, or null to "
            "keep them"
        )
    return joined


def _without_unfit(recordings: list[Recording], counted: list[Recording], options: SpikeOptions) -> list[Recording]:
    """Leave out the units that are unfit in any recording."""
    gone: dict[str, str] = {}
    for recording, counts in zip(recordings, counted, strict=True):
        gone |= unfit(recording, counts.signal("spikes"), options)
    if gone:
        some = "; ".join(f"{name} {reason}" for name, reason in list(gone.items())[:5])
        _log.warning("left out %d units: %s%s", len(gone), some, "; ..." if len(gone) > 5 else "")
    return [drop_channels(each, "spikes", gone) for each in counted]


def _transform(recording: Recording, options: SpikeOptions) -> Recording:
    """Square root and smoothing of the counts."""
    counts = recording.signal("spikes")
    if options.sqrt and np.min(counts.data) < 0:
        raise ValueError(f"preprocess.sqrt: recording {recording.name} holds spike counts below 0; leave sqrt out")
    data = np.empty(counts.data.shape, np.float32)
    for first in range(0, len(counts.channels), GROUP):
        group = counts.data[:, first : first + GROUP]
        group = np.sqrt(group) if options.sqrt else group
        data[:, first : first + GROUP] = smoothed(group, options.smoothing, sigma=options.sigma_ms / 1000 * counts.rate)
    return recording.with_signal("spikes", replace(counts, data=data))
