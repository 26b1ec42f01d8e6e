"""Calcium: fluorescence of cells to its relative change, or what the source made of it already, beside behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal, Self

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.preprocessing.steps.alignment import aligned
from neurofmx.preprocessing.steps.checks import Bad, drop_channels, screen
from neurofmx.preprocessing.steps.pauses import bridged, marked, pauses
from neurofmx.preprocessing.steps.smoothing import Smoothing, reach, smoothed
from neurofmx.recordings.lazy import is_lazy
from neurofmx.recordings.recording import Recording, Signal

NEUROPIL = "neuropil"  # signal of the tissue around each cell, where a recording has it
GROUP = 32  # cells that are cleaned at a time, in double precision


class CalciumOptions(BaseModel):
    """How calcium imaging is cleaned; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: Literal["fluorescence", "dff", "events"] = Field(
        default="fluorescence",
        description="what the recording holds: raw `fluorescence`, which becomes dF/F; or `dff`, or deconvolved "
        "`events`, which are taken as they are",
    )
    neuropil: float = Field(
        default=0.7, ge=0, le=1, description="share of the signal `neuropil` to subtract, where a recording has one"
    )
    baseline_s: float = Field(default=60.0, gt=0, description="window of the running baseline, s")
    percentile: float = Field(default=8.0, ge=0, le=100, description="percentile of the window that is the baseline")
    rate: float | None = Field(default=None, gt=0, description="new sampling rate, Hz; null keeps the recording's")
    smoothing: Smoothing = Field(default="none", description="Gaussian: `none`, `centred`, or `causal` (past only)")
    sigma_ms: float = Field(default=150.0, gt=0, description="standard deviation of the kernel, ms")
    min_events: int = Field(default=0, ge=0, description="cells with fewer samples above 0 are left out (events only)")
    bad: Bad = Field(default="error", description="cells that never change or are not finite: `error`, or `drop` them")
    gaps: Literal["error", "mark"] = Field(
        default="error",
        description="stretches in which no cell has a value, as where the microscope paused: every cell is bad, or "
        "`mark` them, in behaviour alike (NaN again at the end; `tokenize.incomplete: drop` then leaves their windows "
        "out)",
    )

    @property
    def reach(self) -> float:
        """How far, s, a sample is mixed with others in time: a split must leave at least this gap.

        The baseline is not counted: a percentile of a minute follows the lamp and the focus, not behaviour.
        """
        return reach(self.smoothing, sigma=self.sigma_ms / 1000) + (10 / self.rate if self.rate else 0.0)

    @model_validator(mode="after")
    def _events_only(self) -> Self:
        """A fluorescence is above 0 in every sample."""
        if self.min_events and self.source != "events":
            raise ValueError(f"min_events={self.min_events}: needs source=events, got {self.source}")
        return self


def preprocess(recordings: Iterable[Recording], options: CalciumOptions) -> list[Recording]:
    """Turn fluorescence into dF/F, resample and smooth it, and take all other signals to its clock.

    Args:
        recordings: Recordings with a signal `calcium (time, cells)`, and perhaps `neuropil (time, cells)`.
        options: What to do.

    Returns:
        Recordings with the cleaned `calcium`, float32, without `neuropil`; every other signal has its rate and start,
        and NaN where it has no value and `gaps` is `mark`.

    Raises:
        ValueError: If a cell never changes or is not finite, a baseline is not above 0, or the neuropil does not fit.
    """
    subtracted = [_without_neuropil(recording, options) for recording in recordings]
    lost = [_pauses(recording, options) for recording in subtracted]
    whole = [_bridged(recording, each) for recording, each in zip(subtracted, lost, strict=True)]
    usable = _screened(whole, options)
    lively = _without_quiet(usable, lost, options)
    return [
        _marked(_clean(recording, options), each, before=recording)
        for recording, each in zip(lively, lost, strict=True)
    ]


def relative_change(fluorescence: np.ndarray, *, window: int, percentile: float) -> np.ndarray:
    """Change of fluorescence relative to a baseline that follows slow drifts.

        dF/F = (F - F0) / F0

    Args:
        fluorescence: Samples `(time, cells)`.
        window: Samples around each one whose percentile is the baseline F0; at the ends the signal is mirrored.
        percentile: Which percentile, 0 to 100.

    Returns:
        dF/F `(time, cells)`, float64. NaN where the baseline is not above 0.

    Source:
        Dombeck et al. 2007, Imaging large-scale neural activity with cellular resolution in awake, mobile mice: the
        8th percentile of a running window.
    """
    data = np.asarray(fluorescence, np.float64)
    size = min(window, 2 * len(data) - 1)
    # a cell at a time: scipy's filter of one dimension does not slow down with the window, that of two does
    baseline = np.stack(
        [scipy.ndimage.percentile_filter(cell, percentile, size=size, mode="reflect") for cell in data.T], axis=1
    )
    return np.divide(data - baseline, baseline, out=np.full_like(data, np.nan), where=baseline > 0)


def _without_neuropil(recording: Recording, options: CalciumOptions) -> Recording:
    """Fluorescence less a share of what shines around each cell."""
    if options.source != "fluorescence" or NEUROPIL not in recording.signals:
        return recording
    cells, around = recording.signal("calcium"), recording.signal(NEUROPIL)
    if around.channels != cells.channels or around.data.shape != cells.data.shape or around.rate != cells.rate:
        raise ValueError(
            f"recording {recording.name}: signal neuropil has {around.data.shape} samples at {around.rate:g} Hz, it "
            f"must have the cells and samples of calcium, {cells.data.shape} at {cells.rate:g} Hz; set "
            "preprocess.source to what the recording holds, or drop the signal in its reader"
        )
    rest = {name: signal for name, signal in recording.signals.items() if name != NEUROPIL}
    data = np.asarray(cells.data, np.float64) - options.neuropil * np.asarray(around.data, np.float64)
    return replace(recording, signals=rest | {"calcium": replace(cells, data=data)})


def _pauses(recording: Recording, options: CalciumOptions) -> dict[str, np.ndarray]:
    """Samples `(time,)` without any value, of the signals that have some and are to be marked."""
    if options.gaps == "error":
        return {}
    held = {
        name: signal
        for name, signal in recording.signals.items()
        if (name == "calcium" or not is_lazy(signal.data)) and np.issubdtype(signal.data.dtype, np.floating)
    }
    found = {name: pauses(signal) for name, signal in held.items()}
    return {name: lost for name, lost in found.items() if lost.any()}


def _bridged(recording: Recording, lost: Mapping[str, np.ndarray]) -> Recording:
    """Straight lines over the pauses of each signal."""
    whole = {name: bridged(recording.signal(name), each) for name, each in lost.items()}
    return replace(recording, signals=recording.signals | whole) if whole else recording


def _screened(recordings: list[Recording], options: CalciumOptions) -> list[Recording]:
    """Without bad cells, or the refusal of them; where pauses are what is wrong, it says so."""
    try:
        return screen(recordings, "calcium", bad=options.bad, option="preprocess.bad")
    except ValueError as error:
        paused = [recording.name for recording in recordings if pauses(recording.signal("calcium")).any()]
        if not paused:
            raise
        raise ValueError(f"{error}; for stretches without any cell in {paused[0]}, set preprocess.gaps=mark") from None


def _marked(recording: Recording, lost: Mapping[str, np.ndarray], *, before: Recording) -> Recording:
    """NaN in the pauses of each signal that is left."""
    found = {
        name: marked(recording.signal(name), each, before=before.signal(name))
        for name, each in lost.items()
        if name in recording.signals
    }
    return replace(recording, signals=recording.signals | found) if found else recording


def _without_quiet(
    recordings: list[Recording], lost: Sequence[Mapping[str, np.ndarray]], options: CalciumOptions
) -> list[Recording]:
    """Leave out the cells with too few events in any recording."""
    quiet: set[str] = set()
    for cells, each in zip((recording.signal("calcium") for recording in recordings), lost, strict=True):
        above = np.asarray(cells.data) > 0
        events = np.sum(above[~each["calcium"]] if "calcium" in each else above, axis=0)
        quiet |= {name for name, found in zip(cells.channels, events, strict=True) if found < options.min_events}
    return [drop_channels(recording, "calcium", quiet) for recording in recordings]


def _clean(recording: Recording, options: CalciumOptions) -> Recording:
    """dF/F, a new rate and smoothing, in this order, and the other signals beside it."""
    cells = recording.signal("calcium")
    groups = [slice(start, start + GROUP) for start in range(0, len(cells.channels), GROUP)]
    data = np.concatenate([_clean_cells(recording, cells, options, group) for group in groups], axis=1)
    clean = replace(cells, data=data, rate=options.rate or cells.rate)
    others = {name: signal for name, signal in recording.signals.items() if name != "calcium"}
    moved = aligned(replace(recording, signals=others), clean, times=clean.times)
    return replace(recording, signals={"calcium": clean, **moved})


def _clean_cells(recording: Recording, cells: Signal, options: CalciumOptions, group: slice) -> np.ndarray:
    """The same for some cells `(time, cells)`, float32."""
    data = np.asarray(cells.data[:, group], np.float64)
    if options.source == "fluorescence":
        data = _changes(recording, data, cells.channels[group], round(options.baseline_s * cells.rate), options)
    rate = options.rate or cells.rate
    data = smoothed(_at_rate(data, cells.rate, rate), options.smoothing, sigma=options.sigma_ms / 1000 * rate)
    return data.astype(np.float32)


def _changes(
    recording: Recording, fluorescence: np.ndarray, names: tuple[str, ...], window: int, options: CalciumOptions
) -> np.ndarray:
    """dF/F of some cells, or which of them have no baseline."""
    data = relative_change(fluorescence, window=max(1, window), percentile=options.percentile)
    dark = [names[i] for i in np.flatnonzero(np.isnan(data).any(axis=0))]
    if dark:
        raise ValueError(
            f"recording {recording.name}: the baseline of {', '.join(dark[:5])} is not above 0, so dF/F is undefined; "
            "lower preprocess.neuropil, raise preprocess.percentile, or set preprocess.source to 'dff' if the "
            "recording holds dF/F"
        )
    return data


def _at_rate(data: np.ndarray, old: float, new: float) -> np.ndarray:
    """Samples `(time, cells)` at another rate, by a polyphase filter."""
    ratio = Fraction(new / old).limit_denominator(1000)
    if abs(float(ratio) * old - new) > 1e-9 * new:
        raise ValueError(
            f"preprocess.rate must be a ratio of whole numbers up to 1000 times the recording's {old} Hz, got {new}"
        )
    if ratio == 1:
        return data
    return scipy.signal.resample_poly(data, ratio.numerator, ratio.denominator, axis=0, padtype="line")
