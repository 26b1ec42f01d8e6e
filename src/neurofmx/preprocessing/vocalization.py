"""Vocalisations: levels of mel bands, their cepstrum and the pitch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import Field

from neurofmx.preprocessing.steps.framewise import framewise
from neurofmx.preprocessing.steps.pitch import period, pitch_of
from neurofmx.preprocessing.steps.sound import SoundOptions, mel_bands, mono, usable
from neurofmx.preprocessing.steps.spectra import cepstrum, on_frames
from neurofmx.recordings.recording import Recording, Signal


class VocalizationOptions(SoundOptions):
    """How vocalisations become features; part `preprocess` of a dataset's block."""

    coefficients: int = Field(default=13, ge=1, description="coefficients of the cepstrum, at most `bands`")
    pitch_low: float = Field(default=100.0, gt=0, description="lowest pitch, Hz; a frame must hold two of its periods")
    pitch_high: float = Field(
        default=2000.0, gt=0, description="highest pitch, Hz, at most a quarter of the sampling rate"
    )


def preprocess(recordings: Iterable[Recording], options: VocalizationOptions) -> list[Recording]:
    """Describe every recording on its own; one that is held lazily stays so, and is described where it is read.

    Args:
        recordings: Recordings with a signal `audio (time, channels)`, in units of full scale.
        options: What to do.

    Returns:
        Recordings with the signal `vocalization (frames, bands + coefficients + 2)`: levels of mel bands in dB, their
        cepstrum, the pitch in octaves above `pitch_low`, and how voiced the frame is, 0 to 1; every other signal at
        the frames' times.

    Raises:
        ValueError: If a channel is silent or not finite, or a frequency does not fit the rate.
    """
    return [on_frames(one, "vocalization", _described(one, options)) for one in usable(recordings, options)]


def _described(recording: Recording, options: VocalizationOptions) -> Signal:
    """All features of one recording."""
    if options.coefficients > options.bands:
        raise ValueError(f"preprocess.coefficients={options.coefficients}: must be at most bands={options.bands}")
    sound = mono(recording, options)
    rate, (length, hop) = sound.rate, options.samples(sound.rate)
    mel, names = mel_bands(rate, options, where=recording.name)
    lags = period(rate=rate, low=options.pitch_low, high=options.pitch_high, length=length)

    def describe(frames: np.ndarray) -> np.ndarray:
        levels, pitch = mel(frames), pitch_of(frames, rate=rate, lags=lags)
        shape = cepstrum(levels, coefficients=options.coefficients)
        octaves = np.log2(pitch.frequency / options.pitch_low)
        return np.column_stack([levels, shape, octaves, pitch.voicing]).astype(np.float32)

    channels = (*names, *(f"mfcc {i}" for i in range(options.coefficients)), "pitch", "voicing")
    return framewise(sound, describe, channels, frames=(length, hop), unit="dB, octaves and shares")
