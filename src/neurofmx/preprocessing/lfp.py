"""LFP: slow voltages around electrodes in the tissue, 1 to 300 Hz."""

from __future__ import annotations

from collections.abc import Iterable

from neurofmx.preprocessing.steps.voltage import clean
from neurofmx.preprocessing.steps.voltage_options import VoltageOptions
from neurofmx.recordings.recording import Recording


class LfpOptions(VoltageOptions):
    """How LFP is cleaned."""


def preprocess(recordings: Iterable[Recording], options: LfpOptions) -> list[Recording]:
    """Clean the signal `lfp (time, channels)` of recordings; see `voltage.clean`."""
    return clean(recordings, "lfp", options)
