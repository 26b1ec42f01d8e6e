"""A fresh probe finds sessions that were planted, and none where there is none to find."""

from __future__ import annotations

import numpy as np
import pytest

from neurofmx.benchmark.drawn import Draws
from neurofmx.known_truth.domains import domain_lines, named, true_states
from neurofmx.known_truth.material import TIME, Material, Part
from neurofmx.known_truth.sessions import BIN

SESSIONS, BLOCKS, ROWS = 4, 12, 20


def rows() -> tuple[Part, np.random.Generator]:
    """Rows of four sessions in twelve blocks each."""
    block = np.repeat(np.arange(SESSIONS * BLOCKS), ROWS)
    session = block // BLOCKS
    nothing = np.zeros(len(block))
    return Part(nothing.astype(int), session, nothing.astype(int), block, nothing, {}), np.random.default_rng(0)


def test_planted_sessions_are_named_and_the_control_stays_at_chance() -> None:
    part, rng = rows()
    states = rng.normal(size=(len(part), 10)) + 3 * np.eye(10)[part.session]
    (line,) = domain_lines(part, {"states": states}, Draws(part.block, draws=300))
    assert line["accuracy"]["low"] > 0.9
    assert line["verdict"] == "short"
    assert line["permuted"]["low"] < 0.25 < line["permuted"]["high"]
    assert line["bound"] == 0.25


def test_networks_of_several_seeds_are_asked_one_by_one() -> None:
    part, rng = rows()
    sure = rng.normal(size=(len(part), 10)) + 6 * np.eye(10)[part.session]
    none = rng.normal(size=(len(part), 10))
    draws = Draws(part.block, seeds=2, draws=300)
    lines = [domain_lines(part, {"states": each}, draws)[0] for each in (sure, none, np.stack([sure, none]))]
    one, other, both = (each["accuracy"] for each in lines)
    assert both["value"] == pytest.approx((one["value"] + other["value"]) / 2)
    assert both["low"] < 0.5 < 0.8 < both["high"]
    assert lines[2]["permuted"]["value"] == pytest.approx(np.mean([each["permuted"]["value"] for each in lines[:2]]))


def test_states_without_sessions_are_at_chance_though_neighbours_are_alike() -> None:
    """Every block has an offset of its own: a probe scored on neighbours of what it learnt from would name them all."""
    part, rng = rows()
    states = rng.normal(size=(len(part), 10)) + 2 * rng.normal(size=(SESSIONS * BLOCKS, 10))[part.block]
    (line,) = domain_lines(part, {"states": states}, Draws(part.block, draws=300))
    assert line["verdict"] == "reaches"
    assert abs(line["accuracy"]["value"] - 0.25) < 0.12


def test_what_a_branch_takes_away_is_a_share_of_what_there_was() -> None:
    part, rng = rows()
    noise = rng.normal(size=(len(part), 10))
    states = {f"{size}": noise + size * np.eye(10)[part.session] for size in (6.0, 1.0, 0.0)}
    whole, some, none = (each["confused"] for each in domain_lines(part, states, Draws(part.block, draws=300)))
    assert whole == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert 0.1 < some["low"] < some["high"] < 0.9
    assert none["low"] < 1 < none["high"] or none["value"] == pytest.approx(1, abs=0.05)


def test_folds_are_of_whole_blocks() -> None:
    """Labels by row, which no other block has: nothing can be learnt for them."""
    part, _ = rows()
    states = np.eye(SESSIONS * BLOCKS)[part.block]
    assert named(states, part.session, part.block).mean() < 0.5


def test_the_known_latents_say_nothing_of_the_session(small: Material) -> None:
    part = small.tested
    states = true_states(small, part)
    truth = small.sessions[int(part.session[0])].truth
    last = part.first[0] + TIME * BIN - 1
    expected = [*truth.latent[last], np.cos(truth.heading[last]), np.sin(truth.heading[last])]
    np.testing.assert_allclose(states[0, -5:], expected)
