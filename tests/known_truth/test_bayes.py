"""The Bayes decoder: against brute force over simulated pasts, dense Gaussians, and its own promise of its error."""

from __future__ import annotations

import numpy as np
import pytest

from neurofmx.datasets.simulated import RATE
from neurofmx.known_truth.bayes.cloud import Cloud, Points, carriers, redrawn, weights
from neurofmx.known_truth.bayes.decode import decode
from neurofmx.known_truth.bayes.fluorescence import glowed
from neurofmx.known_truth.bayes.voltages import bin_process, filters, heard, of_streams
from neurofmx.known_truth.courses import LATENTS, stationary
from neurofmx.known_truth.material import Material, by_session
from neurofmx.known_truth.sessions import BIN, DECAY, STREAMS, Session, Truth, simulate

DRAWS = 240_000


@pytest.fixture(scope="module")
def weak() -> Session:
    """Few units and much noise, so that brute force has draws near what was seen."""
    return simulate(seed=5, minutes=1, units=6, noise=12.0)


def brute_force(truth: Truth, shown: dict[str, np.ndarray], *, rng: np.random.Generator) -> np.ndarray:
    """Cosine and sine by drawing whole pasts sample by sample and weighing each by what was seen; no trial begins."""
    number = len(next(iter(shown.values())))
    heading, wander = rng.uniform(0, 2 * np.pi, DRAWS), rng.normal(size=DRAWS)
    way = rng.choice([-1.0, 1.0], DRAWS)
    latent = rng.multivariate_normal(np.zeros(3), stationary(LATENTS), DRAWS)
    logs = np.zeros(DRAWS)
    for b in range(number):
        state, expected, loud = np.zeros((DRAWS, 5)), 0.0, []
        for _ in range(BIN):
            latent = latent @ LATENTS.transition.T + 0.3 * rng.normal(size=latent.shape)
            wander = 0.99 * wander + np.sqrt(1 - 0.99**2) * rng.normal(size=DRAWS)
            heading = heading + (1.5 * way + wander) / RATE
            state += np.concatenate([latent, np.stack([np.cos(heading), np.sin(heading)], -1)], 1) / BIN
            expected = expected + truth.spiking.rate(heading) / RATE
            loud.append(latent[:, 0])
        if "spikes" in shown:
            logs += (shown["spikes"][b] * np.log(expected) - expected).sum(1)
        for name in {"lfp", "eeg"} & set(shown):
            rest = shown[name][b] - state @ truth.mixing[name].T
            logs -= (rest**2).sum(1) * BIN / (2 * truth.noise**2)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    assert 1 / np.square(weight).sum() > 2000, "too few draws are near what was seen"
    return np.array([(weight * np.cos(heading)).sum(), (weight * np.sin(heading)).sum()])


@pytest.mark.parametrize("read", [("spikes",), ("lfp",), ("spikes", "lfp", "eeg")], ids=lambda read: "+".join(read))
def test_it_is_brute_force_on_short_windows(weak: Session, read: tuple[str, ...]) -> None:
    first, number = np.array([1200, 9040]), 2
    index = first[:, None] // BIN + np.arange(number)
    bins = {stream: weak.recording.signal(stream).data[index].astype(float) for stream in read}
    found = decode(weak.truth, bins, first, read=read, particles=20_000, seed=0).heading
    rng = np.random.default_rng(1)
    for row in range(len(first)):
        expected = brute_force(weak.truth, {name: values[row] for name, values in bins.items()}, rng=rng)
        np.testing.assert_allclose(found[row], expected, atol=0.06)


@pytest.mark.parametrize("read", [("spikes",), ("lfp",), ("calcium",), ("spikes", "lfp", "eeg", "emg", "calcium")])
def test_its_error_is_what_it_promises(read: tuple[str, ...]) -> None:
    """A posterior mean m of a unit vector promises the squared error 1 - |m|^2, and does not know its own error."""
    session = simulate(seed=7, minutes=8, units=8, noise=3.0)
    first = np.arange(2000, len(session.truth.heading) - 400, 300) // BIN * BIN
    index = first[:, None] // BIN + np.arange(12)
    bins = {stream: session.recording.signal(stream).data[index].astype(float) for stream in read}
    found = decode(session.truth, bins, first, read=read, particles=400, seed=0).heading
    last = first + 12 * BIN - 1
    heading = np.stack([np.cos(session.truth.heading[last]), np.sin(session.truth.heading[last])], -1)
    error, promised = ((heading - found) ** 2).sum(1), 1 - (found**2).sum(1)
    spread = (error - promised).std() / np.sqrt(len(first))
    assert abs(error.mean() - promised.mean()) < 3.5 * spread + 0.005


def test_emg_says_nothing_of_the_heading(weak: Session) -> None:
    first = np.arange(1000, 9000, 500)
    index = first[:, None] // BIN + np.arange(4)
    bins = {"emg": weak.recording.signal("emg").data[index].astype(float)}
    found = decode(weak.truth, bins, first, read=("emg",), particles=4000, seed=0).heading
    assert np.abs(found).max() < 0.1


def test_more_streams_tell_more(small: Material) -> None:
    part = small.tested
    heading = np.stack([np.cos(part.heading), np.sin(part.heading)], -1)

    def error(*read: str) -> float:
        bins = {stream: small.raw(stream, part) for stream in read}

        def decoded(truth: Truth, rows: np.ndarray) -> dict[str, np.ndarray]:
            mine = {stream: values[rows] for stream, values in bins.items()}
            return {"heading": decode(truth, mine, part.first[rows], read=read, particles=200, seed=0).heading}

        return float(((by_session(small, part, decoded)["heading"] - heading) ** 2).mean())

    assert error("spikes", "lfp") < min(error("spikes"), error("lfp"))
    assert error("spikes", "calcium") < error("spikes")


def test_the_filter_of_the_latents_is_the_dense_gaussian(long: Session) -> None:
    """Mean of the last latents given three bins of all voltages at a known heading, by one large inverse."""
    truth, bins, names = long.truth, 3, ("lfp", "eeg", "emg")
    steps = bins * BIN
    covariance = np.zeros((3 * steps, 3 * steps))
    settled = stationary(LATENTS)
    for k in range(steps):
        for j in range(k + 1):
            block = np.linalg.matrix_power(LATENTS.transition, k - j) @ settled
            covariance[3 * k : 3 * k + 3, 3 * j : 3 * j + 3] = block
            covariance[3 * j : 3 * j + 3, 3 * k : 3 * k + 3] = block.T
    voltages = of_streams(truth, names)
    average = np.kron(np.kron(np.eye(bins), np.full((1, BIN), 1 / BIN)), np.eye(3))
    mixing = np.kron(np.eye(bins), voltages.latent) @ average
    noise = np.diag(np.tile(voltages.variance, bins))
    start = 4000
    index = start // BIN + np.arange(bins)
    shown = np.concatenate([long.recording.signal(name).data[index].astype(float) for name in names], 1)
    angle = truth.heading[start]
    points = Points(np.full((1, 1, 3), np.cos(angle)), np.full((1, 1, 3), np.sin(angle)))
    rest = shown - voltages.offset - points.mean()[0, 0] @ voltages.heading.T
    last = covariance[-3:] @ mixing.T @ np.linalg.solve(mixing @ covariance @ mixing.T + noise, rest.reshape(-1))
    state = np.zeros((1, 1, 6))
    for b, step in enumerate(filters(voltages, bins)):
        state = state[..., 3:] @ step.predict.T
        state, _ = heard(state, voltages, step, points, shown[[b]])
    np.testing.assert_allclose(state[0, 0, 3:], last, atol=1e-8)


def test_mean_and_end_of_a_bin_follow_the_latents(long: Session) -> None:
    latent = long.truth.latent[: len(long.truth.latent) // BIN * BIN].reshape(-1, BIN, 3)
    process = bin_process()
    both = np.concatenate([latent[1:].mean(1), latent[1:, -1]], 1)
    rest = both - latent[:-1, -1] @ process.transition.T
    np.testing.assert_allclose(np.cov(rest.T), process.noise, atol=0.02)


def test_spikes_in_a_bin_of_fluorescence_are_weighed_as_draws_of_them_are() -> None:
    """One cell, one bin: what is left and the likelihood, against counts drawn sample by sample."""
    truth = simulate(seed=5, minutes=1, units=4, noise=2.0).truth
    rng = np.random.default_rng(0)
    rate, before, spread, shown = truth.imaged.rate(np.array([1.0]))[0] / RATE, 3.0, 0.4, 3.9
    glow = before + np.sqrt(spread) * rng.normal(size=(400_000, len(rate)))
    start, mean = glow, 0.0
    for _ in range(BIN):
        glow = DECAY * glow + rng.poisson(rate, glow.shape)
        mean = mean + glow / BIN
    variance = truth.noise**2 / BIN
    like = np.exp(-((shown - mean) ** 2) / (2 * variance)) / np.sqrt(variance)
    weight = like / like.sum(0)
    cells = len(rate)
    cloud = Cloud(*(np.zeros((1, 1)) for _ in range(3)), np.zeros((1, 1, 3)), *2 * [np.zeros((1, 1, cells))])
    cloud = cloud._replace(glow=np.full((1, 1, cells), before), glow_variance=np.full((1, 1, cells), spread))
    points = Points(np.full((1, 1, 3), np.cos(1.0)), np.full((1, 1, 3), np.sin(1.0)))
    found, logs = glowed(cloud, truth, points, np.full((1, cells), shown))
    expected = (weight * glow).sum(0)
    np.testing.assert_allclose(found.glow[0, 0], expected, atol=0.02)
    np.testing.assert_allclose(found.glow_variance[0, 0], (weight * (glow - expected) ** 2).sum(0), atol=0.03)
    assert float(logs[0, 0]) == pytest.approx(np.log(like.mean(0)).sum(), abs=0.03)
    assert start.shape == glow.shape


def test_resampling_draws_particles_as_often_as_their_weights_say() -> None:
    rng = np.random.default_rng(0)
    particles = 500
    logs = np.stack([np.zeros(particles), 3 * rng.normal(size=particles)])
    number = np.arange(particles, dtype=float)
    place = np.stack([number, number])
    latent = np.repeat(place[..., None], 3, -1)
    cloud = Cloud(place, place, place, latent, latent, latent)
    drawn, after = redrawn(cloud, logs, rng)
    np.testing.assert_array_equal(drawn.heading[0], place[0])  # equal weights are left as they are
    np.testing.assert_array_equal(after[1], 0.0)
    often = np.bincount(drawn.heading[1].astype(int), minlength=particles)
    assert np.abs(often - particles * weights(logs)[1]).max() < 1
    np.testing.assert_array_equal(drawn.latent[..., 0], drawn.heading)


def test_particles_that_carry_the_weight_are_counted() -> None:
    nothing = -np.inf
    logs = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, nothing, nothing, nothing], [1.0, 1.0, nothing, nothing]])
    np.testing.assert_allclose(carriers(logs), [4.0, 1.0, 2.0])


def test_a_decoder_that_lost_sight_of_the_heading_says_so(small: Material) -> None:
    """The more streams see at once, the fewer particles are near: of twenty hardly one, and the mean is none."""
    part, truth = small.tested, small.sessions[0].truth
    rows = np.flatnonzero(part.session == 0)[::2]
    bins = {stream: small.raw(stream, part)[rows] for stream in STREAMS}
    heading = np.stack([np.cos(part.heading[rows]), np.sin(part.heading[rows])], -1)
    few, many = (decode(truth, bins, part.first[rows], read=STREAMS, particles=n, seed=0) for n in (20, 2000))
    assert np.mean(few.carriers < 5) > 0.9
    assert np.mean(many.carriers < 5) < 0.15
    assert ((many.heading - heading) ** 2).mean() < ((few.heading - heading) ** 2).mean()
    assert few.carriers.min() >= 1
    assert many.carriers.max() <= 2000
