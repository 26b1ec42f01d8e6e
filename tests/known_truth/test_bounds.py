"""Each bound against something else: integrals, simulations of what may follow, and what an error must not know."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from neurofmx.datasets.simulated import RATE
from neurofmx.known_truth.bounds import expected_rate, hidden_between, later, loudness, told
from neurofmx.known_truth.courses import LATENTS, onward
from neurofmx.known_truth.sessions import BIN, DECAY, Session, Truth, Tuning, in_bins
from reference import bits_per_spike_naive

DRAWS = 20_000


def r2(truth: np.ndarray, answer: np.ndarray) -> float:
    return 1 - float(((truth - answer) ** 2).sum() / ((truth - truth.mean((0, 1))) ** 2).sum())


def all_bins(session: Session) -> np.ndarray:
    """Samples of every bin (1, b, BIN), the first seconds left out."""
    return np.arange(800, len(session.truth.heading)).reshape(1, -1, BIN)


def test_the_expected_rate_is_the_integral_over_the_angle() -> None:
    tuning = Tuning(np.array([0.3, 4.0]), np.array([1.2, 3.9]), np.array([12.0, 30.0]))
    angle, variance = np.array([[0.5, 5.9]]), np.array([0.04, 0.9])
    found = expected_rate(angle, variance, tuning)
    for k in range(2):
        for unit in range(2):

            def density(x: float, k: int = k, unit: int = unit) -> float:
                return float(tuning.rate(np.array([x]))[0, unit] * norm.pdf(x, angle[0, k], np.sqrt(variance[k])))

            expected = quad(density, angle[0, k] - 9, angle[0, k] + 9, limit=200)[0]
            assert found[0, k, unit] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(expected_rate(angle, np.zeros(2), tuning), tuning.rate(angle), rtol=1e-8)


def test_the_poisson_ceiling_is_its_closed_form_and_no_answer_does_better(long: Session) -> None:
    """The score of the true rate, against counts drawn anew from it."""
    rate = told(long.truth, all_bins(long))["spikes"]
    rng = np.random.default_rng(0)
    counts = rng.poisson(rate)
    closed = 1 - rate.mean() / (((rate - rate.mean((0, 1))) ** 2).mean() + rate.mean())
    assert r2(counts, rate) == pytest.approx(closed, abs=0.01)
    shown = long.recording.signal("spikes").data[None, 800 // BIN :]
    assert r2(shown, rate) == pytest.approx(closed, abs=0.01)
    best = bits_per_spike_naive(rate[0], shown[0])
    # E[log L(r) - log L(m)] = sum r log(r / m) - r + m, over the expected spikes
    mean = rate.mean((0, 1))
    bits = float((rate * np.log(rate / mean) - rate + mean).sum() / rate.sum() / np.log(2))
    assert best == pytest.approx(bits, abs=0.03)
    for other in (1.2 * rate, rate + 0.05, np.roll(rate, 1, axis=1), rate * rng.uniform(0.8, 1.2, rate.shape)):
        assert r2(shown, other) < r2(shown, rate)
        assert bits_per_spike_naive(other[0], shown[0]) < best


def test_the_ceiling_of_channels_is_one_less_the_share_of_their_noise(long: Session) -> None:
    known = told(long.truth, all_bins(long))
    for stream in ("lfp", "eeg"):
        shown = long.recording.signal(stream).data[None, 800 // BIN :].astype(float)
        noise = long.truth.noise**2 / BIN
        assert r2(shown, known[stream]) == pytest.approx(1 - noise / shown.var((0, 1)).mean(), abs=0.002)


def test_loudness_is_the_mean_of_what_is_drawn(long: Session) -> None:
    rng = np.random.default_rng(0)
    path = long.truth.latent[None, 1000 : 1000 + BIN, 0]
    noise = rng.normal(size=(200_000, BIN))
    drawn = np.log(np.mean((np.exp(0.2 * path) * noise) ** 2, axis=1))
    told_ = loudness(path[:, None], np.zeros((1, BIN, BIN)))[0, 0]
    assert abs(told_ - drawn.mean()) < 4 * drawn.std() / np.sqrt(len(drawn)) + 0.004
    # and where the course is known no more than its law
    course = onward(LATENTS, np.array([[1.0, 0.0, 0.0]]), BIN)
    spread = course.covariance[:, :, 0, 0]
    paths = course.mean[0, :, 0] + rng.normal(size=(200_000, BIN)) @ np.linalg.cholesky(spread).T
    drawn = np.log(np.mean((np.exp(0.2 * paths) * noise) ** 2, axis=1))
    assert abs(loudness(course.mean[:, None, :, 0], spread[None])[0, 0] - drawn.mean()) < 0.006


def simulated(truth: Truth, last: int, samples: int, draws: int, *, begins: int) -> dict[str, np.ndarray]:
    """The last bin of what may follow a moment, sample by sample in a plain loop, as the dataset draws it."""
    rng = np.random.default_rng(5)
    latent, wander = np.tile(truth.latent[last], (draws, 1)), np.full(draws, truth.wander[last])
    heading, way = np.full(draws, truth.heading[last]), np.full(draws, truth.way[last])
    glow = np.tile(truth.fluorescence[last], (draws, 1))
    made: dict[str, list[np.ndarray]] = {"state": [], "spikes": [], "calcium": [], "emg": []}
    for k in range(samples):
        latent = latent @ LATENTS.transition.T + 0.3 * rng.normal(size=latent.shape)
        wander = 0.99 * wander + np.sqrt(1 - 0.99**2) * rng.normal(size=draws)
        way = rng.choice([-1.0, 1.0], draws) if k == begins else way
        heading = heading + (1.5 * way + wander) / RATE
        glow = DECAY * glow + rng.poisson(truth.imaged.rate(heading) / RATE)
        made["state"].append(np.concatenate([latent, np.stack([np.cos(heading), np.sin(heading)], -1)], 1))
        made["spikes"].append(rng.poisson(truth.spiking.rate(heading) / RATE))
        made["calcium"].append(glow)
        made["emg"].append(np.exp(0.2 * latent[:, :1]) * rng.normal(size=(draws, 4)))
    end = {name: np.stack(each[-BIN:], 1) for name, each in made.items()}
    state = end["state"].mean(1)
    return {
        "lfp": state @ truth.mixing["lfp"].T,
        "eeg": state @ truth.mixing["eeg"].T,
        "spikes": end["spikes"].sum(1).astype(float),
        "calcium": end["calcium"].mean(1),
        "emg": np.log(np.mean(end["emg"] ** 2, axis=1)),
    }


@pytest.mark.parametrize("before", [400, 15], ids=["within a trial", "into the next trial"])
def test_what_follows_is_the_mean_of_many_simulations(long: Session, before: int) -> None:
    """15 samples before a trial ends the way of turning is open for most of what is asked."""
    truth, last = long.truth, 800 * 9 - before - 1
    found = later(truth, np.array([last]), 0.2)
    drawn = simulated(truth, last, 50, DRAWS, begins=before)
    for stream, values in drawn.items():
        error = values.std(0) / np.sqrt(DRAWS)
        slack = 0.006 if stream == "emg" else 1e-9
        np.testing.assert_array_less(np.abs(found[stream][0, 0] - values.mean(0)), 4.5 * error + slack, stream)


@pytest.mark.parametrize("stream", ["spikes", "lfp", "eeg", "emg", "calcium"])
def test_the_error_between_two_moments_knows_nothing_more_of_them(long: Session, stream: str) -> None:
    """What is left of a conditional mean is unrelated to it, and to all that it was made from."""
    truth, bins = long.truth, 4
    steps = bins * BIN + 1
    last = np.arange(1600, len(truth.heading) - 2 * steps, 3 * BIN * bins) // BIN * BIN - 1
    found = hidden_between(truth, last, bins)[stream]
    index = (last[:, None] + 1) // BIN + np.arange(bins)
    shown = long.recording.signal(stream).data[index].astype(float)
    error = shown - found
    level = 4.5 / np.sqrt(len(last))
    edges = np.concatenate([truth.latent[last], truth.latent[last + steps], truth.fluorescence[last]], 1)
    for k in range(bins):
        for channel in range(error.shape[2]):
            assert abs(np.corrcoef(error[:, k, channel], found[:, k, channel])[0, 1]) < level
            for known in edges.T:
                assert abs(np.corrcoef(error[:, k, channel], known)[0, 1]) < level
    # it does better than the same from one side alone, and never better than the truth itself
    samples = in_bins(np.arange(len(truth.heading)))[index]
    assert r2(shown, found) > r2(shown, later(truth, last, 0.15 - 0.05)[stream])
    if stream != "calcium":  # of which both ends know more than the rates do
        assert r2(shown, found) < r2(shown, told(truth, samples)[stream]) + 0.01
