"""Sound of one form: one channel, one rate, one loudness; and its levels in mel bands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from neurofmx.preprocessing.steps.checks import Bad, screen
from neurofmx.preprocessing.steps.fir import Resampling
from neurofmx.preprocessing.steps.framewise import Describe, framewise
from neurofmx.preprocessing.steps.resampled import Resampled
from neurofmx.preprocessing.steps.spectra import SpectrumOptions, decibels, frame_power, mel_weights
from neurofmx.preprocessing.steps.stretches import Each
from neurofmx.recordings.lazy import Lazy, pieces
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
        Sound `(time, 1)`, made where it is read. For a level the recording is read once here.

    Raises:
        ValueError: If the new rate is no ratio of whole numbers up to 1000 to the old one.
    """
    audio = recording.signal("audio")
    rate = options.sample_rate or audio.rate
    ratio = Resampling.between(audio.rate, rate, option="preprocess.sample_rate")
    sound: Lazy = Resampled(Each(_mean, audio.data, shape=(1,)), ratio, ends="zero")
    if options.level is not None:
        sound = _at_level(sound, 10 ** (options.level / 20))
    return replace(audio, data=sound, rate=rate, channels=("mean",) if audio.data.ndim > 1 else audio.channels)


def mel_levels(sound: Signal, options: SoundOptions, *, where: str) -> Signal:
    """Levels of mel bands, frame by frame.

    Args:
        sound: Sound `(time, 1)` in units of full scale.
        options: Frames and bands.
        where: Name of the recording, for messages.

    Returns:
        Levels `(frames, bands)` in dB full scale, made where they are read; channels are named by the peak of their
        band, such as `mel 440.0 Hz`.

    Raises:
        ValueError: If the bands do not fit the rate or the frames.
    """
    describe, names = mel_bands(sound.rate, options, where=where)
    return framewise(sound, describe, names, frames=options.samples(sound.rate), unit="dB")


def mel_bands(rate: float, options: SoundOptions, *, where: str) -> tuple[Describe, tuple[str, ...]]:
    """What makes mel levels of frames, and their names; arguments and errors are those of `mel_levels`."""
    length, _ = options.samples(rate)
    low, high = options.edges(rate, where=where)
    weights, peaks = mel_weights(rate, length=length, bands=options.bands, low=low, high=high)

    def describe(frames: np.ndarray) -> np.ndarray:
        return decibels(frame_power(frames, weights), floor=options.floor_db).astype(np.float32)

    return describe, tuple(f"mel {peak:.1f} Hz" for peak in peaks)


def _mean(channels: np.ndarray) -> np.ndarray:
    """The mean `(time, 1)` of channels `(time, channels)`, float64."""
    return np.asarray(channels, np.float64).reshape(len(channels), -1).mean(axis=1)[:, None]


def _at_level(sound: Lazy, amplitude: float) -> Lazy:
    """A sound whose root-mean-square is that amplitude."""
    power = sum(float(np.sum(sound[first:last] ** 2)) for first, last in pieces(sound)) / len(sound)
    return Each(lambda piece: piece * amplitude / np.sqrt(power), sound)
