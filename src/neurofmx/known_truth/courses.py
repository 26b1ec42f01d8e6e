"""Where a linear process with Gaussian noise goes from a known state, and how it went between two known states.

Symbols: `s` state (D), `A` transition (D, D), `Q` covariance of the noise of a step, N steps, n rows.

    s[k] = A s[k - 1] + noise
    E[s[k] | s[0]] = A^k s[0]        Cov[s[k], s[l] | s[0]] = A^(k - l) P[l]  for k >= l,   P[l] = A P[l - 1] A' + Q

and a known s[N] conditions these as any two Gaussians condition each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.datasets.simulated import COUPLING, DRIVE, RATE, WANDER


class Process(NamedTuple):
    """A linear process: transition (D, D), and covariance (D, D) of the noise of a step."""

    transition: np.ndarray
    noise: np.ndarray


class Course(NamedTuple):
    """What is known of states: means (n, steps, D), and covariances (steps, steps, D, D), the same for all rows."""

    mean: np.ndarray
    covariance: np.ndarray

    def variance(self, number: int) -> np.ndarray:
        """Variance of one number of the state at each step (steps,)."""
        return np.maximum(np.einsum("kk->k", self.covariance[:, :, number, number]), 0.0)


_STIR = np.sqrt(1 - WANDER**2)  # of the speed in a sample
# the coupled latents, in samples
LATENTS = Process(COUPLING, DRIVE**2 * np.eye(len(COUPLING)))
# the heading less the turning of the trial, rad, and the speed about that turning, rad/s, in samples
HEADING = Process(
    np.array([[1.0, WANDER / RATE], [0.0, WANDER]]),
    _STIR**2 * np.array([[1 / RATE**2, 1 / RATE], [1 / RATE, 1.0]]),
)


def onward(process: Process, start: np.ndarray, steps: int) -> Course:
    """States after a known one.

    Args:
        process: The process.
        start: State at step 0 (n, D).
        steps: How far to look, N.

    Returns:
        Of the states at steps 1 to N.
    """
    powers = _powers(process.transition, steps)
    return Course(np.einsum("kij,nj->nki", powers[1:], start), _covariance(process, powers))


def between(process: Process, start: np.ndarray, end: np.ndarray, steps: int) -> Course:
    """States between two known ones.

    Args:
        process: The process.
        start: State at step 0 (n, D).
        end: State at step N (n, D).
        steps: N, at least 2.

    Returns:
        Of the states at steps 1 to N - 1.
    """
    free = onward(process, start, steps)
    gain = np.linalg.solve(free.covariance[-1, -1], free.covariance[-1, :-1])  # (steps - 1, D, D), transposed
    mean = free.mean[:, :-1] + np.einsum("ni,kij->nkj", end - free.mean[:, -1], gain)
    explained = np.einsum("kij,lim->kljm", gain, free.covariance[-1, :-1])
    return Course(mean, free.covariance[:-1, :-1] - explained)


def stationary(process: Process) -> np.ndarray:
    """Covariance (D, D) that a process settles to: P = A P A' + Q."""
    a, size = process.transition, len(process.transition)
    return np.linalg.solve(np.eye(size**2) - np.kron(a, a), process.noise.reshape(-1)).reshape(size, size)


def _powers(transition: np.ndarray, steps: int) -> np.ndarray:
    """A^0 to A^N (N + 1, D, D)."""
    powers = [np.eye(len(transition))]
    for _ in range(steps):
        powers.append(transition @ powers[-1])
    return np.stack(powers)


def _covariance(process: Process, powers: np.ndarray) -> np.ndarray:
    """Covariances (N, N, D, D) of the states at steps 1 to N, of which that at step 0 is known."""
    steps, size = len(powers) - 1, len(process.transition)
    whole, now = np.zeros((steps, steps, size, size)), np.zeros((size, size))
    for k in range(steps):
        now = process.transition @ now @ process.transition.T + process.noise
        later = powers[: steps - k] @ now  # Cov[s[l], s[k]] for l >= k
        whole[k:, k] = later
        whole[k, k:] = later.transpose(0, 2, 1)
    return whole
