"""Spikes: from trains to counts in bins, with behaviour on the same clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import convolve1d

from neurofmx.preprocessing.checks import Bad, drop_channels, screen
from neurofmx.recording import Events, Recording, Signal
from neurofmx.timeline import interpolate

Smoothing = Literal["none", "centred", "causal"]


class SpikeOptions(BaseModel):
    """How spike trains become features; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bin_ms: float = Field(default=20.0, gt=0, description="width of a bin, ms")
    sqrt: bool = Field(default=False, description="square root of the counts, which evens out their variance")
    smoothing: Smoothing = Field(default="none", description="Gaussian: `none`, `centred`, or `causal` (past only)")
    sigma_ms: float = Field(default=60.0, gt=0, description="standard deviation of the kernel, ms")
    min_rate: float = Field(default=0.0, ge=0, description="units that fire less in any recording are left out, Hz")
    bad: Bad = Field(default="error", description="units whose count never changes: `error`, or `drop` them everywhere")

    @property
    def rate(self) -> float:
        """Bins a second, Hz."""
        return 1000 / self.bin_ms

    @property
    def reach(self) -> float:
        """How far, s, a bin is mixed with others in time: a split must leave at least this gap."""
        return 0.0 if self.smoothing == "none" else 4e-3 * self.sigma_ms


def preprocess(recordings: Iterable[Recording], options: SpikeOptions) -> list[Recording]:
    """Count spikes in bins over the time that every signal covers, and take the signals at the bins' centres.

    Args:
        recordings: Recordings with events `spikes`.
        options: What to do.

    Returns:
        Recordings with a signal `spikes (bins, units)`, instead of the events, and every other signal at
        `1000 / bin_ms` Hz. Bins have their centre as time.

    Raises:
        ValueError: If there is no time that every signal covers, or a unit is unusable.
    """
    binned = _without_quiet([_bin(recording, options) for recording in recordings], min_rate=options.min_rate)
    usable = screen(binned, "spikes", bad=options.bad, option="preprocess.bad")
    return [_transform(recording, options) for recording in usable]


def count(events: Events, edges: np.ndarray) -> np.ndarray:
    """Count the events of every source in bins.

    Args:
        events: Events of several sources.
        edges: Ascending bin edges `(bins + 1,)`, s. A bin holds its left edge and not its right one.

    Returns:
        Counts `(bins, sources)`.

    Example:
        >>> count(Events(np.array([0.1, 0.5, 0.6]), np.array([0, 1, 1]), ("a", "b")), np.array([0, 0.5, 1])).tolist()
        [[1, 0], [0, 2]]
    """
    bins = np.searchsorted(edges, events.times, side="right") - 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    counts = np.zeros((len(edges) - 1, len(events.names)), dtype=np.int64)
    np.add.at(counts, (bins[inside], events.sources[inside]), 1)
    return counts


def resample(signal: Signal, times: np.ndarray) -> np.ndarray:
    """Interpolate a signal linearly; angles, of unit `rad`, along the shorter way round.

    Args:
        signal: Samples `(time, ...)`; the last one holds until the signal stops.
        times: Times `(bins,)` to interpolate to, s.

    Returns:
        Values `(bins, ...)`; angles in 0 to 2 pi.
    """
    return interpolate(times, signal.times, signal.data, angle=signal.unit == "rad")


def gaussian_kernel(sigma: float, *, causal: bool) -> np.ndarray:
    """Weights of a Gaussian smoother.

    Args:
        sigma: Standard deviation, bins.
        causal: Whether the future has no weight.

    Returns:
        Weights `(2 r + 1,)` with sum 1 and `r` the smallest whole number of bins above 4 sigma; weight `r + k` is that
        of `k` bins ago.
    """
    reach = int(np.ceil(4 * sigma))
    lag = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (lag / sigma) ** 2)
    if causal:
        weights[lag < 0] = 0.0
    return weights / weights.sum()


def smooth(data: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve in time; at the ends the weights that fall outside are given to those inside.

    Args:
        data: Samples `(time, channels)`.
        kernel: Weights as `gaussian_kernel` gives them.

    Returns:
        Smoothed samples `(time, channels)`; a constant stays what it is, up to the ends.
    """
    present = convolve1d(np.ones(len(data)), kernel, mode="constant")
    return convolve1d(data.astype(np.float64), kernel, axis=0, mode="constant") / present[:, None]


def _bin(recording: Recording, options: SpikeOptions) -> Recording:
    """Counts, and all signals at the bins' centres."""
    width = options.bin_ms / 1000
    edges = _edges(recording, width)
    centres = edges[:-1] + width / 2
    clock = {"rate": 1 / width, "start": float(centres[0])}
    spikes = recording.event("spikes")
    counts = Signal(count(spikes, edges), unit="spikes", channels=spikes.names, **clock)
    moved = {k: replace(signal, data=resample(signal, centres), **clock) for k, signal in recording.signals.items()}
    rest = {name: events for name, events in recording.events.items() if name != "spikes"}
    return replace(recording, signals={"spikes": counts, **moved}, events=rest)


def _edges(recording: Recording, width: float) -> np.ndarray:
    """Bin edges over the time that all signals, or else the whole recording, cover."""
    signals = recording.signals.values()
    start = max((signal.start for signal in signals), default=recording.start)
    stop = min((signal.stop for signal in signals), default=recording.stop)
    bins = int((stop - start) / width + 1e-6)
    if bins < 1:
        raise ValueError(
            f"recording {recording.name}: its signals have no bin of {1000 * width:g} ms in common "
            f"(from {start} to {stop} s); slice the recording, or make preprocess.bin_ms smaller"
        )
    return start + np.arange(bins + 1) * width


def _without_quiet(recordings: list[Recording], *, min_rate: float) -> list[Recording]:
    """Leave out the units that fire too rarely in any recording."""
    quiet: set[str] = set()
    for counts in (recording.signal("spikes") for recording in recordings):
        quiet |= {name for name, rate in zip(counts.channels, _rates(counts), strict=True) if rate < min_rate}
    return [drop_channels(recording, "spikes", quiet) for recording in recordings]


def _rates(counts: Signal) -> np.ndarray:
    """Mean rate of every unit, Hz."""
    return counts.data.sum(axis=0) / counts.duration


def _transform(recording: Recording, options: SpikeOptions) -> Recording:
    """Square root and smoothing of the counts."""
    counts = recording.signal("spikes")
    data = np.sqrt(counts.data) if options.sqrt else counts.data
    if options.smoothing != "none":
        kernel = gaussian_kernel(options.sigma_ms / options.bin_ms, causal=options.smoothing == "causal")
        data = smooth(data, kernel)
    return recording.with_signal("spikes", replace(counts, data=data.astype(np.float32)))
