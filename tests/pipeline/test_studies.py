"""Every suite with variants, whole: from the files that its runs leave to a table, a figure and the page of claims."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

import claims
from _kept import SUITES
from _stage import write_json
from _study import Study
from neurofmx.evaluation.answers import save_answers
from neurofmx.evaluation.robustness import save_harmed
from neurofmx.params import Params, load_params
from neurofmx.plan import Item
from neurofmx.recordings.task import Task
from neurofmx.study.claims_page import ASKED
from neurofmx.study.entry import Truth, save_truth
from pipeline_checkout import ROOT
from study_runs import PLACE, SIDES, answers, report, truth_of

PARAMS = load_params(ROOT / "params.yaml")
STUDIES = [name for name, suite in PARAMS.suites.items() if suite.variants]
TEXTS = ("tiny_shakespeare", "wikitext2")
TEXT = Task("next_token", "text", ("the", "cat"))
BLOCK = dict.fromkeys(("rate", "sparsity", "population_sparsity", "spikes_per_token", "synops_per_token"), 0.5)
ENERGIES = ("spikes", "neurons", "current", "behind", "readout_of_real_numbers")
BLOCK |= {f"nj_per_token_{name}": 1.0 for name in ENERGIES}
POPULATION = {"neuron_rates": [[0.1, 0.2], [0.3, 0.4]], "first_spike_time": None}


def params() -> Params:
    """Those of the checkout, with few draws."""
    return PARAMS.model_copy(update={"evaluate": PARAMS.evaluate.model_copy(update={"draws": 100})})


def truth_about(item: Item) -> Truth:
    """What a dataset of that kind is scored against: words, places or sides."""
    if item.kind in TEXTS:
        return Truth(np.full((60, 2), 20), np.repeat(np.arange(12), 5), TEXT, np.full((60, 20), -np.log(1000)))
    return truth_of(PLACE if item.modality == "trajectory" else SIDES)


def said(truth: Truth, *, seeds: int, seed: int) -> np.ndarray:
    """Answers that are mostly right; of a text probabilities of the true tokens."""
    if truth.task is TEXT:
        return np.log(np.random.default_rng(seed).uniform(0.01, 0.05, (seeds, 60, 20)))
    return answers(truth, 0.6, seeds=seeds, seed=seed)


def leave_runs(name: str) -> None:
    """Files of all runs of a suite, as `collect` copies them from the stages."""
    suite = PARAMS.suites[name]
    for place, (variant, changes) in enumerate(suite.variants.items()):
        for dataset, item in suite.datasets.items():
            truth, folder = truth_about(item), SUITES / name / variant / dataset
            for number, model in enumerate(("model", *(suite.compare if place == 0 else ()))):
                leave_run(folder / model, truth, dict(suite.common), seeds=suite.seeds, seed=10 * place + number)
                full = json.loads((folder / model / "report.json").read_text())
                if model == "model" and (changes or {}).get("model.use_spikes", True):
                    populations = POPULATION if (changes or {}).get("model.use_population_coding") else {}
                    full["spiking_blocks"] = [BLOCK | populations]
                if suite.study in ("context", "memory"):
                    full["by_length"] = lengths(truth)
                write_json(folder / model / "report.json", full)
            save_truth(folder / "truth.h5", truth)


def leave_run(place: Path, truth: Truth, common: dict[str, Any], *, seeds: tuple[int, ...], seed: int) -> None:
    """What one model leaves of a dataset with a single fold."""
    asked = {"noise": () if truth.task is TEXT else common.get("evaluate.robustness.noise", ())}
    asked["silenced"] = common.get("evaluate.robustness.silenced", ())
    harmed = [f"{kind}_{level:g}" for kind in asked for level in asked[kind]]
    save_answers(place / "answers.h5", said(truth, seeds=len(seeds), seed=seed))
    save_harmed(place / "harmed.h5", {each: said(truth, seeds=len(seeds), seed=seed + 7) for each in harmed})
    full = report(truth) | ({"chance": {"perplexity": 1000.0}, "score": 50.0} if truth.task is TEXT else {})
    write_json(place / "report.json", full)
    job = {"seconds": 2.0 + seed, "training_seconds": 1.5 + seed, "epochs": 3, "steps": 30, "step_mib": 5.0}
    write_json(place / "cost.json", {"jobs": [{"fold": 0, "seed": each} | job for each in seeds]})
    if common.get("evaluate.timed"):
        took = {"fold": 0, "ms": 1.0, "float32_ms": 2.0}
        write_json(place / "inference.json", [took | {"seed": each} for each in seeds])


def lengths(truth: Truth) -> dict[str, dict[str, float]]:
    """Scores at lengths whose order as words is another one than as numbers."""
    value = 50.0 if truth.task is TEXT else 0.9
    return {str(2**k): {"value": value, "low": 0.95 * value, "high": 1.05 * value} for k in (8, 9, 10, 11, 12)}


@pytest.mark.parametrize("name", STUDIES)
def test_a_suite_that_has_run_has_a_table_and_a_figure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leave_runs(name)
    suite = PARAMS.suites[name]
    Study(params(), name, {variant: () for variant in suite.variants}).report()
    result = json.loads(Path(f"metrics/{name}/comparison.json").read_text())
    runs = (*suite.variants, *suite.compare)
    assert {(row["name"], row["dataset"]) for row in result["rows"]} == {(r, d) for r in runs for d in suite.datasets}
    table = Path(f"metrics/{name}/comparison.md").read_text()
    assert all(f" {run} " in table for run in runs)
    lines = [line.strip("| ").split("|") for line in table.splitlines() if "| holds to" in line]
    heads = [[cell.strip() for cell in line] for line in lines]
    by_length = [["run", "256", "512", "1024", "2048", "4096", "holds to"]] * len(suite.datasets)
    assert heads == (by_length if suite.study in ("context", "memory") else [])
    image = imread(f"metrics/{name}/comparison.png")[..., :3]
    assert all(np.all(edge == 1) for edge in (image[0], image[-1], image[:, 0], image[:, -1])), "nothing is cut off"
    assert image.min() < 0.5


def test_claims_are_held_against_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / claims.LENGTH).parent.mkdir(parents=True)
    shutil.copy(ROOT / claims.LENGTH, tmp_path / claims.LENGTH)
    for name in {name for name, _ in ASKED.values()} & set(STUDIES):
        leave_runs(name)
        Study(params(), name, {variant: () for variant in PARAMS.suites[name].variants}).report()
    scored = {"dataset": "wikitext2", "score": 50.0, "interval": {"low": 48.0, "high": 52.0}}
    write_json(Path("metrics/text_v1/comparison.json"), [scored | {"model": each} for each in ("model", "transformer")])
    claims.main(params())
    page = claims.OUT.read_text()
    assert "Not measured yet" not in page
    context = [line for line in page.splitlines() if line.startswith("| context")]
    assert len(context) == 6
    assert all("4096, 4096 tokens" in line for line in context), "three modes on two texts, to the longest window"
    assert page.count("WikiText perplexity") == 2
    for claim in ("noise resilience", "encoding precision", "fusion", "% time", "% memory", "tokens/s", "MB a batch"):
        assert claim in page
