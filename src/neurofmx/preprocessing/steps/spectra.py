"""Short-time spectra: power in bands of frequency, frame by frame. What all modalities of sound share.

Frame k is centred on sample `k * hop`; beyond the ends of a recording there is silence. Symbols: n samples, f frames,
b bands.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any, Self

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.preprocessing.steps.alignment import aligned
from neurofmx.preprocessing.steps.stretches import in_memory
from neurofmx.recordings.lazy import is_lazy
from neurofmx.recordings.recording import Recording, Signal


class SpectrumOptions(BaseModel):
    """Frames and bands of a short-time spectrum; each modality of sound adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    frame_ms: float = Field(default=25.0, gt=0, description="length of a frame, ms")
    hop_ms: float = Field(default=10.0, gt=0, description="time from frame to frame, ms")
    bands: int = Field(default=40, ge=1, description="bands of frequency")
    low: float = Field(default=50.0, ge=0, description="lower edge of the lowest band, Hz")
    high: float | None = Field(
        default=None, gt=0, description="upper edge of the highest band, Hz; none for half the rate"
    )
    floor_db: float = Field(
        default=-100.0, le=0, description="level below which a band counts as silent, dB full scale"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Bands need their edges in order."""
        if self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got low {self.low} and high {self.high} Hz")
        return self

    @property
    def rate(self) -> float:
        """Frames a second, Hz, up to rounding to whole samples."""
        return 1000 / self.hop_ms

    @property
    def reach(self) -> float:
        """Time, s, over which two frames share samples: a split must leave at least this gap."""
        return self.frame_ms / 1000

    def samples(self, rate: float) -> tuple[int, int]:
        """Length of a frame and of a hop, samples, at a sampling rate in Hz."""
        return max(1, round(self.frame_ms * rate / 1000)), max(1, round(self.hop_ms * rate / 1000))

    def edges(self, rate: float, *, where: str) -> tuple[float, float]:
        """Lowest and highest frequency, Hz.

        Raises:
            ValueError: If a recording at that sampling rate cannot hold them.
        """
        high = rate / 2 if self.high is None else self.high
        for name, edge, limit in (("high", high, rate / 2), ("low", self.low, min(high, rate / 2) * (1 - 1e-9))):
            if edge > limit:
                raise ValueError(
                    f"preprocess.{name} must be {'at most' if name == 'high' else 'below'} half the rate of recording "
                    f"{where}, {rate / 2:g} Hz, got {edge:g}; lower it, or leave the recording out"
                )
        return self.low, high


def frames_of(samples: Any, first: int, last: int, *, length: int, hop: int) -> np.ndarray:
    """Some frames of a sound, of which no more is read than they hold.

    Args:
        samples: Sound `(n,)` or `(n, 1)`, in memory or lazy.
        first: First frame.
        last: One past the last frame, at most `1 + n // hop`.
        length: Samples of a frame.
        hop: Samples from frame to frame.

    Returns:
        Frames `(last - first, length)`, float64, not to be written to.
    """
    begin, end = first * hop - length // 2, (last - 1) * hop - length // 2 + length
    inside = np.asarray(samples[max(0, begin) : min(len(samples), end)], np.float64).reshape(-1)
    padded = np.pad(inside, (max(0, -begin), max(0, end - len(samples))))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def frame_power(frames: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Power in bands of frequency, frame by frame, through a Hann window.

    Args:
        frames: Frames `(frames, length)`.
        weights: Weight of each frequency `(bands, length // 2 + 1)` in each band.

    Returns:
        Power `(frames, bands)`; a sine of amplitude A at the centre of a frequency has the power `A^2 / 2` there.
    """
    length = frames.shape[1]
    window = np.asarray(scipy.signal.get_window("hann", length))
    double = np.full(length // 2 + 1, 2.0)  # negative frequencies count with the positive ones
    double[0] = 1.0
    if length % 2 == 0:
        double[-1] = 1.0
    unit = double / window.sum() ** 2
    return (np.abs(np.asarray(scipy.fft.rfft(frames * window, axis=1))) ** 2 * unit) @ weights.T


@lru_cache(maxsize=8)  # a dataset may have a recording for every word
def mel_weights(rate: float, *, length: int, bands: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangles that are equally wide on the mel scale, as pitch is heard.

    Args:
        rate: Sampling rate, Hz.
        length: Samples of a frame.
        bands: Number of triangles.
        low: Where the lowest begins, Hz.
        high: Where the highest ends, Hz.

    Returns:
        Weights `(bands, length // 2 + 1)`, at most 1 and not to be written to, and the peak of each triangle
        `(bands,)`, Hz.

    Raises:
        ValueError: If a triangle is narrower than the distance of two frequencies and so holds none.
    """
    import librosa  # imported here: a second that only sound needs

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Empty filters detected")  # refused below, with the way out
        weights = librosa.filters.mel(sr=rate, n_fft=length, n_mels=bands, fmin=low, fmax=high, norm=None)
    _require_filled(weights, bands, rate / length)
    weights.setflags(write=False)
    return weights, librosa.mel_frequencies(bands + 2, fmin=low, fmax=high)[1:-1]


def linear_weights(rate: float, *, length: int, bands: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Bands that are equally wide in Hz; arguments, returns and errors are those of `mel_weights`.

    A band's power is the mean over its frequencies, lower edge included, upper edge not.
    """
    edges = np.linspace(low, high, bands + 1)
    frequency = np.arange(length // 2 + 1) * rate / length
    inside = (frequency >= edges[:-1, None]) & (frequency < edges[1:, None])
    _require_filled(inside, bands, rate / length)
    return inside / inside.sum(axis=1, keepdims=True), (edges[:-1] + edges[1:]) / 2


def decibels(power: np.ndarray, *, floor: float) -> np.ndarray:
    """Level in dB full scale; what lies below the floor is raised to it.

    Args:
        power: Power of any shape, 0 or more.
        floor: Lowest level, dB.

    Returns:
        Levels of the same shape.
    """
    return 10 * np.log10(np.maximum(power, 10 ** (floor / 10)))


def cepstrum(levels: np.ndarray, *, coefficients: int) -> np.ndarray:
    """The slow part of a spectrum's shape: cosine transform over bands; of mel bands these are the MFCC.

    Args:
        levels: Levels `(frames, bands)`, dB.
        coefficients: How many to keep, 1 to the number of bands.

    Returns:
        Coefficients `(frames, coefficients)` of the orthonormal transform of type II.

    Source:
        Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition",
        IEEE TASSP 28, equation 1.
    """
    return np.asarray(scipy.fft.dct(levels, axis=1, norm="ortho"))[:, :coefficients]


def on_frames(recording: Recording, name: str, features: Signal) -> Recording:
    """Exchange the sound of a recording for its features, and take all other signals at the frames' times.

    Args:
        recording: A recording with the signal `audio`.
        name: What the features are called.
        features: Features `(frames, ...)`.

    Returns:
        The recording without `audio`, all signals on the clock of the features. Features that are made where they are
        read stay so if the sound is held lazily, and are made here if it is in memory.
    """
    others = replace(recording, signals={key: signal for key, signal in recording.signals.items() if key != "audio"})
    if is_lazy(features.data) and not is_lazy(recording.signal("audio").data):
        features = replace(features, data=in_memory(features.data))
    return replace(recording, signals={**aligned(others, features), name: features})


def _require_filled(weights: np.ndarray, bands: int, step: float) -> None:
    """A band without a frequency would be silent for ever."""
    empty = int((weights.max(axis=1) == 0).sum())
    if empty:
        raise ValueError(
            f"preprocess.bands={bands}: {empty} bands hold none of the frequencies, which lie {step:g} Hz apart; take "
            f"fewer bands, or a longer preprocess.frame_ms"
        )
