"""EEG: re-referenced, band-passed and resampled channels of the scalp."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from neurofmx.preprocessing.steps.montage import Reference
from neurofmx.preprocessing.steps.voltage import clean
from neurofmx.preprocessing.steps.voltage_options import Hertz, VoltageOptions
from neurofmx.recordings.recording import Recording


class EegOptions(VoltageOptions):
    """How EEG is cleaned; the defaults suit motor imagery."""

    low: Hertz | None = Field(default=7.0, description="lower edge of the pass-band, Hz; null for no high-pass")
    high: Hertz | None = Field(default=30.0, description="upper edge of the pass-band, Hz; null for no low-pass")
    reference: Reference | None = Field(
        default="average", description="`average`, `group`, `bipolar`, or null for none; see `voltage`"
    )


def preprocess(recordings: Iterable[Recording], options: EegOptions) -> list[Recording]:
    """Clean the signal `eeg (time, channels)` of recordings; see `voltage.clean`."""
    return clean(recordings, "eeg", options)
