"""The heading at the end of a window, told by someone who knows all of the session's truth but what happened.

Known are tuning, mixing, couplings, noise and when trials begin; read are the bins of a window; asked is the posterior
mean of the heading's cosine and sine, which no decoder of the same bins can better in squared error.

Symbols: n windows, P particles, U units, C channels.

A particle is one course of the heading (`cloud.py`). Given that course the latents are a linear Gaussian process, which
Kalman's filter follows exactly (Rao-Blackwell, `voltages.py`), and units fire independently of each other. Per bin

    spikes      Poisson, with the mean rate of the course
    LFP, EEG    mixtures of latents and heading with Gaussian noise
    EMG         linear in latent 0; the logarithm of a chi-squared mean by its mean and variance
    calcium     a number of spikes, each of which the particle weighs; then one Gaussian for what may be left
                (`fluorescence.py`)

The first two are exact but for the number of particles; the other two lose what lies in higher moments of their noise.

Source:
    Doucet, de Freitas, Murphy and Russell 2000, "Rao-Blackwellised particle filtering for dynamic Bayesian networks".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from neurofmx.datasets.simulated import RATE
from neurofmx.known_truth.bayes.cloud import Cloud, Points, carriers, mean_direction, moved, prior, redrawn
from neurofmx.known_truth.bayes.fluorescence import glowed, glowed_unseen
from neurofmx.known_truth.bayes.voltages import Filter, Voltages, filters, heard, of_streams, ordered
from neurofmx.known_truth.sessions import BIN, Truth

BEFORE = 40  # bins before a window that a particle's course begins, so that its fluorescence has a history
_AT_ONCE = 40_000  # windows times particles


class Decoded(NamedTuple):
    """What the decoder says of windows.

    Args:
        heading: Posterior mean of cosine and sine of the heading at the end (n, 2).
        carriers: The fewest particles that carried the weight in any bin (n,). Of few the mean is none of the
            posterior: where hardly one was near what was seen, those that follow descend from it.
    """

    heading: np.ndarray
    carriers: np.ndarray


def decode(
    truth: Truth,
    bins: Mapping[str, np.ndarray],
    first: np.ndarray,
    *,
    read: Collection[str],
    particles: int,
    seed: int,
) -> Decoded:
    """Posterior mean of the heading at the end of windows.

    Args:
        truth: Of the session.
        bins: By stream the windows (n, b, C), in the units of the session.
        first: First sample of each window (n,).
        read: Streams to read, one or more; the others are as if not recorded.
        particles: Courses that are followed at a time.
        seed: Of the particles.

    Returns:
        The posterior mean, and on how many particles it stands.
    """
    rng = np.random.default_rng(seed)
    pieces = np.array_split(np.arange(len(first)), -(-len(first) * particles // _AT_ONCE))
    answers = [
        _decoded(truth, {name: bins[name][piece] for name in read}, first[piece], particles, rng) for piece in pieces
    ]
    return Decoded(*map(np.concatenate, zip(*answers, strict=True)))


def _decoded(
    truth: Truth, bins: Mapping[str, np.ndarray], first: np.ndarray, particles: int, rng: np.random.Generator
) -> Decoded:
    """The same for some windows."""
    voltages, number = of_streams(truth, bins), next(iter(bins.values())).shape[1]
    cloud = prior(truth, len(first), particles, rng)
    for b in range(-BEFORE if "calcium" in bins else 0, 0):
        cloud, points = moved(cloud, truth.begins(first + b * BIN), rng)
        cloud = glowed_unseen(cloud, truth, points)
    logs, fewest = np.zeros((len(first), particles)), np.full(len(first), float(particles))
    for b, step in enumerate(filters(voltages, number)):
        cloud, points = moved(cloud, truth.begins(first + b * BIN), rng)
        cloud, more = _seen(cloud, truth, voltages, step, points, {name: values[:, b] for name, values in bins.items()})
        logs = logs + more
        fewest = np.minimum(fewest, carriers(logs))
        if b + 1 < number:
            cloud, logs = redrawn(cloud, logs, rng)
    return Decoded(mean_direction(cloud, logs), fewest)


def _seen(
    cloud: Cloud,
    truth: Truth,
    voltages: Voltages,
    step: Filter,
    points: Points,
    shown: Mapping[str, np.ndarray],
) -> tuple[Cloud, np.ndarray]:
    """Particles after one bin was read, and its log likelihood (n, P), less what all particles share."""
    state = cloud.latent @ step.predict.T
    logs = np.zeros(points.cosine.shape[:2])
    if names := ordered(shown):
        state, more = heard(state, voltages, step, points, np.concatenate([shown[name] for name in names], -1))
        logs = logs + more
    cloud = cloud._replace(latent=state[..., 3:])
    if "spikes" in shown:
        expected = points.rate(truth.spiking) * BIN / RATE
        logs = logs + np.einsum("npu,nu->np", np.log(expected), shown["spikes"]) - expected.sum(-1)
    if "calcium" in shown:
        cloud, more = glowed(cloud, truth, points, shown["calcium"])
        logs = logs + more
    return cloud, logs
