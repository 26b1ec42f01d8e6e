"""Channels that are linear in the latents, given the heading: Kalman's filter, the same for all particles.

    y = M [m, cos, sin] + noise                                     LFP, EEG; m the latents' mean over the bin
    y = 2 LOUDNESS m[0] + constant + noise                          EMG, the logarithm of a mean square

Gains and covariances of the filter do not depend on what is seen, so particles differ in their means alone.

Source:
    Anderson and Moore 1979, Optimal Filtering, section 3.1.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

from neurofmx.datasets.simulated import LOUDNESS, WIDTHS
from neurofmx.known_truth.bayes.cloud import Points
from neurofmx.known_truth.courses import LATENTS, Process, onward, stationary
from neurofmx.known_truth.sessions import BIN, Truth


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
    """Kalman's filter of the latents in one bin.

    Args:
        predict: From the latents at the end of a bin to mean and end of the next (6, 3).
        gain: Of what the voltages show beyond what was expected (6, C).
        precision: Inverse covariance of that (C, C).
    """

    predict: np.ndarray
    gain: np.ndarray
    precision: np.ndarray


def ordered(names: Collection[str]) -> list[str]:
    """Streams among some that are linear in the latents, in one order."""
    return [name for name in ("lfp", "eeg", "emg") if name in names]


def of_streams(truth: Truth, names: Collection[str]) -> Voltages:
    """The channels of the streams that are read, one below the other; none where no such stream is."""
    parts = [Voltages(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0), np.zeros(0))]
    parts += [_muscle() if name == "emg" else _field(truth, name) for name in ordered(names)]
    return Voltages(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def filters(voltages: Voltages, bins: int) -> list[Filter]:
    """The filter bin by bin, from what the latents usually are."""
    mean_and_end = bin_process()
    mixing = np.concatenate([voltages.latent, np.zeros_like(voltages.latent)], 1)  # the end shows nothing by itself
    covariance, made = stationary(LATENTS), []
    for _ in range(bins):
        spread = mean_and_end.transition @ covariance @ mean_and_end.transition.T + mean_and_end.noise
        precision = np.linalg.inv(mixing @ spread @ mixing.T + np.diag(voltages.variance))
        gain = spread @ mixing.T @ precision
        made.append(Filter(mean_and_end.transition, gain, precision))
        covariance = (spread - gain @ mixing @ spread)[3:, 3:]
    return made


def heard(
    state: np.ndarray, voltages: Voltages, step: Filter, points: Points, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Latents after the voltages of a bin.

    Args:
        state: What was expected of mean and end of the latents (n, P, 6).
        voltages: The channels.
        step: The filter of the bin.
        points: The heading on the way.
        shown: What the channels show (n, C).

    Returns:
        The state afterwards, and the log likelihood (n, P) of what was shown, less what all particles share.
    """
    surprise = (shown - voltages.offset)[:, None] - state[..., :3] @ voltages.latent.T
    surprise = surprise - points.mean() @ voltages.heading.T
    logs = -np.einsum("npc,npc->np", surprise @ step.precision, surprise) / 2
    return state + surprise @ step.gain.T, logs


def bin_process() -> Process:
    """From the latents at the end of a bin (3) to their mean over the next and their end (6), and its noise."""
    course = onward(LATENTS, np.eye(3), BIN)  # what a unit state becomes is a column of the transition's power
    powers, spread = course.mean.transpose(1, 2, 0), course.covariance
    across = spread[:, -1].mean(0)  # of the mean with the end
    noise = np.block([[spread.mean((0, 1)), across], [across.T, spread[-1, -1]]])
    return Process(np.concatenate([powers.mean(0), powers[-1]]), noise)


def _field(truth: Truth, name: str) -> Voltages:
    """LFP or EEG."""
    mixing = truth.mixing[name]
    channels = len(mixing)
    return Voltages(mixing[:, :3], mixing[:, 3:], np.zeros(channels), np.full(channels, truth.noise**2 / BIN))


def _muscle() -> Voltages:
    """EMG: the mean of the logarithm of a chi-squared mean, to the second order of the course of its loudness."""
    channels, lag = WIDTHS["emg"], np.abs(np.subtract.outer(np.arange(BIN), np.arange(BIN)))
    settled = stationary(LATENTS)[0, 0]
    within = settled - (settled * LATENTS.transition[0, 0] ** lag).mean()  # nothing drives latent 0
    offset = digamma(BIN / 2) - np.log(BIN / 2) + (2 * LOUDNESS) ** 2 * within / 2
    return Voltages(
        np.tile([2 * LOUDNESS, 0.0, 0.0], (channels, 1)),
        np.zeros((channels, 2)),
        np.full(channels, offset),
        np.full(channels, float(polygamma(1, BIN / 2))),
    )
