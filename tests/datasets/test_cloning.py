"""Behaviour cloning: the experts do what they are for, recordings hold what they did, and a policy can take over."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from neurofmx.datasets.mujoco_cloning import ROBOTS, MujocoCloning
from neurofmx.datasets.shared.experts import LINKS, reach, swim
from neurofmx.evaluation.closed_loop import closed_loop, held_out_seeds, references, windowed
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows

SMALL = {"reacher": MujocoCloning(episodes=10), "swimmer": MujocoCloning(robot="swimmer", episodes=5)}


def looking_at(angles: np.ndarray, target: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """The reacher's observation, by the geometry of two links."""
    first, second = LINKS
    tip = first * np.array([np.cos(angles[0]), np.sin(angles[0])])
    tip = tip + second * np.array([np.cos(angles.sum()), np.sin(angles.sum())])
    return np.concatenate([np.cos(angles), np.sin(angles), target, velocity, tip - target])


def test_the_reacher_is_pushed_to_where_its_tip_meets_the_target() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        wanted = np.array([rng.uniform(-np.pi, np.pi), rng.uniform(0.1, 3.0)])
        target = looking_at(wanted, np.zeros(2), np.zeros(2))[-2:]
        rest = reach(looking_at(wanted, target, np.zeros(2)))
        np.testing.assert_allclose(rest, 0, atol=1e-9)  # there it rests
        away = np.array([0.02, -0.03])
        np.testing.assert_allclose(reach(looking_at(wanted + away, target, np.zeros(2))), -0.2 * away, atol=1e-9)
        np.testing.assert_allclose(reach(looking_at(wanted, target, np.array([1.0, -2.0]))), [-0.05, 0.1], atol=1e-9)


def test_the_observations_are_those_the_experts_read() -> None:
    seen = SMALL["reacher"].generate()[0].signal("trajectory").data
    for row in seen[[0, 20, 49]]:
        angles = np.arctan2(row[2:4], row[:2])
        np.testing.assert_allclose(looking_at(angles, row[4:6], row[6:8]), row, atol=2e-3)
    assert swim(np.array([0.0, 0.5, 0.2, 0, 0, 0, 0.3, 0])) == pytest.approx([np.tanh(3) - 0.5, np.tanh(0.5) - 0.2])


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_expert_earns_far_more_than_random_commands(robot: str) -> None:
    dataset = SMALL[robot]
    seeds = held_out_seeds(dataset, episodes=4)
    played = {name: dataset.play(policy, seeds=seeds) for name, policy in references(dataset, seed=0).items()}
    expert, random = (played[name].rewards.sum(1) for name in ("expert", "random"))
    assert expert.min() > random.max()
    reached = played["expert"].reached
    assert np.all(reached < 0.01) if robot == "reacher" else np.all(reached > 1.5)
    scores = closed_loop([played["random"]], expert=expert.mean(), random=random.mean())
    assert scores["of_expert"] == 0
    assert closed_loop([played["expert"]] * 2, expert=expert.mean(), random=random.mean())["of_expert"] == 1
    assert scores["return"] == pytest.approx(random.mean(), abs=1e-5)


def test_recordings_hold_what_the_expert_would_do_and_the_same_seed_gives_the_same() -> None:
    dataset = MujocoCloning(episodes=5)
    first, again, other = dataset.generate(), dataset.generate(), MujocoCloning(episodes=5, seed=1).generate()
    assert len(first) == 5
    for a, b, c in zip(first, again, other, strict=True):
        seen, commanded = (a.signal(name).data for name in ("trajectory", "action"))
        assert (seen.shape, commanded.shape) == ((50, 10), (50, 2))
        np.testing.assert_array_equal(commanded, reach(seen))
        np.testing.assert_array_equal(seen, b.signal("trajectory").data)
        assert not np.array_equal(seen, c.signal("trajectory").data)
    begins = np.array([a.signal("trajectory").data[0] for a in first])
    held = dataset.play(references(dataset, seed=0)["expert"], seeds=held_out_seeds(dataset, episodes=5)).observed[:, 0]
    assert len(np.unique(np.vstack([begins, held]).round(9), axis=0)) == 10  # no episode is played that was recorded


def test_a_window_ends_with_the_newest_observation_and_begins_at_rest() -> None:
    observed, asked = np.arange(12.0).reshape(1, 4, 3), []
    policy = windowed(lambda x: asked.append(x.copy()) or np.zeros((1, 2)), time=3)
    for steps in (1, 2, 4):
        policy(observed[:, :steps])
    assert [x[0, :, 0].tolist() for x in asked] == [[0, 0, 0], [0, 0, 3], [3, 6, 9]]


def cut_windows(dataset: MujocoCloning) -> Windows:
    options = CutOptions(anchor="sample", start=-0.06, stop=0.02)
    asked = {"task": dataset.task, "split": dataset.split, "modality": "trajectory", "dataset": "made"}
    return cut(dataset.generate(), signal="trajectory", options=options, **asked)


def test_a_cloned_policy_steers_as_it_answers_windows() -> None:
    dataset = SMALL["reacher"]
    made = cut_windows(dataset)
    model = LinearDecoder.fit(made, 0, LinearConfig(features="flat", strengths=(1.0,)))
    policy = windowed(lambda x: model.predict(made.standardised(0, x)), time=4)
    seeds = held_out_seeds(dataset, episodes=3)
    played, again = (dataset.play(policy, seeds=seeds) for _ in range(2))
    np.testing.assert_array_equal(played.rewards, again.rewards)
    ends = references(dataset, seed=0)
    expert, random = (dataset.play(ends[name], seeds=seeds).rewards.sum(1).mean() for name in ("expert", "random"))
    score = closed_loop([played], expert=expert, random=random)
    assert 0.3 < score["of_expert"] < 1  # one line cannot bend an arm, but it is no noise either
    # what it is asked in the simulator is scaled as what it was trained on
    index = made.fold(0).test
    np.testing.assert_array_equal(made.standardised(0, made.x[index]), made.scaled(0, index))


def test_without_the_simulator_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.startswith(("gymnasium", "mujoco")):
            raise ImportError(f"No module named {name!r}")
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"mujoco_cloning simulates with gymnasium and mujoco.*\[robotics\]"):
        SMALL["reacher"].play(lambda observed: observed, seeds=[1])
