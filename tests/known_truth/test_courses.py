"""Courses of linear processes: against a loop that simulates them, dense Gaussians, and the dataset itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from neurofmx.known_truth.courses import HEADING, LATENTS, Process, between, onward, stationary
from neurofmx.known_truth.sessions import Session

PROCESSES = {"latents": LATENTS, "heading": HEADING}


def dense(process: Process, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """What a path of N states is made of: weights of the start (N D, D) and of the noise of each step (N D, N D)."""
    size = len(process.transition)
    start, noise = np.zeros((steps * size, size)), np.zeros((steps * size, steps * size))
    root = np.linalg.cholesky(process.noise + 1e-15 * np.eye(size))
    for k in range(steps):
        rows = slice(k * size, (k + 1) * size)
        before = slice((k - 1) * size, k * size)
        start[rows] = process.transition @ (start[before] if k else np.eye(size))
        noise[rows] = process.transition @ noise[before] if k else 0.0
        noise[rows, rows] = root
    return start, noise


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_the_course_onward_is_that_of_the_dense_gaussian(process: Process) -> None:
    steps, size = 7, len(process.transition)
    begin = np.random.default_rng(0).normal(size=(4, size))
    course = onward(process, begin, steps)
    start, noise = dense(process, steps)
    np.testing.assert_allclose(course.mean.reshape(4, -1), begin @ start.T, atol=1e-12)
    covariance = course.covariance.transpose(0, 2, 1, 3).reshape(steps * size, steps * size)
    np.testing.assert_allclose(covariance, noise @ noise.T, atol=1e-12)
    np.testing.assert_allclose(course.variance(0), np.diag(noise @ noise.T)[::size], atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_the_course_between_is_the_dense_gaussian_given_its_end(process: Process) -> None:
    steps, size = 6, len(process.transition)
    rng = np.random.default_rng(1)
    begin, start, noise = rng.normal(size=(3, size)), *dense(process, steps)
    end = onward(process, begin, steps).mean[:, -1] + rng.normal(size=(3, size)) * np.sqrt(np.diag(process.noise))
    course = between(process, begin, end, steps)
    whole, mean = noise @ noise.T, begin @ start.T
    inner, outer = slice(0, -size), slice(-size, None)
    gain = whole[inner, outer] @ np.linalg.pinv(whole[outer, outer], hermitian=True)
    np.testing.assert_allclose(
        course.mean.reshape(3, -1), mean[:, inner] + (end - mean[:, outer]) @ gain.T, rtol=1e-6, atol=1e-9
    )
    covariance = course.covariance.transpose(0, 2, 1, 3).reshape(2 * [(steps - 1) * size])
    np.testing.assert_allclose(covariance, whole[inner, inner] - gain @ whole[outer, inner], atol=1e-8)


def test_least_squares_on_a_session_finds_the_same_way_between(long: Session) -> None:
    latent, steps, at = long.truth.latent, 12, 5
    starts = np.arange(0, len(latent) - steps, 3)
    known = np.concatenate([latent[starts], latent[starts + steps]], 1)
    found = np.linalg.lstsq(known, latent[starts + at], rcond=None)[0].T
    basis = np.eye(6)
    expected = between(LATENTS, basis[:, :3], basis[:, 3:], steps).mean[:, at - 1].T
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_the_processes_are_those_of_the_dataset(long: Session) -> None:
    truth = long.truth
    rest = truth.latent[1:] - truth.latent[:-1] @ LATENTS.transition.T
    np.testing.assert_allclose(np.cov(rest.T), LATENTS.noise, atol=1e-3)
    drift = np.cumsum(1.5 * truth.way / 200)
    state = np.stack([truth.heading - drift, truth.wander], -1)[1:]
    rest = state[1:] - state[:-1] @ HEADING.transition.T
    np.testing.assert_allclose(np.cov(rest.T), HEADING.noise, rtol=0.02)


def test_the_stationary_covariance_solves_lyapunovs_equation(long: Session) -> None:
    np.testing.assert_allclose(stationary(LATENTS), solve_discrete_lyapunov(LATENTS.transition, LATENTS.noise))
    np.testing.assert_allclose(np.cov(long.truth.latent.T), stationary(LATENTS), rtol=0.1, atol=0.1)
