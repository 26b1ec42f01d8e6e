"""Planted answers get the verdict they deserve, and the linear model is ridge regression on what is shown."""

from __future__ import annotations

import numpy as np
import pytest

from neurofmx.benchmark.drawn import Draws
from neurofmx.known_truth.bounds import told
from neurofmx.known_truth.linear import NEIGHBOURS, of_channels, of_heading, of_later, of_stretch, ridge
from neurofmx.known_truth.lines import bits_line, r2_line
from neurofmx.known_truth.material import Material, by_session
from neurofmx.known_truth.questions import MIDDLE, STRETCH, modality
from neurofmx.known_truth.report import markdown, words
from neurofmx.known_truth.sessions import BIN, Session

BLOCKS = 40


def planted() -> tuple[np.ndarray, np.ndarray, Draws, np.random.Generator]:
    """A signal that is known, the same with noise, and draws of its blocks."""
    rng = np.random.default_rng(0)
    known = rng.normal(size=(800, 4, 3))
    draws = Draws(np.repeat(np.arange(BLOCKS), 800 // BLOCKS), draws=400)
    return known, known + 0.8 * rng.normal(size=known.shape), draws, rng


def test_a_perfect_answer_reaches_the_bound_and_a_shuffled_one_chance() -> None:
    known, seen, draws, rng = planted()
    zero = np.zeros_like(seen)
    perfect = r2_line("it", seen, {"model": known, "linear": zero, "bound": known}, draws)
    assert perfect["verdict"] == "reaches"
    assert perfect["share"] == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})
    assert perfect["bound"]["value"] == pytest.approx(1 / (1 + 0.8**2), abs=0.02)
    assert perfect["minus_linear"]["verdict"] == "wins"
    shuffled = r2_line("it", seen, {"model": rng.permutation(known), "linear": known, "bound": known}, draws)
    assert shuffled["verdict"] == "short"
    assert shuffled["share"]["high"] < 0
    assert shuffled["minus_linear"]["verdict"] == "loses"
    mean = r2_line("it", seen, {"model": zero, "linear": zero, "bound": known}, draws)
    assert mean["share"]["value"] == pytest.approx(0.0)
    assert mean["linear_share"] == pytest.approx(0.0)


@pytest.mark.parametrize(("noise", "verdict"), [(0.01, "reaches"), (0.2, "short")])
def test_a_little_less_than_perfect_is_short_once_it_shows(noise: float, verdict: str) -> None:
    """Errors that only add up with the noise are seen only where they are large enough."""
    known, seen, draws, rng = planted()
    near = known + noise * rng.normal(size=known.shape)
    assert r2_line("it", seen, {"model": near, "linear": near, "bound": known}, draws)["verdict"] == verdict


def test_an_answer_that_has_seen_the_noise_lies_above_the_bound() -> None:
    known, seen, draws, _ = planted()
    cheat = (known + seen) / 2
    assert r2_line("it", seen, {"model": cheat, "linear": known, "bound": known}, draws)["verdict"] == "above"


def test_a_bound_that_a_simpler_answer_outdoes_is_none() -> None:
    """Whoever was shown the same cannot know more than all that may be known."""
    known, seen, draws, rng = planted()
    worse = known + 0.5 * rng.normal(size=known.shape)
    made = r2_line("it", seen, {"model": known, "linear": known, "bound": worse}, draws)
    assert (made["verdict"], made["outdone_by"]) == ("no bound", ["linear"])
    assert made["share"] is None
    assert made["linear_share"] is None
    zero = np.zeros_like(seen)
    far = r2_line("it", seen, {"model": zero, "linear": zero, "bound": 2 * rng.permutation(known)}, draws)
    assert far["outdone_by"] == ["linear", "nothing"]
    beside = r2_line("it", seen, {"model": zero, "linear": zero, "bound": worse, "persistence": known}, draws)
    assert beside["outdone_by"] == ["persistence"]
    assert not r2_line("it", seen, {"model": seen, "linear": worse, "bound": known}, draws)["outdone_by"]
    assert words([made, far | {"what": "far", "few_particles": 0.5}]) == [
        "Have no bound, as a simpler answer outdoes it (2 of 2): it (R2), far (R2).",
        "The Bayes decoder lacked particles in many windows (known_truth.particles): far (50 %).",
    ]


def test_where_the_truth_allows_nothing_nothing_is_reached() -> None:
    _, seen, draws, rng = planted()
    nothing = 0.01 * rng.normal(size=seen.shape)
    made = r2_line("it", seen, {"model": nothing, "linear": nothing, "bound": np.zeros_like(seen)}, draws)
    assert made["share"] is None
    assert made["verdict"] == "reaches"
    cheat = r2_line("it", seen, {"model": seen / 2, "linear": nothing, "bound": np.zeros_like(seen)}, draws)
    assert cheat["verdict"] == "above"


def test_networks_of_several_seeds_are_scored_one_by_one_and_widen_the_interval() -> None:
    """Answers of different noise: the score is the mean of theirs, and a draw may hold the worse one alone."""
    known, seen, _, rng = planted()
    block = np.repeat(np.arange(BLOCKS), 800 // BLOCKS)
    draws = Draws(block, seeds=2, draws=400)
    noisy = np.stack([known, known + 0.7 * rng.normal(size=known.shape)])
    zero = np.zeros_like(seen)

    def line(model: np.ndarray) -> dict:
        return r2_line("it", seen, {"model": model, "linear": zero, "bound": known}, draws)

    alone, both = [line(each) for each in noisy], line(noisy)
    values = [each["model"]["value"] for each in alone]
    assert both["model"]["value"] == pytest.approx(np.mean(values))
    assert both["model"]["low"] < values[1] + 0.05 < values[0] - 0.05 < both["model"]["high"]
    width = [each["model"]["high"] - each["model"]["low"] for each in (*alone, both)]
    assert width[2] > 3 * max(width[:2])
    assert (both["bound"], both["linear"]) == (alone[0]["bound"], alone[0]["linear"])
    counts = rng.poisson(np.exp(known)).astype(float)
    rates = np.stack([np.exp(known), np.exp(0.5 * known)])
    session = np.zeros(len(known), int)
    one, two, mean = (
        bits_line("it", counts, {"model": model, "linear": rates[1], "bound": rates[0]}, session, draws)["model"]
        for model in (rates[0], rates[1], rates)
    )
    assert mean["value"] == pytest.approx((one["value"] + two["value"]) / 2)


def test_bits_of_true_rates_reach_and_shuffled_ones_do_not(long: Session) -> None:
    samples = np.arange(len(long.truth.heading)).reshape(-1, 20, BIN)
    rate = told(long.truth, samples)["spikes"]
    counts = long.recording.signal("spikes").data.reshape(rate.shape).astype(float)
    draws = Draws(np.arange(len(rate)) // 10, draws=200)
    session = np.zeros(len(rate), int)
    mixed = np.random.default_rng(0).permutation(rate)
    flat = np.broadcast_to(counts.mean((0, 1)), rate.shape)
    line = bits_line("spikes", counts, {"model": rate, "linear": mixed, "bound": rate}, session, draws)
    assert (line["metric"], line["verdict"]) == ("bits/spike", "reaches")
    assert line["linear_share"] < 0
    assert bits_line("spikes", counts, {"model": flat, "linear": flat, "bound": rate}, session, draws)["model"][
        "value"
    ] == pytest.approx(0.0, abs=1e-9)


def test_sessions_have_linear_models_of_their_own() -> None:
    """The same features mean the opposite in another session."""
    rng = np.random.default_rng(0)
    session = [np.arange(n) % 2 for n in (400, 200, 200)]
    x = [rng.normal(size=(len(each), 3)) for each in session]
    weights = np.array([[1.0, -2.0, 0.5], [-1.0, 2.0, -0.5]])
    y = [(rows * weights[s]).sum(1, keepdims=True) for rows, s in zip(x, session, strict=True)]
    said = ridge(x, [*y[:2], np.full_like(y[2], np.nan)], session)
    np.testing.assert_allclose(said.test, y[2], atol=0.05)


def test_the_linear_model_beats_the_mean_and_stays_below_the_bound(small: Material) -> None:
    part = small.tested
    middle = part.samples(MIDDLE)
    best = by_session(small, part, lambda truth, rows: told(truth, middle[rows]))
    said = of_channels(small.parts, modality("lfp"), {"lfp": np.ones(8, bool)})["lfp"].test
    seen, limit = part.x["lfp"][:, MIDDLE], small.standardised("lfp", best["lfp"], part.session)
    error, least = (float(((seen - each) ** 2).mean()) for each in (said, limit))
    assert least < error < 0.3 * float((seen**2).mean())
    time = of_stretch(small.parts)["calcium"].test
    assert time.shape == (len(part), len(STRETCH), 4)
    assert ((part.x["calcium"][:, STRETCH] - time) ** 2).mean() < 0.3
    later = of_later(small.parts, 13, 16)["calcium"].test
    assert ((part.x["calcium"][:, [16]] - later) ** 2).mean() < 0.4
    heading = of_heading(small.parts, ("lfp", "eeg"))
    assert ((heading - np.stack([np.cos(part.heading), np.sin(part.heading)], -1)) ** 2).mean() < 0.1
    assert NEIGHBOURS <= MIDDLE[0]


def test_the_table_says_what_reaches_and_what_is_lost() -> None:
    known, seen, draws, rng = planted()
    zero = np.zeros_like(seen)
    lines = [
        r2_line("good", seen, {"model": known, "linear": zero, "bound": known, "persistence": zero}, draws),
        r2_line("bad", seen, {"model": rng.permutation(known), "linear": known, "bound": known}, draws),
    ]
    told_ = words(lines)
    assert told_ == [
        "Reach the bound within their interval (1 of 2): good (R2).",
        "Fall short of the bound (1 of 2): bad (R2).",
        "Lose to the linear model (1 of 2): bad (R2).",
    ]
    ends = {"value": 0.5, "low": 0.4, "high": 0.6}
    domain = {"what": "states", "accuracy": ends, "permuted": ends, "bound": 0.25, "confused": ends, "verdict": "short"}
    result = {"lines": lines, "domains": [domain, domain | {"heading": ends}], "seeds": [42]}
    page = markdown(result)
    assert page.endswith("of one network (seed 42): how another scores is not known.\n")
    assert "3 networks of each kind (seeds 1, 2, 3)" in markdown(result | {"seeds": [1, 2, 3]})
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    first = [row.split("|")[1].strip() for row in rows]
    assert first == ["what", "----", "good", "bad", "states of", "---------", "states", "states"]
    assert rows[2].split("|")[8].strip() == "1.000 [1.000, 1.000]"
