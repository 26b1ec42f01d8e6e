"""Ultrasonic calls of rodents: levels of equally wide bands above what people hear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from neurofmx.preprocessing.steps.framewise import framewise
from neurofmx.preprocessing.steps.median import median
from neurofmx.preprocessing.steps.sound import SoundOptions, mono, usable
from neurofmx.preprocessing.steps.spectra import decibels, frame_power, linear_weights, on_frames
from neurofmx.preprocessing.steps.stretches import Each, in_memory
from neurofmx.recordings.lazy import is_lazy
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
    """Describe every recording on its own; one that is held lazily stays so, and is described where it is read.

    The median over a recording is the level of its noise, as calls fill the lesser part of it; microphones differ
    in it. Of a lazily held recording it is found in two passes of counting.

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

    def describe(frames: np.ndarray) -> np.ndarray:
        return decibels(frame_power(frames, weights), floor=options.floor_db)

    names = tuple(f"{centre / 1000:.2f} kHz" for centre in centres)
    levels = framewise(sound, describe, names, frames=(length, hop), unit="dB", dtype=np.float64)
    data = levels.data if is_lazy(recording.signal("audio").data) else in_memory(levels.data)
    quiet = median(data) if options.background else 0.0
    return replace(levels, data=Each(lambda piece: (piece - quiet).astype(np.float32), data, dtype=np.float32))
