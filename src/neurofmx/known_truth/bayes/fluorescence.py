"""Fluorescence of cells given the heading's course: how many spikes a bin held, and what they leave behind.

Symbols: `f` fluorescence before a bin, `k` spikes in it, each in any of its B samples with the same probability.

    end of the bin    DECAY^B f + sum over spikes in samples i of DECAY^(B - i)
    mean over it      (1/B) sum over j of DECAY^j f + sum over spikes of (1 + DECAY + ... + DECAY^(B - i)) / B

A particle weighs every k by Poisson's law and by what is seen, and keeps mean and variance of what is left of them all.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from neurofmx.datasets.simulated import RATE
from neurofmx.known_truth.bayes.cloud import Cloud, Points
from neurofmx.known_truth.sessions import BIN, DECAY, Truth

SPIKES = 7  # a bin of a unit of 30 Hz has 7 or more once in a thousand bins
_END = DECAY ** np.arange(BIN - 1, -1, -1)  # what a spike leaves at the end, by its sample
_MEAN = np.cumsum(_END[::-1])[::-1] / BIN  # and what it adds to the mean
_KEPT, _LASTING = DECAY**BIN, DECAY * _MEAN[0]  # of what was there before: at the end, and on average


def glowed_unseen(cloud: Cloud, truth: Truth, points: Points) -> Cloud:
    """Fluorescence a bin later, of which nothing was seen."""
    rate = points.rate(truth.imaged) / RATE
    return cloud._replace(
        glow=_KEPT * cloud.glow + _END.sum() * rate,
        glow_variance=_KEPT**2 * cloud.glow_variance + (_END**2).sum() * rate,
    )


def glowed(cloud: Cloud, truth: Truth, points: Points, shown: np.ndarray) -> tuple[Cloud, np.ndarray]:
    """Fluorescence after a bin was seen.

    Args:
        cloud: Particles before the bin, their heading at its end.
        truth: Of the session.
        points: The heading on the way.
        shown: Calcium of the bin (n, U).

    Returns:
        The particles, and the log likelihood (n, P) of what was shown, less what all particles share.
    """
    expected = points.rate(truth.imaged) * BIN / RATE
    ends, variances, logs = [], [], []
    for spikes in range(SPIKES):
        variance = _LASTING**2 * cloud.glow_variance + spikes * _MEAN.var() + truth.noise**2 / BIN
        across = _LASTING * _KEPT * cloud.glow_variance + spikes * np.mean((_MEAN - _MEAN.mean()) * _END)
        surprise = shown[:, None] - _LASTING * cloud.glow - spikes * _MEAN.mean()
        ends.append(_KEPT * cloud.glow + spikes * _END.mean() + across / variance * surprise)
        variances.append(_KEPT**2 * cloud.glow_variance + spikes * _END.var() - across**2 / variance)
        poisson = spikes * np.log(expected) - expected - gammaln(spikes + 1)
        logs.append(poisson - (np.log(variance) + surprise**2 / variance) / 2)
    top = np.max(logs, axis=0)
    weights = [np.exp(each - top) for each in logs]
    total = np.sum(weights, axis=0)
    end = sum(weight * each for weight, each in zip(weights, ends, strict=True)) / total
    spread = sum(
        weight * (variance + (each - end) ** 2) for weight, variance, each in zip(weights, variances, ends, strict=True)
    )
    return cloud._replace(glow=end, glow_variance=spread / total), (top + np.log(total)).sum(-1)
