"""Intracranial EEG: contacts on and in the human brain, 1 to 300 Hz."""

from __future__ import annotations

from collections.abc import Iterable

from neurofmx.preprocessing.steps.voltage import clean
from neurofmx.preprocessing.steps.voltage_options import VoltageOptions
from neurofmx.recordings.recording import Recording


class IeegOptions(VoltageOptions):
    """How intracranial EEG is cleaned. `reference: bipolar` takes neighbours on a shaft, strip or row of a grid."""


def preprocess(recordings: Iterable[Recording], options: IeegOptions) -> list[Recording]:
    """Clean the signal `ieeg (time, channels)` of recordings; see `voltage.clean`."""
    return clean(recordings, "ieeg", options)
