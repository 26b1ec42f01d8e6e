"""Ultrasonic calls of rodents: levels of equally wide bands above what people hear."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import Field

from neurofmx.preprocessing.steps.sound import SoundOptions, mono, usable
from neurofmx.preprocessing.steps.spectra import band_power, decibels, linear_weights, on_frames
from neurofmx.recordings.recording import Recording, Signal


class UltrasonicOptions(SoundOptions):
    """How ultrasound becomes features; part `preprocess` of a dataset's block. The defaults suit mice at 250 kHz."""

    frame_ms: float = Field(default=2.0, gt=0, description="length of a frame, ms")
    hop_ms: float = Field(default=1.0, gt=0, description="time from frame to frame, ms")
    bands: int = Field(default=25, ge=1, description="bands of equal width")
    low: float = Field(default=20e3, ge=0, description="lower edge of the lowest band, Hz")
    high: float | None = Field(
        default=120e3, gt=0, description="upper edge of the highest band, Hz; none for half the rate"
    )
    background: bool = Field(default=True, description="subtract each band's median level over the recording")


def preprocess(recordings: Iterable[Recording], options: UltrasonicOptions) -> list[Recording]:
    """Describe every recording on its own.

    The median over a recording is the level of its noise, as calls fill the lesser part of it; microphones differ
    in it.

    Args:
        recordings: Recordings with a signal `audio (time, channels)`, in units of full scale.
        options: What to do.

    Returns:
        Recordings with the signal `ultrasonic (frames, bands)` in dB, channels named by the centre of their band;
        every other signal at the frames' times.

    Raises:
        ValueError: If a channel is silent or not finite, or the sampling rate cannot hold the bands.
    """
    return [on_frames(one, "ultrasonic", _described(one, options)) for one in usable(recordings, options)]


def _described(recording: Recording, options: UltrasonicOptions) -> Signal:
    """Levels of one recording."""
    sound = mono(recording, options)
    length, hop = options.samples(sound.rate)
    low, high = options.edges(sound.rate, where=recording.name)
    weights, centres = linear_weights(sound.rate, length=length, bands=options.bands, low=low, high=high)
    levels = decibels(band_power(sound.data[:, 0], weights, length=length, hop=hop), floor=options.floor_db)
    if options.background:
        levels = levels - np.median(levels, axis=0)
    names = tuple(f"{centre / 1000:.2f} kHz" for centre in centres)
    return Signal(levels.astype(np.float32), sound.rate / hop, "dB", names, sound.start)
