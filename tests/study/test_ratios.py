"""Ratios against loops that copy windows, and what has no ratio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurofmx.headline import headline
from neurofmx.recordings.task import Task
from neurofmx.study.entry import load_truth, save_truth
from neurofmx.study.ratios import FLOOR, kept_shares, ratios
from study_runs import PLACE, SIDES, answers, entry, jobs, report, truth_of


def draws_of(truth, *, draws, seed, seeds=2):
    """The draws that `evaluation/gate.py` documents: counts of blocks, then of seeds, as lists of window indices."""
    rng, names = np.random.default_rng(seed), np.unique(truth.block)
    blocks = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    for of_block, of_seed in zip(blocks, of_seeds, strict=True):
        where = [np.tile(np.flatnonzero(truth.block == b), k) for b, k in zip(names, of_block, strict=True)]
        yield np.concatenate(where), np.repeat(np.arange(seeds), of_seed)


def scored(outputs, truth, index, chosen):
    return np.mean([headline(outputs[s][index], truth.y[index], truth.task) for s in chosen])


@pytest.mark.parametrize("task", [SIDES, PLACE], ids=lambda task: task.kind)
def test_scores_and_shares_kept_equal_a_loop_that_copies_windows(task: Task) -> None:
    truth = truth_of(task)
    ours, base = entry("ours", truth, 0.2), entry("base", truth, 0.25)
    found = ratios(ours, base, draws=30, seed=3)
    score, noise = [], []
    for index, chosen in draws_of(truth, draws=30, seed=3):
        chance = headline(truth.chance[index], truth.y[index], task)
        clean = [scored(each.outputs, truth, index, chosen) for each in (ours, base)]
        score.append(clean[0] / clean[1])
        kept = [
            np.mean(
                [
                    max(scored(harmed, truth, index, chosen) - chance, 0) / (whole - chance)
                    for harmed in each.harmed.values()
                ]
            )
            for each, whole in zip((ours, base), clean, strict=True)
        ]
        noise.append(kept[0] / kept[1])
    np.testing.assert_allclose(found["score"].drawn, score, atol=1e-10)
    np.testing.assert_allclose(found["noise"].drawn, noise, atol=1e-9)


def test_of_perplexities_the_lower_one_has_the_higher_ratio() -> None:
    rng, task = np.random.default_rng(0), Task("next_token", "text", ("the", "cat"))
    y, block = np.stack([rng.integers(3, 6, 60), np.full(60, 20)], axis=1), np.repeat(np.arange(12), 5)
    worse = np.log(rng.uniform(0.1, 0.6, (1, 60, 4)))
    truth = truth_of()._replace(y=y, block=block, task=task, chance=worse[0])
    ours, base = (replace(entry("run", truth_of()), outputs=o, truth=truth, harmed={}) for o in (0.8 * worse, worse))
    found = ratios(ours, base, draws=20, seed=0)["score"]
    assert found.value == pytest.approx(np.exp(-0.2 * worse.sum() / y[:, 0].sum()))
    assert found.value > 1
    assert found.drawn.min() > 1


def test_costs_are_paired_by_training() -> None:
    truth = truth_of()
    # what the clock said is no cost: other work on the machine is in it
    longer = [{**job, "seconds": 9.0, "training_seconds": 2 * job["training_seconds"]} for job in jobs()]
    twice = [{**job, "steps": 30, "step_mib": 7.0} for job in longer]
    ours = entry("ours", truth, jobs=tuple(reversed(twice)))  # in another order
    found = ratios(ours, entry("base", truth), draws=50, seed=0)
    assert found["time"].value == pytest.approx(2)
    assert found["step"].value == pytest.approx(4), "twice as long, in half the steps"
    np.testing.assert_allclose(found["time"].drawn, 2)
    assert found["memory"].value == pytest.approx(1.4)
    unlike = [{**job, "training_seconds": 10.0 + 5 * job["fold"]} for job in twice]
    assert np.ptp(ratios(entry("o", truth, jobs=tuple(unlike)), entry("b", truth), draws=50, seed=0)["time"].drawn) > 0
    assert ratios(entry("o", truth, jobs=()), entry("b", truth), draws=50, seed=0)["time"] is None


def test_a_score_or_share_that_is_too_low_counts_as_the_floor_and_is_said_to() -> None:
    truth = truth_of(PLACE)
    bad, base = entry("bad", truth, 5.0), entry("base", truth, 0.2)  # R2 far below 0, and 0.96
    found, other = (ratios(*pair, draws=20, seed=0) for pair in ((bad, base), (base, bad)))
    score = headline(base.outputs[0], truth.y, PLACE), headline(base.outputs[1], truth.y, PLACE)
    assert found["score"].value == pytest.approx(FLOOR / np.mean(score))
    assert found["score"].floored
    np.testing.assert_allclose(found["score"].drawn, 1 / other["score"].drawn)
    share = kept_shares(base, "noise", draws=20, seed=0)
    assert found["noise"].value == pytest.approx(FLOOR / share.value), "of nothing nothing is kept"
    assert np.isnan(kept_shares(bad, "noise", draws=20, seed=0).value)
    assert not ratios(base, base, draws=20, seed=0)["score"].floored


def test_what_has_no_ratio() -> None:
    truth = truth_of()
    silent = {"silenced_4": answers(truth, 0.9)}
    channels = entry("lstm", truth, harmed=silent, report=report(truth, silenced="input channels"))
    neurons = entry("base", truth, harmed=silent)
    assert ratios(channels, neurons, draws=20, seed=0)["silenced"] is None
    assert ratios(neurons, neurons, draws=20, seed=0)["silenced"].value == pytest.approx(1)
    assert ratios(neurons, neurons, draws=20, seed=0)["noise"] is None
    assert ratios(neurons, neurons, draws=20, seed=0)["silenced_share"] is None


def test_a_number_of_silent_neurons_and_a_share_are_two_measures() -> None:
    truth = truth_of()
    number, share = {"silenced_8": answers(truth, 0.9)}, {"silenced_0.25": answers(truth, 0.5)}
    run, base = entry("run", truth, harmed=number | share), entry("base", truth, harmed=number)
    assert ratios(run, base, draws=20, seed=0)["silenced_share"] is None, "the baseline was not asked"
    both = entry("base", truth, harmed={"silenced_8": share["silenced_0.25"], "silenced_0.25": number["silenced_8"]})
    found = ratios(run, both, draws=20, seed=0)
    assert found["silenced"].value < 0.8, "of a number the run keeps less"
    assert found["silenced_share"].value > 1.2, "and of a share more"


def test_parameters_have_an_exact_ratio() -> None:
    truth = truth_of()
    neurons = entry("base", truth)
    assert ratios(entry("p", truth, report=report(truth, parameters=1500)), neurons, draws=20, seed=0)[
        "parameters"
    ].value == pytest.approx(1.5)


def test_answers_are_timed_against_the_same_weights_in_float32() -> None:
    truth = truth_of()
    took = [{"fold": k, "seed": 1, "ms": 3.0, "float32_ms": 2.0 + k} for k in range(2)]
    whole = [{**job, "ms": 40.0, "float32_ms": 40.0} for job in took]  # on a slow day
    less = entry("int8", truth, inference=tuple(took), report=report(truth) | {"weight_bytes": 1500})
    base = entry("float32", truth, inference=tuple(whole))
    found = ratios(less, base, draws=50, seed=0)
    assert found["inference"].value == pytest.approx((3 / 2 + 3 / 3) / 2)
    assert set(np.round(found["inference"].drawn, 6)) == {1.0, 1.25, 1.5}
    assert found["bytes"].value == 1500 / 4000
    fitted = entry("pca", truth, report=report(truth) | {"weight_bytes": None})
    assert ratios(fitted, base, draws=50, seed=0)["bytes"] is None
    assert ratios(fitted, base, draws=50, seed=0)["inference"] is None


def test_answers_to_other_windows_are_not_compared() -> None:
    one, other = truth_of(), truth_of(seed=8)
    with pytest.raises(ValueError, match="digits: ours and base answered different windows"):
        ratios(entry("ours", one), entry("base", other), draws=20, seed=0)


def test_truth_is_read_back_as_it_was_written(tmp_path) -> None:
    task = Task("classification", "side", ("left", "right"), score="auc")
    truth = truth_of()._replace(task=task)
    save_truth(tmp_path / "truth.h5", truth)
    found = load_truth(tmp_path / "truth.h5")
    assert found.task == task
    for ours, theirs in zip((found.y, found.block, found.chance), (truth.y, truth.block, truth.chance), strict=True):
        np.testing.assert_array_equal(ours, theirs)
