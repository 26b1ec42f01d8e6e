"""Pitch of a sound by the YIN method: the shortest period at which a frame repeats itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # loads scipy.fft when it is used


class Pitch(NamedTuple):
    """Pitch of every frame.

    Args:
        frequency: Fundamental frequency `(frames,)`, Hz; the likeliest also where there is no voice.
        voicing: How well the frame repeats itself `(frames,)`, 1 for exactly and 0 for not at all.
    """

    frequency: np.ndarray
    voicing: np.ndarray


def period(*, rate: float, low: float, high: float, length: int) -> tuple[int, int]:
    """Shortest and longest period, samples.

    Args:
        rate: Sampling rate, Hz.
        low: Lowest pitch, Hz; a frame must hold two of its periods.
        high: Highest pitch, Hz, at most a quarter of the rate.
        length: Samples of a frame.

    Raises:
        ValueError: If a frame is too short for the lowest pitch, or the range is empty or above a quarter of the rate.
    """
    if not 0 < low < high <= rate / 4:
        raise ValueError(
            f"pitch: low < high must lie above 0 and up to a quarter of the rate, {rate / 4:g} Hz, got {low:g} "
            f"and {high:g}"
        )
    longest, shortest = int(np.ceil(rate / low)) + 1, int(rate / high)
    if 2 * longest > length:
        raise ValueError(
            f"preprocess.pitch_low={low:g}: a frame must hold two periods, {2000 * longest / rate:.3g} ms, got "
            f"{1000 * length / rate:.3g} ms; raise it, or preprocess.frame_ms"
        )
    return shortest, longest


def pitch_of(frames: np.ndarray, *, rate: float, lags: tuple[int, int], threshold: float = 0.1) -> Pitch:
    """Pitch of frames, each by itself.

    Args:
        frames: Frames `(frames, length)`.
        rate: Sampling rate, Hz.
        lags: Shortest and longest period, samples (`period`).
        threshold: Difference, as a share of the mean one, below which the first dip is taken for the period.

    Source:
        de Cheveigné and Kawahara 2002, "YIN, a fundamental frequency estimator for speech and music", JASA 111:
        difference function (equation 6), cumulative mean (equation 8), threshold and parabola (steps 4 and 5).
    """
    shortest, longest = lags
    share = _cumulative_mean(_difference(frames, longest))
    lag = _first_dip(share[:, shortest:longest], threshold) + shortest
    rows = np.arange(len(share))
    before, here, after = (share[rows, np.clip(lag + step, 0, longest)] for step in (-1, 0, 1))
    curve = before - 2 * here + after
    shift = np.where(curve > 0, (before - after) / np.where(curve > 0, 2 * curve, 1.0), 0.0)
    return Pitch(rate / (lag + np.clip(shift, -1, 1)), np.clip(1 - here, 0.0, 1.0))


def _difference(frames: np.ndarray, longest: int) -> np.ndarray:
    """Squared difference `(frames, longest + 1)` between the first half of each frame and itself some lags later."""
    width = frames.shape[1] - longest
    size = scipy.fft.next_fast_len(frames.shape[1] + width, real=True)
    early, whole = (np.asarray(scipy.fft.rfft(part, size)) for part in (frames[:, :width], frames))
    product = np.asarray(scipy.fft.irfft(early.conj() * whole, size))[:, : longest + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    moved = energy[:, width : width + longest + 1] - energy[:, : longest + 1]
    return np.maximum(moved[:, :1] + moved - 2 * product, 0.0)


def _cumulative_mean(difference: np.ndarray) -> np.ndarray:
    """Each difference as a share of the mean over the lags up to it; 1 at lag 0, and for silence."""
    lags = np.arange(1, difference.shape[1])
    mean = np.cumsum(difference[:, 1:], axis=1) / lags
    tiny = 1e-12 * difference.max(axis=1, keepdims=True) + np.finfo(float).tiny
    share = np.where(mean > tiny, difference[:, 1:] / np.maximum(mean, tiny), 1.0)
    return np.concatenate([np.ones((len(share), 1)), share], axis=1)


def _first_dip(share: np.ndarray, threshold: float) -> np.ndarray:
    """Bottom of the first dip below the threshold, else of the deepest one, index `(frames,)`."""
    below = share < threshold
    last = np.concatenate([share[:, 1:] >= share[:, :-1], np.ones((len(share), 1), bool)], axis=1)
    bottom = below & last  # from here on the difference grows again
    return np.where(below.any(axis=1), bottom.argmax(axis=1), share.argmin(axis=1))
