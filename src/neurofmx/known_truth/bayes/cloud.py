"""Particles: courses of the heading, and what is known of latents and fluorescence given each course.

A bin's end and speed are drawn by their exact law. In between the heading is taken to go straight, on which it deviates
by a few milliradians, and means over the bin are taken at three points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.datasets.simulated import RATE, TURN
from neurofmx.known_truth.courses import HEADING, onward
from neurofmx.known_truth.sessions import BIN, Truth, Tuning

# Gauss and Legendre's points and weights; samples stand at 1/B, 2/B ... 1 of the way through a bin
_POINTS = 0.5 + 0.5 / BIN + np.sqrt(0.6) / 2 * np.array([-1.0, 0.0, 1.0])
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18


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

    def rate(self, tuning: Tuning) -> np.ndarray:
        """Mean rate of units in the bin (n, P, U), Hz."""
        preferred, sharp, peak = tuning
        toward = np.stack([sharp * np.cos(preferred), sharp * np.sin(preferred)])
        total = np.zeros((*self.cosine.shape[:2], len(peak)))
        for point, weight in enumerate(_WEIGHTS):
            vector = np.stack([self.cosine[..., point], self.sine[..., point]], -1)
            total += weight * np.exp(vector @ toward - sharp)
        return peak * total


def prior(truth: Truth, windows: int, particles: int, rng: np.random.Generator) -> Cloud:
    """What is known of a moment of which nothing was seen: the heading is anywhere, the rest as it usually is."""
    shape, cells = (windows, particles), len(truth.imaged.peak_rate)
    return Cloud(
        rng.uniform(0, 2 * np.pi, shape),
        rng.normal(size=shape),
        rng.choice([-1.0, 1.0], shape),
        np.zeros((*shape, 3)),
        np.broadcast_to(truth.fluorescence.mean(0), (*shape, cells)),
        np.broadcast_to(truth.fluorescence.var(0), (*shape, cells)),
    )


def moved(cloud: Cloud, begins: np.ndarray, rng: np.random.Generator) -> tuple[Cloud, Points]:
    """Particles a bin later, and the heading on the way.

    Args:
        cloud: At the end of the bin before.
        begins: In which windows a trial begins with the bin (n,), bool: its way of turning is drawn anew.
        rng: Source of randomness.
    """
    drawn = rng.choice([-1.0, 1.0], cloud.way.shape)
    way = np.where(begins[:, None], drawn, cloud.way)
    state = np.stack([cloud.heading, cloud.wander], -1).reshape(-1, 2)
    course = onward(HEADING, state, BIN)
    spread = np.linalg.cholesky(course.covariance[-1, -1])
    end = (course.mean[:, -1] + rng.normal(size=state.shape) @ spread.T).reshape(*way.shape, 2)
    heading = end[..., 0] + TURN * way * BIN / RATE
    line = cloud.heading[..., None] + (heading - cloud.heading)[..., None] * _POINTS
    return cloud._replace(heading=heading, wander=end[..., 1], way=way), Points(np.cos(line), np.sin(line))


def redrawn(cloud: Cloud, logs: np.ndarray, rng: np.random.Generator) -> tuple[Cloud, np.ndarray]:
    """Particles drawn anew by their weights, in windows where few have nearly all of it (systematic resampling).

    Args:
        cloud: The particles.
        logs: Logarithms of their weights (n, P).
        rng: Source of randomness.
    """
    windows, particles = logs.shape
    weight = weights(logs)
    poor = np.flatnonzero(carriers(logs) < particles / 2)
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


def carriers(logs: np.ndarray) -> np.ndarray:
    """How many particles carry the weight in each window (n,): all of equal weights, 1 where one has it all.

    Source: Kong, Liu and Wong 1994, "Sequential imputations and Bayesian missing data problems", section 2.
    """
    return 1 / np.square(weights(logs)).sum(1)


def weights(logs: np.ndarray) -> np.ndarray:
    """Weights (n, P) that sum to 1 in every window."""
    weight = np.exp(logs - logs.max(1, keepdims=True))
    return weight / weight.sum(1, keepdims=True)


def mean_direction(cloud: Cloud, logs: np.ndarray) -> np.ndarray:
    """Mean cosine and sine of the heading (n, 2)."""
    weight = weights(logs)
    return np.stack([(weight * wave(cloud.heading)).sum(1) for wave in (np.cos, np.sin)], -1)
