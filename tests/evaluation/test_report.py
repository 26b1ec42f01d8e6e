"""The report says what its parts say, and JSON can hold it."""

import json

import numpy as np
import pytest

from neurofmx.evaluation.gate import interval, paired_difference
from neurofmx.evaluation.metrics import score
from neurofmx.evaluation.report import Cost, Provenance, report
from neurofmx.recordings.task import Task

SIDES = Task("classification", "side", ("left", "right"))


def pieces(seeds: int) -> tuple[np.ndarray, ...]:
    """Outputs near the truth, truth, blocks, a linear model that guesses, and chance."""
    rng = np.random.default_rng(2)
    y = np.arange(80) % 2
    outputs = np.eye(2)[y] + 0.6 * rng.normal(size=(seeds, 80, 2))
    return outputs, y, np.arange(80) // 4, 3 * rng.normal(size=(1, 80, 2)), np.zeros((80, 2))


def made(seeds: int = 3, **changes) -> dict:
    """A report of `pieces`."""
    outputs, y, block, linear, chance = pieces(seeds)
    facts = Provenance("haxby2001", "hybrid", "runs-6fold-v1", "ab" * 32, "3 x 530 at 0.4 Hz", tuple(range(seeds)))
    cost = Cost(parameters=1234, train_seconds=1 / 3, peak_memory_mib=400.0, spikes_per_neuron_per_step=0.1)
    given = {"linear": linear, "chance": chance, "provenance": facts, "cost": cost} | changes
    return report(outputs, y, block, SIDES, **given)


def test_numbers_are_those_of_the_parts() -> None:
    found, (outputs, y, block, linear, chance) = made(), pieces(3)
    each = [score(o, y, SIDES) for o in outputs]
    assert found["headline"] == "accuracy"
    assert found["score"] == found["metrics"]["accuracy"]
    for name in ("accuracy", "balanced_accuracy", "auc"):
        assert found["metrics"][name] == pytest.approx(np.mean([s[name] for s in each]), abs=1e-6)
    assert found["std_over_seeds"] == pytest.approx(np.std([s["accuracy"] for s in each], ddof=1), abs=1e-6)
    assert found["chance"] == pytest.approx(score(chance, y, SIDES), abs=1e-6)
    assert found["linear"] == pytest.approx(score(linear[0], y, SIDES)["accuracy"], abs=1e-6)
    ends = interval(outputs, y, block, SIDES)
    assert (found["interval"]["low"], found["interval"]["high"]) == pytest.approx((ends.low, ends.high), abs=1e-6)
    difference = paired_difference(outputs, linear, y, block, SIDES)
    assert found["difference"]["low"] == pytest.approx(difference.low, abs=1e-6)
    assert (found["verdict"], found["beats_linear"]) == ("wins", True)


def test_json_gives_it_back_unchanged() -> None:
    found = made()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["train_seconds"] == 0.333333
    assert found["seeds"] == [0, 1, 2]
    assert (found["windows"], found["blocks"]) == (80, 20)


def test_the_linear_model_ties_with_itself() -> None:
    outputs = pieces(1)[0]
    found = made(1, linear=outputs)
    assert found["difference"] == {"value": 0, "low": 0, "high": 0}
    assert (found["verdict"], found["beats_linear"], found["std_over_seeds"]) == ("ties", False, None)


def test_one_output_per_seed() -> None:
    facts = Provenance("haxby2001", "hybrid", "runs-6fold-v1", "ab" * 32, "", (0, 1))
    with pytest.raises(ValueError, match=r"outputs has shape \(3, 80, 2\); 2 seeds need"):
        made(3, provenance=facts)


def test_the_headline_is_the_task_s() -> None:
    outputs, y, block, linear, chance = pieces(2)
    task = Task("classification", "side", ("left", "right"), score="auc")
    facts = Provenance("haxby2001", "hybrid", "runs-6fold-v1", "ab" * 32, "", (0, 1))
    found = report(outputs, y, block, task, linear=linear, chance=chance, provenance=facts, cost=Cost(1, 1.0, 1.0))
    assert found["headline"] == "auc"
    assert found["score"] == found["metrics"]["auc"] != found["metrics"]["accuracy"]
    assert found["linear"] == pytest.approx(score(linear[0], y, SIDES)["auc"], abs=1e-6)
    assert found["chance"]["auc"] == 0.5
    assert found["interval"]["low"] < found["score"] < found["interval"]["high"]
