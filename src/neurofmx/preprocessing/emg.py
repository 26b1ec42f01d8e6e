"""EMG: the envelope of muscle activity between 20 and 450 Hz."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from neurofmx.preprocessing.steps.voltage import clean
from neurofmx.preprocessing.steps.voltage_options import Hertz, VoltageOptions
from neurofmx.recordings.recording import Recording


class EmgOptions(VoltageOptions):
    """How EMG is cleaned. A recording of less than 900 Hz cannot hold the default band: lower `high`."""

    low: Hertz | None = Field(default=20.0, description="lower edge of the pass-band, Hz; null for no high-pass")
    high: Hertz | None = Field(default=450.0, description="upper edge of the pass-band, Hz; null for no low-pass")
    output: Literal["voltage", "envelope", "log_power"] = Field(
        default="envelope", description="the filtered voltage, its Hilbert envelope, or the logarithm of its power"
    )


def preprocess(recordings: Iterable[Recording], options: EmgOptions) -> list[Recording]:
    """Clean the signal `emg (time, channels)` of recordings; see `voltage.clean`."""
    return clean(recordings, "emg", options)
