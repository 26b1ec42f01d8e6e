"""Sorted units that are not worth reading: too quiet, not there all the time, or not one neuron."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neurofmx.recordings.recording import Events, Recording, Signal

SLICES = 100  # parts of a recording in which presence is asked for


class UnitOptions(BaseModel):
    """Which units are kept; a unit that fails in any recording is left out of all."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_rate: float = Field(default=0.0, ge=0, description="units that fire less in any recording are left out, Hz")
    min_presence: float = Field(
        default=0.0, ge=0, le=1, description="least share of a recording's hundredths in which a unit fires"
    )
    max_violations: float | None = Field(
        default=None, ge=0, le=1, description="largest share of intervals within refractory_ms; null for no limit"
    )
    refractory_ms: float = Field(default=1.5, gt=0, description="time in which a neuron cannot fire again, ms")
    quality: tuple[str, ...] = Field(
        default=(), description="labels of the sorting (array `spikes_quality`) to keep; () keeps all"
    )


def unfit(recording: Recording, counts: Signal, options: UnitOptions) -> dict[str, str]:
    """Say which units of a recording are to be left out and why.

    Args:
        recording: The recording, with events `spikes` where violations are asked for, and the sorting's labels in
            the array `spikes_quality (units,)` where these are.
        counts: Its spikes in bins `(bins, units)`.
        options: What is asked of a unit.

    Returns:
        The first reason by name of the unit; empty when all are fit.

    Raises:
        ValueError: If an option asks for what the recording does not hold.
    """
    checks = (_label(recording, counts, options), _rate(counts, options), _presence(counts, options))
    checks += (_violations(recording, options),)
    reasons: dict[str, str] = {}
    for found in checks:
        reasons = found | reasons
    return reasons


def presence(counts: np.ndarray) -> np.ndarray:
    """Share of the hundredths of a recording in which each unit fires.

    Args:
        counts: Spikes in bins, shape `(bins, units)`; fewer than 100 bins are taken one by one.

    Returns:
        Shares `(units,)`, 0 to 1.

    Source:
        Siegle et al. 2021, Survey of spiking in the mouse visual system, methods, quality metrics: presence ratio.

    Example:
        >>> presence(np.array([[1, 0], [2, 0], [0, 0], [1, 4]])).tolist()
        [0.75, 0.25]
    """
    slices = np.array_split(np.asarray(counts) > 0, min(SLICES, len(counts)))
    return np.mean([part.any(axis=0) for part in slices], axis=0)


def violations(events: Events, refractory: float) -> np.ndarray:
    """Share of each unit's intervals that are shorter than a neuron can fire.

    Args:
        events: Spikes of several units.
        refractory: Refractory period, s.

    Returns:
        Shares `(units,)`; 0 for a unit with fewer than two spikes.

    Example:
        >>> violations(Events.from_trains({"a": np.array([0.0, 0.001, 0.5]), "b": np.array([0.2])}), 0.0015).tolist()
        [0.5, 0.0]
    """
    order = np.lexsort((events.times, events.sources))
    times, units = events.times[order], events.sources[order]
    same = np.diff(units) == 0
    intervals = np.bincount(units[1:][same], minlength=len(events.names))
    short = np.bincount(units[1:][same & (np.diff(times) < refractory)], minlength=len(events.names))
    return short / np.maximum(intervals, 1)


def _label(recording: Recording, counts: Signal, options: UnitOptions) -> dict[str, str]:
    """Units whose label is not wanted."""
    if not options.quality:
        return {}
    labels = recording.array("spikes_quality")
    if len(labels) != len(counts.channels):
        raise ValueError(
            f"recording {recording.name}: array spikes_quality must hold a label for each of {len(counts.channels)} "
            f"units, has {len(labels)}"
        )
    pairs = zip(counts.channels, labels, strict=True)
    return {name: f"labelled {label}" for name, label in pairs if label not in options.quality}


def _rate(counts: Signal, options: UnitOptions) -> dict[str, str]:
    """Units that fire too rarely."""
    rates = counts.data.sum(axis=0) / counts.duration
    pairs = zip(counts.channels, rates, strict=True)
    return {name: f"fires at {rate:.3g} Hz" for name, rate in pairs if rate < options.min_rate}


def _presence(counts: Signal, options: UnitOptions) -> dict[str, str]:
    """Units that are silent for too much of the recording."""
    if not options.min_presence:
        return {}
    pairs = zip(counts.channels, presence(counts.data), strict=True)
    return {name: f"present in {share:.0%}" for name, share in pairs if share < options.min_presence}


def _violations(recording: Recording, options: UnitOptions) -> dict[str, str]:
    """Units that fire faster than a neuron can."""
    if options.max_violations is None:
        return {}
    if "spikes" not in recording.events:
        raise ValueError(
            f"preprocess.max_violations={options.max_violations:g}: recording {recording.name} holds counts, not the "
            "times of spikes, so intervals are not known; leave the option out"
        )
    events = recording.event("spikes")
    pairs = zip(events.names, violations(events, options.refractory_ms / 1000), strict=True)
    return {name: f"{share:.1%} violations" for name, share in pairs if share > options.max_violations}
