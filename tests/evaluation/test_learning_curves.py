"""Learning curves of answers whose scores are known, their table, and figures that are drawn the same twice."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from neurofmx.evaluation.learning_curves import Learnt, curves_markdown, curves_plot, learning_curves, looks_of
from neurofmx.evaluation.pretrain_figure import pretrain_figure
from neurofmx.foundation.pretrainer import Point
from neurofmx.recordings.task import Task

TASK = Task("regression", "place", ("place",))
BLOCK = np.arange(400) // 10
Y = np.random.default_rng(0).normal(size=(400, 1))


def answers(error: float, seed: int) -> np.ndarray:
    """Two seeds that are off by noise of a known size: R2 is about 1 - error^2."""
    return Y + error * np.random.default_rng(seed).normal(size=(2, 400, 1))


LEARNT = [
    Learnt("scratch", 10, answers(0.9, 1), 40.0),
    Learnt("finetune", 10, answers(0.5, 2), 40.0),
    Learnt("scratch", 100, answers(0.3, 3), 400.0),
    Learnt("finetune", 100, answers(0.3, 4), 400.0),
    Learnt("linear", 50, answers(0.4, 5)[:1], 200.0),
]


def test_points_have_the_scores_of_their_answers_and_the_gain_over_scratch() -> None:
    points = {(p["start"], p["share"]): p for p in learning_curves(LEARNT, Y, BLOCK, TASK, draws=200)}
    for start, share, error in (("scratch", 10, 0.9), ("finetune", 10, 0.5), ("linear", 50, 0.4)):
        point = points[start, share]
        assert point["score"] == pytest.approx(1 - error**2, abs=0.06)
        assert point["low"] < point["score"] < point["high"]
    gain = points["finetune", 10]["minus_scratch"]
    assert gain["value"] == pytest.approx(points["finetune", 10]["score"] - points["scratch", 10]["score"])
    assert gain["low"] > 0.3
    same = points["finetune", 100]["minus_scratch"]
    assert same["low"] < 0 < same["high"]
    assert "minus_scratch" not in points["scratch", 10]
    assert "minus_scratch" not in points["linear", 50]  # scratch never learnt from half
    assert not any("minus_linear" in point for point in points.values())  # nothing else did


def test_every_start_stands_beside_the_linear_model_and_chance_of_the_same_share() -> None:
    share = [Learnt("linear", 10, answers(0.6, 5)[:1], 40.0), Learnt("chance", 10, 0 * Y[None], 40.0)]
    points = {(p["start"], p["share"]): p for p in learning_curves([*LEARNT, *share], Y, BLOCK, TASK, draws=200)}
    assert points["chance", 10]["score"] == pytest.approx(0, abs=0.01)
    assert {key for key, point in points.items() if "minus_linear" in point} == {("scratch", 10), ("finetune", 10)}
    for start, verdict in (("scratch", "loses"), ("finetune", "wins")):
        gap = points[start, 10]["minus_linear"]
        assert gap["value"] == pytest.approx(points[start, 10]["score"] - points["linear", 10]["score"])
        assert gap["verdict"] == verdict
    table = curves_markdown(list(points.values()), headline="r2")
    assert " loses |" in table
    assert " wins |" in table


def test_nothing_learnt_is_refused() -> None:
    with pytest.raises(ValueError, match="learnt is empty"):
        learning_curves([], Y, BLOCK, TASK)


def test_the_table_holds_every_point(tmp_path: Path) -> None:
    points = learning_curves(LEARNT, Y, BLOCK, TASK, draws=100)
    rows = curves_markdown(points, headline="r2").splitlines()[2:]
    assert [re.findall(r"\w+", row)[:2] for row in rows] == [[p["start"], str(p["share"])] for p in points]
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        curves_plot(points, path, headline="r2", title="made")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_of_a_pretraining_follows_its_curve(tmp_path: Path) -> None:
    curve = [Point(k, 2 / k, 1.8 / k, {"reconstruction": 1 / k}) for k in (1, 2, 3)]
    for name, points in (("a", curve), ("b", curve), ("c", curve[:2])):
        pretrain_figure(points, tmp_path / f"{name}.png")
    drawn = [(tmp_path / f"{name}.png").read_bytes() for name in "abc"]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(ValueError, match="curve is empty"):
        pretrain_figure([], tmp_path / "d.png")


PRETRAINED = [
    Learnt("scratch", 10, answers(0.9, 1), 40.0),
    Learnt("finetune_mice", 10, answers(0.7, 2), 40.0),
    Learnt("probe_mice", 10, answers(0.7, 3), 40.0),
    Learnt("finetune_all", 10, answers(0.4, 4), 40.0),
    Learnt("finetune_all", 50, answers(0.4, 5), 200.0),
    Learnt("finetune_adversarial", 10, answers(0.4, 6), 40.0),
]


def test_a_pretraining_stands_beside_the_earlier_ones_that_began_in_the_same_way() -> None:
    points = {(p["start"], p["share"]): p for p in learning_curves(PRETRAINED, Y, BLOCK, TASK, draws=200)}
    others = {key: list(point.get("minus_other", {})) for key, point in points.items()}
    assert others == {
        ("scratch", 10): [],
        ("finetune_mice", 10): [],
        ("probe_mice", 10): [],
        ("finetune_all", 10): ["finetune_mice"],
        ("finetune_all", 50): [],  # the other never learnt from half
        ("finetune_adversarial", 10): ["finetune_mice", "finetune_all"],
    }
    gain = points["finetune_all", 10]["minus_other"]["finetune_mice"]
    assert gain["value"] == pytest.approx(points["finetune_all", 10]["score"] - points["finetune_mice", 10]["score"])
    assert gain["verdict"] == "wins"
    assert points["finetune_adversarial", 10]["minus_other"]["finetune_all"]["verdict"] == "ties"
    rows = curves_markdown(list(points.values()), headline="r2").split("\n\n")[1].splitlines()[2:]
    assert [re.findall(r"\w+", row)[:3] for row in rows] == [
        ["finetune_adversarial", "finetune_mice", "10"],
        ["finetune_adversarial", "finetune_all", "10"],
        ["finetune_all", "finetune_mice", "10"],
    ]


def test_a_pretraining_has_one_colour_and_a_probe_another_line() -> None:
    looks = looks_of(["chance", "linear", "scratch", "probe_mice", "finetune_mice", "finetune_all"])
    assert looks["probe_mice"][0] == looks["finetune_mice"][0]
    assert len({looks[name][0] for name in ("linear", "scratch", "finetune_mice", "finetune_all")}) == 4
    assert len(set(looks.values())) == len(looks)
