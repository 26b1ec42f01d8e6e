"""Calcium: fluorescence of cells to its relative change, or what the source made of it already, beside behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, Self

import numpy as np
import scipy  # loads scipy.ndimage when it is used
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.preprocessing.steps.alignment import aligned
from neurofmx.preprocessing.steps.blocks import InBlocks
from neurofmx.preprocessing.steps.checks import Bad, drop_channels, screen
from neurofmx.preprocessing.steps.fir import Resampling
from neurofmx.preprocessing.steps.pauses import bridged, marked, pauses
from neurofmx.preprocessing.steps.resampled import Resampled
from neurofmx.preprocessing.steps.smoothing import Smoothing, reach, smoothed
from neurofmx.preprocessing.steps.stretches import Each, Near, in_memory
from neurofmx.recordings.lazy import Lazy, is_lazy, pieces
from neurofmx.recordings.recording import Recording, Signal

NEUROPIL = "neuropil"  # signal of the tissue around each cell, where a recording has it
BLOCK = 2**22  # values that are cleaned at a time, besides their neighbourhood: 32 MiB of float64


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

    Cells in memory are cleaned at once; those held lazily stay so, and are cleaned a stretch at a time where they are
    read. A baseline that is not above 0 is refused then.

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
    own = Each(lambda a, b: a.astype(np.float64) - options.neuropil * b.astype(np.float64), cells.data, around.data)
    data = own if is_lazy(cells.data) or is_lazy(around.data) else in_memory(own)
    return replace(recording, signals=rest | {"calcium": replace(cells, data=data)})


def _pauses(recording: Recording, options: CalciumOptions) -> dict[str, np.ndarray]:
    """Samples `(time,)` without any value, of the signals that have some and are to be marked."""
    if options.gaps == "error":
        return {}
    floats = {name: each for name, each in recording.signals.items() if np.issubdtype(each.data.dtype, np.floating)}
    found = {name: pauses(signal) for name, signal in floats.items()}
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
    if not options.min_events:
        return recordings
    quiet: set[str] = set()
    for cells, each in zip((recording.signal("calcium") for recording in recordings), lost, strict=True):
        held = ~each.get("calcium", np.zeros(len(cells.data), bool))  # a line over a pause is no event
        parts = [
            np.sum((np.asarray(cells.data[first:last]) > 0) & held[first:last, None], axis=0)
            for first, last in pieces(cells.data)
        ]
        events = np.sum(parts, axis=0)
        quiet |= {name for name, found in zip(cells.channels, events, strict=True) if found < options.min_events}
    return [drop_channels(recording, "calcium", quiet) for recording in recordings]


def _clean(recording: Recording, options: CalciumOptions) -> Recording:
    """dF/F, a new rate and smoothing, in this order, and the other signals beside it."""
    cells = recording.signal("calcium")
    made = _cleaned(recording.name, cells, options)
    data = made if is_lazy(cells.data) else in_memory(made)
    clean = replace(cells, data=data, rate=options.rate or cells.rate)
    others = {name: signal for name, signal in recording.signals.items() if name != "calcium"}
    return replace(recording, signals={"calcium": clean, **aligned(replace(recording, signals=others), clean)})


def _cleaned(where: str, cells: Signal, options: CalciumOptions) -> Lazy:
    """The cells `(time, cells)`, float32, made where they are read, a stretch at a time."""
    data: Lazy = Each(lambda piece: piece.astype(np.float64), cells.data)
    if options.source == "fluorescence":
        window = max(1, round(options.baseline_s * cells.rate))
        change = partial(relative_change, window=window, percentile=options.percentile)
        data = Near(data, change, reach=window // 2 + 1)
        data = Each(partial(_require_baseline, where=where, names=cells.channels), data)
    rate = options.rate or cells.rate
    ratio = Resampling.between(cells.rate, rate)
    data = Resampled(data, ratio, ends="line")
    if options.smoothing != "none":
        sigma = options.sigma_ms / 1000 * rate
        smooth = partial(smoothed, smoothing=options.smoothing, sigma=sigma)
        data = Near(data, smooth, reach=int(np.ceil(4 * sigma)))
    single = Each(lambda piece: piece.astype(np.float32), data, dtype=np.float32)
    return InBlocks(single, samples=ratio.length(_samples_at_once(cells, options, ratio)))


def _samples_at_once(cells: Signal, options: CalciumOptions, ratio: Resampling) -> int:
    """So many, before the change of rate, that their neighbourhood is no more than they are."""
    seconds = reach(options.smoothing, sigma=options.sigma_ms / 1000)
    seconds += options.baseline_s / 2 if options.source == "fluorescence" else 0.0
    return max(1, BLOCK // len(cells.channels), round(2 * seconds * cells.rate) + 2 * ratio.reach)


def _require_baseline(changes: np.ndarray, *, where: str, names: tuple[str, ...]) -> np.ndarray:
    """dF/F of some cells, or which of them have no baseline."""
    dark = [names[i] for i in np.flatnonzero(np.isnan(changes).any(axis=0))]
    if dark:
        raise ValueError(
            f"recording {where}: the baseline of {', '.join(dark[:5])} is not above 0, so dF/F is undefined; "
            "lower preprocess.neuropil, raise preprocess.percentile, or set preprocess.source to 'dff' if the "
            "recording holds dF/F"
        )
    return changes
