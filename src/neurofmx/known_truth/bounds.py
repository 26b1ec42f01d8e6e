"""The best that can be said of a bin without having seen it, for someone who knows the truth.

Symbols: n rows, b bins, B samples of a bin, U units, C channels.

    told      the true latents at every moment: spikes by their rate, LFP and EEG by their mixture, fluorescence by the
              mean over all spikes that the rates could have drawn, EMG by its mean loudness. Nothing that hides a
              channel, and shows any of the others, allows more
    later     the true latents up to a moment and nothing after it: the mean of what may follow
    between   the true latents before and after a hidden stretch: the mean of what may have happened

A mean has the least squared error of all answers, so the score of these answers bounds that of every model. They know
the latents exactly, where a model must tell them from noisy channels: no model can pass these bounds, and the best may
stay below them.
Two of them are near the mean and not it: fluorescence in `between` is the best linear answer from both ends and the
true rates; the mean of EMG's logarithm is taken to the second order of the latent's course within a bin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, ive

from neurofmx.datasets.simulated import LOUDNESS, RATE, TURN, WIDTHS
from neurofmx.known_truth.courses import HEADING, LATENTS, Course, between, onward
from neurofmx.known_truth.sessions import BIN, DECAY, Truth, Tuning, fluoresced

_ORDERS = 40  # of the series of a von Mises bump; the last is below rounding for concentrations up to 10


class Known(NamedTuple):
    """What is known of some bins, sample by sample.

    Args:
        latent: Mean of the latents (n, b, B, 3).
        spread: Covariance of latent 0 among the samples of a bin (b, B, B).
        cosine: Mean cosine of the heading (n, b, B).
        sine: The same of its sine.
        rate: Mean rate of the units whose spikes are recorded (n, b, B, U), Hz.
        fluorescence: Mean fluorescence (n, b, B, U).
    """

    latent: np.ndarray
    spread: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    rate: np.ndarray
    fluorescence: np.ndarray


def told(truth: Truth, samples: np.ndarray) -> dict[str, np.ndarray]:
    """What channels show in some bins by the true latents.

    Args:
        truth: Of the session.
        samples: Their samples (n, b, B).

    Returns:
        By stream (n, b, C), in the units of the bins.
    """
    heading = truth.heading[samples]
    spread = np.zeros((samples.shape[1], samples.shape[2], samples.shape[2]))
    rate, fluorescence = truth.spiking.rate(heading), truth.expected_fluorescence[samples]
    known = Known(truth.latent[samples], spread, np.cos(heading), np.sin(heading), rate, fluorescence)
    return shown(truth, known)


def later(truth: Truth, last: np.ndarray, ahead: float) -> dict[str, np.ndarray]:
    """What channels will show in one bin.

    Args:
        truth: Of the session.
        last: Last sample whose latents are known (n,).
        ahead: From the end of that sample to the begin of the bin, s.

    Returns:
        By stream (n, 1, C).
    """
    steps = round(ahead * RATE) + BIN
    latents = onward(LATENTS, truth.latent[last], steps)
    start = np.stack([truth.heading[last], truth.wander[last]], -1)
    heading, ways = onward(HEADING, start, steps), _ways(truth, last, steps)
    drifts = np.cumsum(TURN * ways / RATE, axis=-1)  # (2, n, steps): no trial is so short that two begin in it
    angle, variance = heading.mean[..., 0] + drifts, heading.variance(0)
    cosine, sine = (np.mean(wave(angle) * np.exp(-variance / 2), axis=0) for wave in (np.cos, np.sin))
    rate, imaged = (
        np.mean([expected_rate(each, variance, tuning) for each in angle], axis=0)
        for tuning in (truth.spiking, truth.imaged)
    )
    lasting = truth.fluorescence[last][:, None] * DECAY ** np.arange(1, steps + 1)[:, None]
    fluorescence = lasting + fluoresced(imaged / RATE, axis=1)
    parts = (latents.mean, cosine, sine, rate, fluorescence)
    return shown(truth, _known(latents, *parts, bins=slice(steps - BIN, steps)))


def hidden_between(truth: Truth, last: np.ndarray, bins: int) -> dict[str, np.ndarray]:
    """What channels showed in bins between two moments at which the latents are known.

    Args:
        truth: Of the session.
        last: Last sample before the bins (n,); the first after them is the other that is known.
        bins: How many bins are hidden, b.

    Returns:
        By stream (n, b, C).
    """
    steps = bins * BIN + 1
    end, path = last + steps, last[:, None] + np.arange(1, steps + 1)
    latents = between(LATENTS, truth.latent[last], truth.latent[end], steps)
    drift = np.cumsum(TURN * truth.way[path] / RATE, axis=1)
    start = np.stack([truth.heading[last], truth.wander[last]], -1)
    stop = np.stack([truth.heading[end] - drift[:, -1], truth.wander[end]], -1)
    heading = between(HEADING, start, stop, steps)
    angle, variance = heading.mean[..., 0] + drift[:, :-1], heading.variance(0)
    cosine, sine = (wave(angle) * np.exp(-variance / 2) for wave in (np.cos, np.sin))
    rate = expected_rate(angle, variance, truth.spiking)
    fluorescence = _fluorescence_between(truth, last, path)
    parts = (latents.mean, cosine, sine, rate, fluorescence)
    return shown(truth, _known(latents, *parts, bins=slice(0, steps - 1)))


def shown(truth: Truth, known: Known) -> dict[str, np.ndarray]:
    """What channels show in bins of which so much is known, by stream (n, b, C)."""
    state = np.concatenate([known.latent, known.cosine[..., None], known.sine[..., None]], -1).mean(2)
    loud = loudness(known.latent[..., 0], known.spread)
    return {
        "spikes": known.rate.sum(2) / RATE,
        "lfp": state @ truth.mixing["lfp"].T,
        "eeg": state @ truth.mixing["eeg"].T,
        "emg": np.repeat(loud[..., None], WIDTHS["emg"], -1),
        "calcium": known.fluorescence.mean(2),
    }


def loudness(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Mean of the logarithm of the mean square of a bin of EMG.

    Args:
        mean: Mean of latent 0 at each sample (n, b, B).
        spread: Its covariance among the samples of a bin (b, B, B).

    Returns:
        Shape (n, b). The mean square is that of white noise, of B degrees of freedom, times a loudness that varies
        little within a bin: `E log(mean e^u) = mean u + var u / 2` to the second order, with u twice the logarithm.
    """
    u, covariance = 2 * LOUDNESS * mean, (2 * LOUDNESS) ** 2 * spread
    own = np.einsum("bii->b", covariance) / BIN - covariance.mean((-1, -2))
    return u.mean(-1) + (u.var(-1) + own) / 2 + digamma(BIN / 2) - np.log(BIN / 2)


def expected_rate(angle: np.ndarray, variance: np.ndarray, tuning: Tuning) -> np.ndarray:
    """Mean rate at a Gaussian angle.

    Args:
        angle: Its mean (..., T), rad.
        variance: Its variance (T,), rad^2.
        tuning: Of the units.

    Returns:
        Rates (..., T, units), Hz: `peak (I0 + 2 sum_m I_m exp(-m^2 variance / 2) cos(m (angle - preferred))) / e^k`,
        with the Bessel functions `I_m` at the concentration k.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 9.6.34.
    """
    off = angle[..., None] - tuning.preferred_direction
    bump = np.broadcast_to(ive(0, tuning.concentration), off.shape).copy()
    for order in range(1, _ORDERS):
        weight = ive(order, tuning.concentration)
        if weight.max() < 1e-12:
            break
        bump += 2 * weight * np.exp(-(order**2) * variance / 2)[:, None] * np.cos(order * off)
    return tuning.peak_rate * bump


def _ways(truth: Truth, last: np.ndarray, steps: int) -> np.ndarray:
    """Ways of turning that may follow (2, n, steps): of a trial that has not begun, either."""
    path = last[:, None] + np.arange(1, steps + 1)
    same = truth.trial(path) == truth.trial(last)[:, None]
    return np.stack([np.where(same, truth.way[last][:, None], way) for way in (-1.0, 1.0)])


def _known(latents: Course, *parts: np.ndarray, bins: slice) -> Known:
    """What is known of the samples of some bins, of courses (n, steps, ...)."""
    latent, cosine, sine, rate, fluorescence = (_binned(part[:, bins]) for part in parts)
    whole = latents.covariance[bins, bins, 0, 0]
    blocks = [whole[i : i + BIN, i : i + BIN] for i in range(0, len(whole), BIN)]
    return Known(latent, np.stack(blocks), cosine, sine, rate, fluorescence)


def _binned(samples: np.ndarray) -> np.ndarray:
    """Samples (n, steps, ...) as (n, b, B, ...)."""
    return samples.reshape(len(samples), -1, BIN, *samples.shape[2:])


def _fluorescence_between(truth: Truth, last: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Fluorescence (n, steps - 1, U) between two that are known, of cells whose rates are known.

    The spikes of a sample are independent, mean and variance are its rate, and the answer is linear in what the end has
    more than it should have on average.
    """
    rate = truth.imaged.rate(truth.heading[path]) / RATE
    steps = path.shape[1]
    lasting = truth.fluorescence[last][:, None] * DECAY ** np.arange(1, steps + 1)[:, None]
    mean = lasting + fluoresced(rate, axis=1)
    # Cov[f[k], f[N]] = sum over spikes up to k of DECAY^(k - i) DECAY^(N - i) rate[i]
    variance = np.zeros_like(rate)
    held = np.zeros_like(rate[:, 0])
    for k in range(steps):
        held = DECAY**2 * held + rate[:, k]
        variance[:, k] = held
    covariance = variance * (DECAY ** np.arange(steps - 1, -1, -1))[:, None]
    surplus = truth.fluorescence[last + steps] - mean[:, -1]
    return (mean + covariance * (surplus / variance[:, -1])[:, None])[:, :-1]
