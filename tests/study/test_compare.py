"""A study over datasets: known effects are found, corrected and called by their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.stats import wilcoxon

from neurofmx.preprocessing import PREPROCESS
from neurofmx.study.claims import Claim
from neurofmx.study.compare import compare
from neurofmx.study.domain import DOMAINS
from neurofmx.study.figure import study_figure, ticks
from neurofmx.study.table import study_markdown
from study_runs import PLACE, answers, entry, jobs, report, truth_of

JOBS = jobs()
DATASETS = {f"set_{k}": ("brain", "vision", "robotics")[k // 2] for k in range(6)}


def study(kind: str | None, noises: dict[str, float], *, draws: int = 60, **changes: Any) -> dict[str, Any]:
    """Runs of six datasets of three domains; the first is the baseline, later ones are slower and larger."""
    entries = []
    for number, (dataset, domain) in enumerate(DATASETS.items()):
        truth = truth_of(n=240, seed=number)
        for place, (name, noise) in enumerate(noises.items()):
            slower = {name: 1 + place for name in ("seconds", "training_seconds")}
            jobs = tuple({name: value * slower.get(name, 1) for name, value in job.items()} for job in JOBS)
            facts = {"dataset": dataset, "domain": domain, "jobs": jobs, "variant": name != "lstm"}
            entries.append(entry(name, truth, noise, **facts | changes))
    return compare(entries, baseline=next(iter(noises)), study=kind, draws=draws)


def rows(result: dict[str, Any], name: str, domain: str) -> dict[str, Any]:
    return next(row for row in result["overall"] if (row["name"], row["domain"]) == (name, domain))


def test_over_datasets_the_ratio_is_the_geometric_mean_of_theirs() -> None:
    result = study(None, {"base": 0.8, "better": 0.5, "worse": 1.2})
    for name, better in (("better", True), ("worse", False)):
        own = [row["ratios"]["score"]["value"] for row in result["rows"] if row["name"] == name]
        whole = rows(result, name, "all")["ratios"]["score"]
        assert whole["value"] == pytest.approx(np.exp(np.mean(np.log(own))), abs=1e-5)
        assert (whole["low"] > 1) is better
        assert (whole["high"] < 1) is not better
        assert whole["p"] == pytest.approx(wilcoxon(np.log(own)).pvalue, rel=5e-3)  # three digits are kept
        assert whole["p"] == pytest.approx(2 / 2**6, rel=5e-3)  # all six on one side
        assert whole["p_holm"] == pytest.approx(2 * whole["p"], rel=5e-3)
        vision = [r["ratios"]["score"]["value"] for r in result["rows"] if (r["name"], r["domain"]) == (name, "vision")]
        part = rows(result, name, "vision")["ratios"]["score"]
        assert part["value"] == pytest.approx(np.exp(np.mean(np.log(vision))), abs=1e-5)
        assert part["p"] is None, "two datasets are too few to ask"
    for measure in ("time", "step"):
        assert rows(result, "better", "all")["ratios"][measure]["value"] == pytest.approx(2)
    assert rows(result, "better", "all")["ratios"]["parameters"]["p"] is None


def test_an_interval_over_datasets_covers_no_effect_as_often_as_it_says() -> None:
    inside = 0
    for trial in range(40):
        runs = []
        for number in range(3):
            truth = truth_of(n=120, seed=100 * trial + number)
            for place, name in enumerate(("base", "same")):
                noise = np.random.default_rng([trial, number, place]).normal(size=(1, len(truth.y), 2))
                outputs = np.eye(2)[truth.y] + noise
                runs.append(entry(name, truth, dataset=f"d{number}", outputs=outputs, harmed={}))
        found = rows(compare(runs, baseline="base", draws=150), "same", "all")["ratios"]["score"]
        inside += found["low"] <= 1 <= found["high"]
    assert inside >= 34  # of 40; 95 % would be 38


@pytest.mark.parametrize(
    ("measure", "low", "high", "verdict"),
    [
        ("score", 1.13, 1.30, "holds"),
        ("score", 1.05, 1.11, "refuted"),
        ("score", 1.05, 1.13, "undecided"),
        ("step", 1.31, 1.40, "refuted"),
        ("step", 0.90, 0.95, "holds"),
        ("step", 1.25, 1.35, "undecided"),
    ],
)
def test_verdicts_of_benefits_and_costs(measure: str, low: float, high: float, verdict: str) -> None:
    claim = Claim("both", measure, 1.12, 1.30, "")
    assert claim.verdict({"value": (low + high) / 2, "low": low, "high": high}) == verdict
    assert claim.verdict(None) == "undecided"


def test_the_four_way_table_says_which_claims_hold(tmp_path: Path) -> None:
    result = study("four_way", {"baseline": 1.2, "population": 0.4, "attention": 1.2, "both": 1.3})
    said = {(claim["variant"], claim["measure"]): claim["verdict"] for claim in result["claims"]}
    assert said["population", "score"] == "holds"  # far less noise
    assert said["attention", "score"] == "refuted"
    assert said["both", "step"] == "refuted"  # four times as long
    assert said["both", "memory"] == "holds"  # as much as the baseline
    table = study_markdown(result)
    for claim in result["claims"]:
        assert f"| {claim['variant']} " in table
        assert claim["text"] in table
    assert table.count("**refuted**") == list(said.values()).count("refuted")
    json.dumps(result)
    study_figure(result, tmp_path / "one.png")
    study_figure(result, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_nothing_of_a_figure_is_cut_off(tmp_path: Path) -> None:
    parts = ("spikes", "liquid", "mamba", "exchange", "gating", "attention")
    result = study("ablation", {"whole": 0.6, **{f"without_{part}": 0.6 for part in parts}}, harmed={})
    study_figure(result, tmp_path / "figure.png")
    image = imread(tmp_path / "figure.png")[..., :3]
    assert all(np.all(edge == 1) for edge in (image[0], image[-1], image[:, 0], image[:, -1]))


def test_an_ablation_says_what_each_part_buys() -> None:
    result = study("ablation", {"whole": 0.6, "without_spikes": 1.4, "without_gating": 0.6, "lstm": 0.3})
    table = study_markdown(result)
    assert "**buys score**" in table
    line = next(line for line in table.splitlines() if line.startswith("| without_gating") and "**" in line)
    assert "**buys nothing measurable**" in line
    assert not any(line.startswith("| lstm") and "**" in line for line in table.splitlines()), "it is no part"


def test_sizes_that_differ_are_named() -> None:
    truth = truth_of()
    same = study_markdown(study("modes", {"a": 0.8, "b": 0.7}))
    assert "All runs have the baseline's number of parameters within 5 %" in same
    runs = [entry("a", truth), entry("b", truth, report=report(truth, parameters=1200))]
    table = study_markdown(compare(runs, baseline="a", draws=20))
    assert "Not within 5 % of the baseline's number of parameters: b 1.20 to 1.20 times. What" in table


def test_a_run_that_fails_on_a_dataset_looks_worse_for_it() -> None:
    noises = {"base": (0.4, 0.4, 0.4), "same": (0.41, 0.41, 0.41), "falls": (0.39, 0.39, 5.0)}
    runs = []
    for number in range(3):
        truth = truth_of(PLACE, seed=number)
        runs += [entry(name, truth, each[number], dataset=f"set_{number}", harmed={}) for name, each in noises.items()]
    result = compare(runs, baseline="base", draws=60)
    same, falls = (rows(result, name, "all")["ratios"]["score"] for name in ("same", "falls"))
    assert same["n"] == falls["n"] == 3
    assert falls["high"] < 0.5 < same["low"], "R2 below 0 on one set of three"
    table = study_markdown(result)
    assert "Where the run or the baseline counts as 0.05: score of falls on set_2." in table
    assert f"{falls['value']:.3f} [{falls['low']:.3f}, {falls['high']:.3f}] n 3" in table


def test_over_datasets_all_runs_have_the_same_ones_and_the_others_are_named() -> None:
    runs, silent = [], "input channels"
    for number in range(3):
        truth = truth_of(seed=number)
        harmed = entry("any", truth).harmed | {"silenced_4": answers(truth, 0.9)}
        for name in ("base", "whole", "part", "other"):
            facts = {"harmed": {} if (name, number) == ("part", 2) else harmed, "dataset": f"set_{number}"}
            facts["report"] = report(truth, silenced=silent if name == "other" else "neurons")
            runs.append(entry(name, truth, 0.6, **facts))
    result = compare(runs, baseline="base", draws=40)
    for name in ("whole", "part", "other"):
        own = [row for row in result["rows"] if row["name"] == name and row["dataset"] != "set_2"]
        values = [row["ratios"]["noise"]["value"] for row in own]
        found = rows(result, name, "all")["ratios"]
        assert found["noise"]["value"] == pytest.approx(np.exp(np.mean(np.log(values))), abs=1e-5)
        assert found["noise"]["n"] == 2
        assert found["score"]["n"] == 3
        assert (found["silenced"] or {"n": 0})["n"] == (0 if name == "other" else 2), "other has it nowhere"
    assert result["left_out"] == {"noise": {"set_2": ["part"]}, "silenced": {"set_2": ["part"]}}
    table = study_markdown(result)
    assert "Left out of `kept under noise` for all runs: set_2 (not part)." in table
    nothing = compare([run for run in runs if run.dataset != "set_2" or not run.harmed], baseline="base", draws=20)
    assert nothing["left_out"] == {}, "the baseline has not run on set_2"


def test_conditions_that_a_dataset_cannot_have_are_no_fault_of_a_run() -> None:
    runs = []
    for number in range(2):
        truth = truth_of(seed=number)
        facts = {"dataset": f"set_{number}"} | ({"harmed": {}} if number else {})
        runs += [entry(name, truth, 0.6, **facts) for name in ("base", "one", "two")]
    said = study_markdown(compare(runs, baseline="base", draws=20))
    assert "Left out of `kept under noise` for all runs: set_1 (no run has it)." in said


def test_a_study_of_precision_has_sizes_and_times_of_answers_and_no_costs_of_training() -> None:
    truth, less = truth_of(), {"weight_bytes": 1024, "precision": "int8"}
    took = tuple({"fold": k, "seed": 1, "ms": 2.0, "float32_ms": 4.0} for k in range(3))
    whole = tuple(job | {"ms": 4.0} for job in took)
    runs = [entry("float32", truth, inference=whole)]
    runs.append(entry("int8", truth, inference=took, report=report(truth) | less))
    table = study_markdown(compare(runs, baseline="float32", study="precision", draws=40))
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if "|" in line]
    overall = dict(zip(lines[0], lines[2], strict=True))
    assert (overall["bytes of weights"], overall["time of an answer"]) == ("0.26 n 1", "0.50 n 1")
    every = next(line for line in lines if line[:2] == ["digits", "int8"])
    assert "1.0" in every, "KiB"
    assert "2.000" in every, "ms"
    assert "step" not in table
    assert "epochs" not in table


def test_epochs_that_were_run_are_printed() -> None:
    truth = truth_of()
    early = tuple(job | {"epochs": 3 + job["seed"], "steps": 30} for job in JOBS)
    result = compare([entry("base", truth), entry("early", truth, jobs=early)], baseline="base", draws=20)
    assert [row["epochs"] for row in result["rows"]] == [6, 3.5]
    assert [row["step_ms"] for row in result["rows"]] == pytest.approx([125, 250])
    assert "epochs" in study_markdown(result)


def test_what_was_read_is_named() -> None:
    truth, how = truth_of(), {"window": "32 pieces of 4,096, every 32; each window alone", "tokenizer": "TextTokenizer"}
    runs = [entry(name, truth, report=report(truth) | how) for name in ("a", "b")]
    assert f"- digits: {how['window']}; TextTokenizer\n" in study_markdown(compare(runs, baseline="a", draws=20))
    other = entry("c", truth, report=report(truth) | how | {"tokenizer": "Other"})
    said = study_markdown(compare([*runs, other], baseline="a", draws=20))
    assert "; TextTokenizer (a, b)\n" in said
    assert "; Other (c)\n" in said


def test_a_study_begins_with_its_baseline() -> None:
    with pytest.raises(ValueError, match="baseline 'whole' has no result yet"):
        compare([entry("other", truth_of())], baseline="whole")
    alone = compare([entry("whole", truth_of())], baseline="whole", draws=20)
    assert alone["overall"] == []


@pytest.mark.parametrize(("low", "high"), [(0.97, 1.03), (0.6, 1.4), (0.2, 9.0), (0.99, 2.5), (0.05, 19.0)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert all(low <= tick <= high for tick in found)


def test_every_modality_has_a_domain() -> None:
    assert set(DOMAINS) == set(PREPROCESS)
