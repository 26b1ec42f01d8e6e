"""Sound of one form: one channel, one rate, one loudness; and its levels in mel bands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used
from pydantic import Field

from neurofmx.preprocessing.steps.checks import Bad, screen
from neurofmx.preprocessing.steps.spectra import SpectrumOptions, band_power, decibels, mel_weights
from neurofmx.recordings.recording import Recording, Signal


class SoundOptions(SpectrumOptions):
    """How sound is brought to one form before its spectrum is taken."""

    sample_rate: float | None = Field(
        default=None, gt=0, description="new sampling rate, Hz; none keeps the recording's"
    )
    level: float | None = Field(
        default=None,
        le=0,
        description="root-mean-square level that each recording gets, dB full scale; none keeps its own",
    )
    bad: Bad = Field(default="error", description="silent or non-finite channels: `error`, or `drop` them everywhere")


def usable(recordings: Iterable[Recording], options: SoundOptions) -> list[Recording]:
    """Recordings whose channels of `audio` all carry sound; raises ValueError as `screen` does."""
    return screen(recordings, "audio", bad=options.bad, option="preprocess.bad")


def mono(recording: Recording, options: SoundOptions) -> Signal:
    """The mean of a recording's channels at the wanted rate and loudness.

    Args:
        recording: A recording with a signal `audio (time, channels)`, in units of full scale.
        options: What to do.

    Returns:
        Sound `(time, 1)`.

    Raises:
        ValueError: If the new rate is no ratio of whole numbers up to 1000 to the old one.
    """
    audio = recording.signal("audio")
    mean = np.asarray(audio.data, np.float64).reshape(len(audio.data), -1).mean(axis=1)
    rate = options.sample_rate or audio.rate
    data = resampled(mean, old=audio.rate, new=rate)
    if options.level is not None:
        data = data * 10 ** (options.level / 20) / np.sqrt(np.mean(data**2))
    return replace(audio, data=data[:, None], rate=rate, channels=("mean",) if audio.data.ndim > 1 else audio.channels)


def resampled(data: np.ndarray, *, old: float, new: float) -> np.ndarray:
    """Change the rate by a whole ratio, in a polyphase filter that keeps out what the new rate cannot hold.

    Args:
        data: Samples `(time,)`.
        old: Their rate, Hz.
        new: The wanted rate, Hz.

    Returns:
        Samples at the new rate; the first one keeps its time.

    Raises:
        ValueError: If the rates are no ratio of whole numbers up to 1000.
    """
    ratio = Fraction(new / old).limit_denominator(1000)
    if abs(float(ratio) * old - new) > 1e-9 * new:
        raise ValueError(
            f"preprocess.sample_rate must be a ratio of whole numbers up to 1000 times the recording's {old:g} Hz, got "
            f"{new:g}"
        )
    return data if ratio == 1 else scipy.signal.resample_poly(data, ratio.numerator, ratio.denominator)


def mel_levels(sound: Signal, options: SoundOptions, *, where: str) -> Signal:
    """Levels of mel bands, frame by frame.

    Args:
        sound: Sound `(time, 1)` in units of full scale.
        options: Frames and bands.
        where: Name of the recording, for messages.

    Returns:
        Levels `(frames, bands)` in dB full scale; channels are named by the peak of their band, such as `mel 440.0 Hz`.

    Raises:
        ValueError: If the bands do not fit the rate or the frames.
    """
    length, hop = options.samples(sound.rate)
    low, high = options.edges(sound.rate, where=where)
    weights, peaks = mel_weights(sound.rate, length=length, bands=options.bands, low=low, high=high)
    levels = decibels(band_power(sound.data[:, 0], weights, length=length, hop=hop), floor=options.floor_db)
    names = tuple(f"mel {peak:.1f} Hz" for peak in peaks)
    return Signal(levels.astype(np.float32), sound.rate / hop, "dB", names, sound.start)
