"""EEG: re-referenced, band-passed and resampled channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.signal import resample_poly

from neurofmx.preprocessing.checks import Bad, drop_channels, screen
from neurofmx.recording import Recording, Signal


class EegOptions(BaseModel):
    """How EEG is cleaned; part `preprocess` of a dataset's block. The defaults suit motor imagery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float | None = Field(default=7.0, gt=0, description="lower edge of the pass-band, Hz; none for no high-pass")
    high: float | None = Field(default=30.0, gt=0, description="upper edge of the pass-band, Hz; none for no low-pass")
    notch: float | None = Field(default=None, gt=0, description="mains frequency to remove, Hz; none for no notch")
    reference: Literal["average"] | None = Field(default="average", description="subtract the mean of all channels")
    rate: float | None = Field(default=None, gt=0, description="new sampling rate, Hz; none keeps the recording's")
    drop_channels: tuple[str, ...] = Field(default=(), description="channels to leave out")
    bad: Bad = Field(default="error", description="flat or non-finite channels: `error`, or `drop` them everywhere")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """A pass-band needs its edges in order."""
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got low {self.low} and high {self.high} Hz")
        half = self.rate / 2 if self.rate else float("inf")
        for name in ("low", "high", "notch"):
            if (edge := getattr(self, name)) is not None and edge >= half:
                raise ValueError(f"{name}={edge} must be below half of rate={self.rate} Hz")
        return self


def preprocess(recordings: Iterable[Recording], options: EegOptions) -> list[Recording]:
    """Clean every recording on its own with zero-phase filters, which leave every component at its time.

    Args:
        recordings: Recordings with a signal `eeg (time, channels)`.
        options: What to do.

    Returns:
        The same recordings with the cleaned `eeg`.

    Raises:
        ValueError: If a channel is flat, not finite or unknown, or a frequency does not fit the rate.
    """
    wanted = (_without(recording, options.drop_channels) for recording in recordings)
    usable = screen(wanted, "eeg", bad=options.bad, option="preprocess.bad")
    return [recording.with_signal("eeg", _clean(recording, options)) for recording in usable]


def _without(recording: Recording, names: tuple[str, ...]) -> Recording:
    """Leave out the named channels, all of which must exist."""
    known = recording.signal("eeg").channels
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"preprocess.drop_channels: recording {recording.name} has no channel {', '.join(unknown)}; "
            f"known: {', '.join(known)}"
        )
    return drop_channels(recording, "eeg", names)


def _clean(recording: Recording, options: EegOptions) -> Signal:
    """Reference, filters and resampling, in this order."""
    eeg = recording.signal("eeg")
    _require_below_half(options, rate=min(eeg.rate, options.rate or eeg.rate), where=recording.name)
    data = eeg.data.astype(np.float64)
    if options.reference == "average":
        data = data - data.mean(axis=1, keepdims=True)
    data = _filter(data, options, rate=eeg.rate)
    rate = options.rate or eeg.rate
    return replace(eeg, data=_resample(data, old=eeg.rate, new=rate).astype(np.float32), rate=rate)


def _require_below_half(options: EegOptions, *, rate: float, where: str) -> None:
    """What lies above half the rate cannot be kept, or is folded down."""
    for name in ("low", "high", "notch"):
        edge = getattr(options, name)
        if edge is not None and edge >= rate / 2:
            raise ValueError(
                f"preprocess.{name} must be below half the rate of recording {where}, {rate / 2} Hz, got {edge}; "
                f"lower it, or raise preprocess.rate"
            )


def _filter(data: np.ndarray, options: EegOptions, *, rate: float) -> np.ndarray:
    """Zero-phase FIR filters `(time, channels)`, designed by MNE."""
    from mne.filter import filter_data, notch_filter  # imported here: a second that only EEG needs

    rows = np.ascontiguousarray(data.T)
    if options.notch is not None:
        rows = notch_filter(rows, rate, options.notch, verbose="ERROR")
    if options.low is not None or options.high is not None:
        rows = filter_data(rows, rate, options.low, options.high, verbose="ERROR")
    return rows.T


def _resample(data: np.ndarray, *, old: float, new: float) -> np.ndarray:
    """Change the rate by a whole ratio in a polyphase filter: FFT resampling of padded data stretches time."""
    ratio = Fraction(new / old).limit_denominator(1000)
    if abs(float(ratio) * old - new) > 1e-9 * new:
        raise ValueError(
            f"preprocess.rate must be a ratio of whole numbers up to 1000 times the recording's {old} Hz, got {new}"
        )
    return data if ratio == 1 else resample_poly(data, ratio.numerator, ratio.denominator, axis=0)
