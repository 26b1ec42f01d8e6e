"""ECoG: voltages of the cortical surface, 1 to 200 Hz, without mains."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from neurofmx.preprocessing.steps.montage import Reference
from neurofmx.preprocessing.steps.voltage import clean
from neurofmx.preprocessing.steps.voltage_options import Hertz, VoltageOptions
from neurofmx.recordings.recording import Recording


class EcogOptions(VoltageOptions):
    """How ECoG is cleaned."""

    high: Hertz | None = Field(default=200.0, description="upper edge of the pass-band, Hz; null for no low-pass")
    notch: Hertz | None = Field(default=60.0, description="mains frequency to remove, Hz, 50 or 60; null for no notch")
    reference: Reference | None = Field(
        default="average", description="`average`, `group`, `bipolar`, or null for none; see `voltage`"
    )


def preprocess(recordings: Iterable[Recording], options: EcogOptions) -> list[Recording]:
    """Clean the signal `ecog (time, channels)` of recordings; see `voltage.clean`."""
    return clean(recordings, "ecog", options)
