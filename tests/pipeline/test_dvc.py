"""The commands users type, run for real: what re-runs after an edit, what does not, what the tables say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline_checkout import Checkout, copy_of_checkout

DATASETS = ("haxby2001", "peyrache_a2929", "digits")


def of(*stages: str) -> set[str]:
    """Names of the stages of all default datasets."""
    return {f"{stage}@{dataset}" for stage in stages for dataset in DATASETS}


def against(*stages: str) -> set[str]:
    """Names of the stages of all default datasets and models to compare with."""
    return {f"{stage}@{d}-{m}" for stage in stages for d in DATASETS for m in ("pca", "lstm", "transformer")}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The default configuration; nothing is built, code and params are held against dvc.lock."""
    return copy_of_checkout(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def before(full: Checkout) -> dict[str, Any]:
    """What DVC says of it before any edit; every test leaves it so."""
    return status(full)


def status(checkout: Checkout) -> dict[str, Any]:
    """What DVC says of every stage that is not up to date."""
    return json.loads(checkout.run("dvc", "status", "--json").stdout)


def touched(status: dict[str, Any], name: str) -> set[str]:
    """Stages that are changed because of a file or folder of code, or a params key."""
    changed = set()
    for stage, reasons in status.items():
        for reason in reasons:
            deps = reason.get("changed deps", {}) if isinstance(reason, dict) else {}
            hit = [d for d in deps if (name == d or name.startswith(f"{d}/"))]
            params = deps.get("params.yaml", {})
            hit += [key for key in params if name.startswith("params:") and isinstance(params, dict)]
            if hit:
                changed.add(stage)
    return changed


SCORED = of("evaluate") | against("compare_evaluate")
TRAINED = of("train") | against("compare_train")


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("src/neurofmx/kernels/lif.py", TRAINED | SCORED),  # templates cannot name files by model: `mamba` has kernels
        ("src/neurofmx/layers/gating.py", of("train") | SCORED),
        ("src/neurofmx/layers/mamba.py", TRAINED | SCORED),
        ("src/neurofmx/preprocessing/fmri.py", {"preprocess@haxby2001"}),
        ("src/neurofmx/preprocessing/spikes.py", {"preprocess@peyrache_a2929"}),
        ("src/neurofmx/datasets/digits.py", {"download@digits", "preprocess@digits", "tokenize@digits"}),
        ("src/neurofmx/datasets/eegbci.py", set()),
        ("src/neurofmx/preprocessing/splits.py", of("tokenize")),
        ("src/neurofmx/training/loop.py", TRAINED),
        (
            "src/neurofmx/models/lstm.py",
            {f"compare_{stage}@{d}-lstm" for stage in ("train", "evaluate") for d in DATASETS},
        ),
        ("src/neurofmx/evaluation/gate.py", of("baseline", "evaluate") | against("compare_evaluate") | {"compare"}),
    ],
)
def test_an_edit_of_code_re_runs_what_it_affects(
    full: Checkout, before: dict[str, Any], name: str, stages: set[str]
) -> None:
    path = full.root / name
    text = path.read_text()
    assert not touched(before, name), "dvc.lock does not hold this code: run `dvc repro` and commit its results"
    path.write_text(text + "\n# an edit\n")
    try:
        assert touched(status(full), name) == stages
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    ("section", "key", "value", "stages"),
    [
        ("model", "integration_mode", "parallel", of("train")),  # and with its checkpoints what scores them
        ("train", "learning_rate", 0.5, TRAINED),
        ("head", "dropout", 0.5, TRAINED),
        ("evaluate", "draws", 500, of("baseline", "evaluate") | against("compare_evaluate")),
        ("evaluate", "seeds", [1], of("baseline", "train", "evaluate") | against("compare_train", "compare_evaluate")),
        ("download", "mirror", "/nowhere", set()),
    ],
)
def test_an_edit_of_params_re_runs_what_reads_it(
    full: Checkout, before: dict[str, Any], section: str, key: str, value: object, stages: set[str]
) -> None:
    path = full.root / "params.yaml"
    text = path.read_text()
    assert not touched(before, "params:")
    full.set(**{section: {key: value}})
    try:
        assert touched(status(full), "params:") == stages
    finally:
        path.write_text(text)


def test_a_second_repro_runs_nothing(built: Checkout) -> None:
    done = built.run("dvc", "repro")
    assert built.ran(done.stdout) == []
    assert "up to date" in done.stdout


def test_an_experiment_on_the_model_runs_its_stages_alone(built: Checkout) -> None:
    done = built.run("dvc", "exp", "run", "-S", "model.integration_mode=parallel")
    try:
        assert built.ran(done.stdout) == ["check", "train@digits", "evaluate@digits", "compare"]
        diff = built.run("dvc", "metrics", "diff", "--md").stdout
        rows = [line for line in diff.splitlines() if line.startswith("| metrics/scores/digits/model.json")]
        assert rows
        assert len(rows) == len(diff.strip().splitlines()) - 2, "only the model's numbers change"
        shown = built.run("dvc", "plots", "diff", "--json").stdout
        assert "model.csv" in shown
    finally:
        built.run("git", "checkout", "-q", ".")
        built.run("dvc", "checkout", "-q")


def test_forced_runs_give_equal_bytes(built: Checkout) -> None:
    def state() -> dict[str, bytes]:
        files = [*built.root.glob("data/tokens/*"), *built.root.glob("metrics/scores/**/*.json")]
        files += built.root.glob("data/checkpoints/**/*.safetensors")
        return {str(path.relative_to(built.root)): path.read_bytes() for path in files}

    before = state()
    assert len(before) > 10
    built.run("dvc", "repro", "-f", "--no-run-cache")
    assert state() == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.integration_mode=serial",
            r"model.integration_mode=serial: did you mean 'sequential'\? allowed: sequential",
        ),
        (
            "+model.integraton_mode=parallel",
            r"model.integraton_mode=parallel: unknown key; did you mean 'integration_mode'",
        ),
        ("model.integraton_mode=parallel", r"Could not override 'model.integraton_mode'"),  # DVC's own words
    ],
)
def test_a_wrong_override_is_refused_before_any_work(built: Checkout, override: str, message: str) -> None:
    done = built.run("dvc", "exp", "run", "-S", override, check=False)
    try:
        assert done.returncode != 0
        assert re.search(message, done.stdout + done.stderr), done.stdout + done.stderr
        assert set(built.ran(done.stdout)) <= {"check"}
        assert "Traceback" not in done.stdout + done.stderr
    finally:
        built.run("git", "checkout", "-q", ".")
        built.run("dvc", "checkout", "-q")


def test_the_comparison_names_every_model(built: Checkout) -> None:
    table = (built.root / "metrics/comparison.md").read_text()
    reports = json.loads((built.root / "metrics/comparison.json").read_text())
    assert {report["model"] for report in reports} == {"linear", "model", "pca", "lstm"}
    for report in reports:
        assert report["model"] in table
        assert report["interval"]["low"] <= report["score"] <= report["interval"]["high"]
    for picture in ("comparison.png", "curves.png"):
        assert (built.root / "metrics" / picture).read_bytes().startswith(b"\x89PNG")


def test_no_file_of_the_pipeline_names_this_machine(full: Checkout) -> None:
    for path in full.root.rglob("*"):
        if path.suffix in {".py", ".yaml", ".md", ".toml", ".json", ".lock"} and ".git/" not in str(path):
            assert str(Path.home()) not in path.read_text()
