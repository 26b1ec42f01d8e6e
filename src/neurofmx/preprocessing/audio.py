"""Audio: resampled, of one loudness, as levels of mel bands or as the wave itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from neurofmx.preprocessing.steps.sound import SoundOptions, mel_levels, mono, usable
from neurofmx.preprocessing.steps.spectra import on_frames
from neurofmx.preprocessing.steps.stretches import Each
from neurofmx.recordings.recording import Recording


class AudioOptions(SoundOptions):
    """How audio is prepared; part `preprocess` of a dataset's block. The defaults suit speech."""

    features: Literal["mel", "wave"] = Field(
        default="mel", description="levels of mel bands, or the `wave`, for which frames and bands have no meaning"
    )
    level: float | None = Field(
        default=-26.0,
        le=0,
        description="root-mean-square level that each recording gets, dB full scale; none keeps its own",
    )

    @property
    def rate(self) -> float | None:  # type: ignore[override]
        """Samples a second of the result, Hz, as far as the options fix it."""
        return self.sample_rate if self.features == "wave" else 1000 / self.hop_ms

    @property
    def reach(self) -> float:
        """Time, s, over which two samples of the result share sound: a split must leave at least this gap."""
        return 0.0 if self.features == "wave" else self.frame_ms / 1000


def preprocess(recordings: Iterable[Recording], options: AudioOptions) -> list[Recording]:
    """Prepare every recording on its own; one that is held lazily stays so, and is prepared where it is read.

    Args:
        recordings: Recordings with a signal `audio (time, channels)`, in units of full scale.
        options: What to do.

    Returns:
        Recordings with the signal `audio (frames, bands)` in dB full scale, channels named by their frequency, or
        `(time, 1)` as a wave; every other signal at its times.

    Raises:
        ValueError: If a channel is silent or not finite, or a frequency does not fit the rate.
    """
    return [_prepared(recording, options) for recording in usable(recordings, options)]


def _prepared(recording: Recording, options: AudioOptions) -> Recording:
    """One recording."""
    sound = mono(recording, options)
    if options.features == "mel":
        return on_frames(recording, "audio", mel_levels(sound, options, where=recording.name))
    wave = Each(lambda piece: piece.astype(np.float32), sound.data, dtype=np.float32)
    return on_frames(recording, "audio", replace(sound, data=wave))
