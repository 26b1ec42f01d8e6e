"""The heading at the end of a window, told by someone who knows all of the session's truth but what happened.

Known are tuning, mixing, couplings, noise and when trials begin; read are the bins of a window; asked is the posterior
mean of the heading's cosine and sine, which no decoder of the same bins can better in squared error.

Symbols: n windows, P particles, U units, C channels, `x` latents, `m` and `e` their mean over a bin and their end.

A particle is one course of the heading; given that course the latents are a linear Gaussian process, which Kalman's
filter follows exactly, with one covariance for all particles (Rao-Blackwell). Per bin

    heading     its end and speed drawn by the exact law, a straight line in between, at three points
                (Gauss and Legendre)
    spikes      Poisson, with the mean rate of that line
    LFP, EEG    y = M [m, cos, sin] + noise
    EMG         y = 2 LOUDNESS m[0] + constant + noise, the logarithm of a chi-squared mean, by mean and variance
    calcium     a cell's fluorescence given the course's rates, by mean and variance of its spikes

The first two groups are exact but for the line and the number of particles; the last two lose what lies in the third
moments of their noise.

Source:
    Doucet, de Freitas, Murphy and Russell 2000, "Rao-Blackwellised particle filtering for dynamic Bayesian networks".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

from neurofmx.datasets.simulated import LOUDNESS, RATE, TURN, WIDTHS
from neurofmx.known_truth.courses import HEADING, LATENTS, Process, onward, stationary
from neurofmx.known_truth.sessions import BIN, DECAY, Truth

# Gauss and Legendre's three points of a bin, as shares of it, and what they weigh
_POINTS = 0.5 + np.sqrt(0.6) / 2 * np.array([-1.0, 0.0, 1.0])
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18
_AT_ONCE = 40_000  # windows times particles


class Voltages(NamedTuple):
    """All channels that are linear in the latents' mean over a bin and the heading.

    Args:
        latent: Weights of that mean (C, 3).
        heading: Weights of cosine and sine (C, 2).
        offset: What is added (C,).
        variance: Of the noise (C,).
    """

    latent: np.ndarray
    heading: np.ndarray
    offset: np.ndarray
    variance: np.ndarray


class Filter(NamedTuple):
    """Kalman's filter of the latents in one bin; the same for all particles.

    Args:
        predict: From the state at the end of a bin to mean and end of the next (6, 3).
        gain: Of what the voltages show beyond what was expected (6, C).
        precision: Inverse covariance of that (C, C).
        mixing: Weights of the latents' mean (C, 3).
    """

    predict: np.ndarray
    gain: np.ndarray
    precision: np.ndarray
    mixing: np.ndarray


def decode(
    truth: Truth,
    bins: Mapping[str, np.ndarray],
    first: np.ndarray,
    *,
    read: Collection[str],
    particles: int,
    seed: int,
) -> np.ndarray:
    """Posterior mean of the heading at the end of windows.

    Args:
        truth: Of the session.
        bins: By stream the windows (n, b, C), in the units of the session.
        first: First sample of each window (n,).
        read: Streams to read; the others are as if not recorded.
        particles: Courses that are followed at a time.
        seed: Of the particles.

    Returns:
        Cosine and sine (n, 2).
    """
    rng = np.random.default_rng(seed)
    some = max(1, _AT_ONCE // particles)
    pieces = np.array_split(np.arange(len(first)), -(-len(first) // some))
    answers = [
        _decoded(truth, {name: bins[name][piece] for name in read}, first[piece], particles, rng) for piece in pieces
    ]
    return np.concatenate(answers)


def _decoded(
    truth: Truth, bins: Mapping[str, np.ndarray], first: np.ndarray, particles: int, rng: np.random.Generator
) -> np.ndarray:
    """The same for some windows."""
    voltages = _voltages(truth, bins)
    filters = _filters(voltages, next(iter(bins.values())).shape[1])
    cloud = _prior(truth, len(first), particles, rng)
    logs = np.zeros((len(first), particles))
    for b, step in enumerate(filters):
        begin = first + b * BIN
        cloud, points = _moved(cloud, _begins(truth, begin), rng)
        seen = {name: bins[name][:, b] for name in bins}
        logs = logs + _spikes(truth, seen, points)
        cloud, more = _heard(cloud, voltages, step, points, seen)
        cloud, glow = _glowed(cloud, truth, points, seen)
        logs = logs + more + glow
        logs -= logs.max(1, keepdims=True)
        if b + 1 < len(filters):
            cloud, logs = _redrawn(cloud, logs, rng)
    weight = np.exp(logs)
    weight /= weight.sum(1, keepdims=True)
    return np.stack([(weight * wave(cloud.heading)).sum(1) for wave in (np.cos, np.sin)], -1)


class Cloud(NamedTuple):
    """Particles at the end of a bin.

    Args:
        heading: Angle (n, P), rad.
        wander: Speed about that of the trial (n, P), rad/s.
        way: Which way the trial turns (n, P).
        latent: Mean of the latents given each course (n, P, 3).
        glow: Mean of each cell's fluorescence given the course (n, P, U).
        glow_variance: Its variance (n, P, U).
    """

    heading: np.ndarray
    wander: np.ndarray
    way: np.ndarray
    latent: np.ndarray
    glow: np.ndarray
    glow_variance: np.ndarray


class Points(NamedTuple):
    """Cosine and sine of the heading at three points of a bin (n, P, 3)."""

    cosine: np.ndarray
    sine: np.ndarray

    def mean(self) -> np.ndarray:
        """Mean cosine and sine of the bin (n, P, 2)."""
        return np.stack([self.cosine @ _WEIGHTS, self.sine @ _WEIGHTS], -1)

    def rate(self, tuning: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Mean rate of units in the bin (n, P, U), Hz."""
        preferred, sharp, peak = tuning
        toward = np.stack([sharp * np.cos(preferred), sharp * np.sin(preferred)])
        total = 0.0
        for point, weight in enumerate(_WEIGHTS):
            vector = np.stack([self.cosine[..., point], self.sine[..., point]], -1)
            total = total + weight * np.exp(vector @ toward - sharp)
        return peak * np.asarray(total)


def _prior(truth: Truth, windows: int, particles: int, rng: np.random.Generator) -> Cloud:
    """What is known before a window: the heading is anywhere, the rest as it usually is."""
    shape, cells = (windows, particles), len(truth.imaged.peak_rate)
    usual, spread = truth.fluorescence.mean(0), truth.fluorescence.var(0)
    return Cloud(
        rng.uniform(0, 2 * np.pi, shape),
        rng.normal(size=shape),
        rng.choice([-1.0, 1.0], shape),
        np.zeros((*shape, 3)),
        np.broadcast_to(usual, (*shape, cells)),
        np.broadcast_to(spread, (*shape, cells)),
    )


def _begins(truth: Truth, sample: np.ndarray) -> np.ndarray:
    """Which bins are the first of a trial, by their first sample."""
    return truth.trial(sample) != truth.trial(sample - 1)


def _moved(cloud: Cloud, begins: np.ndarray, rng: np.random.Generator) -> tuple[Cloud, Points]:
    """Particles a bin later, and the heading on the way."""
    drawn = rng.choice([-1.0, 1.0], cloud.way.shape)
    way = np.where(begins[:, None], drawn, cloud.way)
    state = np.stack([cloud.heading, cloud.wander], -1).reshape(-1, 2)
    course = onward(HEADING, state, BIN)
    spread = np.linalg.cholesky(course.covariance[-1, -1])
    end = (course.mean[:, -1] + rng.normal(size=state.shape) @ spread.T).reshape(*way.shape, 2)
    heading = end[..., 0] + TURN * way * BIN / RATE
    line = cloud.heading[..., None] + (heading - cloud.heading)[..., None] * _POINTS_OF_SAMPLES
    return cloud._replace(heading=heading, wander=end[..., 1], way=way), Points(np.cos(line), np.sin(line))


# samples stand at 1/B, 2/B ... 1 of the way from the sample before the bin to its last
_POINTS_OF_SAMPLES = (0.5 + _POINTS * BIN) / BIN


def _spikes(truth: Truth, seen: Mapping[str, np.ndarray], points: Points) -> np.ndarray:
    """Log likelihood of the counts (n, P), without what all particles share."""
    if "spikes" not in seen:
        return np.zeros(points.cosine.shape[:2])
    expected = points.rate(truth.spiking) * BIN / RATE
    return np.einsum("npu,nu->np", np.log(expected), seen["spikes"]) - expected.sum(-1)


def _voltages(truth: Truth, names: Collection[str]) -> Voltages:
    """The channels of the streams that are read, one below the other."""
    latent, heading, offset, variance = [np.zeros((0, 3))], [np.zeros((0, 2))], [np.zeros(0)], [np.zeros(0)]
    for name in _linear(names):
        mixing = truth.mixing.get(name)
        if mixing is None:
            channels = WIDTHS["emg"]
            mixing = np.tile([2 * LOUDNESS, 0.0, 0.0, 0.0, 0.0], (channels, 1))
            offset.append(np.full(channels, digamma(BIN / 2) - np.log(BIN / 2) + _bent()))
            variance.append(np.full(channels, float(polygamma(1, BIN / 2))))
        else:
            offset.append(np.zeros(len(mixing)))
            variance.append(np.full(len(mixing), truth.noise**2 / BIN))
        latent.append(mixing[:, :3])
        heading.append(mixing[:, 3:])
    return Voltages(*(np.concatenate(part) for part in (latent, heading, offset, variance)))


def _linear(names: Collection[str]) -> list[str]:
    """Streams that are linear in the latents, in one order."""
    return [name for name in ("lfp", "eeg", "emg") if name in names]


def _bent() -> float:
    """What the course of latent 0 within a bin adds to the mean logarithm of its loudness, to the second order."""
    settled = stationary(LATENTS)[0, 0]
    lag = np.abs(np.subtract.outer(np.arange(BIN), np.arange(BIN)))
    covariance = settled * LATENTS.transition[0, 0] ** lag  # nothing drives latent 0
    return float((2 * LOUDNESS) ** 2 * (settled - covariance.mean()) / 2)


def _filters(voltages: Voltages, bins: int) -> list[Filter]:
    """Kalman's filter of mean and end of the latents, bin by bin, from what they usually are."""
    bin_of = _bin_process()
    mixing = np.concatenate([voltages.latent, np.zeros_like(voltages.latent)], 1)  # the end shows nothing by itself
    covariance, filters = stationary(LATENTS), []
    for _ in range(bins):
        spread = bin_of.transition @ covariance @ bin_of.transition.T + bin_of.noise
        precision = np.linalg.inv(mixing @ spread @ mixing.T + np.diag(voltages.variance))
        gain = spread @ mixing.T @ precision
        filters.append(Filter(bin_of.transition, gain, precision, voltages.latent))
        covariance = (spread - gain @ mixing @ spread)[3:, 3:]
    return filters


def _bin_process() -> Process:
    """From the latents at the end of a bin (3) to their mean over the next and their end (6), and its noise."""
    course = onward(LATENTS, np.eye(3), BIN)  # the mean of a unit state is a column of the transition's power
    powers, spread = course.mean.transpose(1, 2, 0), course.covariance
    across = spread[:, -1].mean(0)  # of the mean with the end
    noise = np.block([[spread.mean((0, 1)), across], [across.T, spread[-1, -1]]])
    return Process(np.concatenate([powers.mean(0), powers[-1]]), noise)


def _heard(
    cloud: Cloud, voltages: Voltages, step: Filter, points: Points, seen: Mapping[str, np.ndarray]
) -> tuple[Cloud, np.ndarray]:
    """The latents of each particle after the voltages of a bin, and the log likelihood (n, P) of these."""
    state = cloud.latent @ step.predict.T
    names = _linear(seen)
    if not names:
        return cloud._replace(latent=state[..., 3:]), np.zeros(state.shape[:2])
    shown = np.concatenate([seen[name] for name in names], -1) - voltages.offset
    surprise = shown[:, None] - state[..., :3] @ step.mixing.T - points.mean() @ voltages.heading.T
    state = state + surprise @ step.gain.T
    return cloud._replace(latent=state[..., 3:]), -np.einsum("npc,npc->np", surprise @ step.precision, surprise) / 2


def _glowed(cloud: Cloud, truth: Truth, points: Points, seen: Mapping[str, np.ndarray]) -> tuple[Cloud, np.ndarray]:
    """The fluorescence of each particle after the calcium of a bin, and the log likelihood (n, P) of that.

    With `r` the spikes that a sample brings on average, `f` the fluorescence before the bin, spikes in sample i raise
    the end by DECAY^(B - i) and the mean by (1 + DECAY + ... + DECAY^(B - i)) / B.
    """
    if "calcium" not in seen:
        return cloud, np.zeros(points.cosine.shape[:2])
    rate = points.rate(truth.imaged) / RATE
    end = DECAY ** np.arange(BIN - 1, -1, -1)
    mean = np.cumsum(end[::-1])[::-1] / BIN
    kept, lasting = DECAY**BIN, DECAY * mean[0]  # of what was there: at the end, and on average
    expected = lasting * cloud.glow + mean.sum() * rate
    variance = lasting**2 * cloud.glow_variance + (mean**2).sum() * rate + truth.noise**2 / BIN
    across = lasting * kept * cloud.glow_variance + (mean * end).sum() * rate
    surprise = seen["calcium"][:, None] - expected
    after = kept * cloud.glow + end.sum() * rate + across / variance * surprise
    left = kept**2 * cloud.glow_variance + (end**2).sum() * rate - across**2 / variance
    logs = -(np.log(variance) + surprise**2 / variance).sum(-1) / 2
    return cloud._replace(glow=after, glow_variance=left), logs


def _redrawn(cloud: Cloud, logs: np.ndarray, rng: np.random.Generator) -> tuple[Cloud, np.ndarray]:
    """Particles drawn anew by their weights, in windows where few have nearly all of it (systematic resampling)."""
    windows, particles = logs.shape
    weight = np.exp(logs)
    weight /= weight.sum(1, keepdims=True)
    poor = np.flatnonzero(1 / np.square(weight).sum(1) < particles / 2)
    if not len(poor):
        return cloud, logs
    order = np.tile(np.arange(particles), (windows, 1))
    comb = (np.arange(particles) + rng.uniform(size=(len(poor), 1))) / particles
    edges = np.cumsum(weight[poor], 1)
    edges[:, -1] = 1.0
    row = np.arange(len(poor))[:, None]
    # one search for all rows: each has a whole number of its own added
    found = np.searchsorted((edges + row).ravel(), (comb + row).ravel(), side="right").reshape(comb.shape)
    order[poor] = np.minimum(found - row * particles, particles - 1)
    logs = logs.copy()
    logs[poor] = 0.0
    picked = (np.take_along_axis(part, order.reshape(*order.shape, *(1,) * (part.ndim - 2)), 1) for part in cloud)
    return Cloud(*picked), logs
