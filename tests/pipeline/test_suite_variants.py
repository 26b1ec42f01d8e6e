"""Suites in real DVC, with stages that only copy files: what runs, what is kept, what is undone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.synthetic import synthetic_windows

import _workspace as workspace
from neurofmx.evaluation.answers import save_answers
from neurofmx.params import load_params, read_tree
from neurofmx.variants import variant_tree
from pipeline_checkout import Checkout, copy_of_checkout
from study_runs import report, truth_of

# every stage in one script: it writes its outs, copies what the test made, and fails where the test says so
STAGE = """
import json, os, pathlib, shutil, signal, sys
name, (dataset, *model) = pathlib.Path(sys.argv[0]).stem.lstrip("0123456789_"), sys.argv[1:] or [""]
params, root = pathlib.Path("params.yaml").read_text(), pathlib.Path(os.environ["DVC_ROOT"])
with (root / "ran.log").open("a") as log:
    print(name, dataset, *model, file=log)
if (root / "fail").exists() and name == "train" and dataset == "scitos" and "\\n  patience: 99" in params:
    sys.exit(1)
if (root / "kill").exists() and name == "train" and dataset == "scitos" and model == ["model"]:
    os.killpg(os.getsid(0), signal.SIGKILL)
    signal.pause()
made, model = root / "made", "".join(model)
def out(path):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
if name == "download":
    out(f"data/raw/{dataset}/file").write_text(dataset)
elif name == "preprocess":
    out(f"data/clean/{dataset}/recordings.h5").write_text(dataset)
elif name == "tokenize":
    shutil.copy(made / "windows.h5", out(f"data/tokens/{dataset}.h5"))
elif name == "train":
    shutil.copy(made / "cost.json", out(f"data/checkpoints/{dataset}/{model}/cost.json"))
    if model == "model":
        out(f"data/checkpoints/{dataset}/model/weights").write_text(params)
        out(f"metrics/curves/{dataset}/model.csv").write_text("epoch,validation_loss")
elif name == "evaluate":
    shutil.copy(made / "report.json", out(f"data/scores/{dataset}/{model}/report.json"))
    if model == "model":
        shutil.copy(made / "inference.json", f"data/scores/{dataset}/{model}/inference.json")
    which = "worse" if "\\n  patience: 99" in params else "better"
    shutil.copy(made / f"{which}.h5", f"data/scores/{dataset}/{model}/answers.h5")
    out(f"metrics/scores/{dataset}/{model}.json").write_text(json.dumps({which: 1}))
elif name == "multimodal":
    for ending in ("json", "md"):
        out(f"metrics/multimodal/{dataset}.{ending}").write_text("{}")
elif name == "compare":
    for file in ("comparison.md", "comparison.png", "curves.png"):
        out(f"metrics/{file}").write_text(params if file.endswith("md") else "{}")
    reports = []
    for path in sorted(pathlib.Path("data/scores").glob("*/*/report.json")):
        reports.append(json.loads(path.read_text()) | dict(zip(("dataset", "model"), path.parts[2:])))
    out("metrics/comparison.json").write_text(json.dumps(reports))
"""
ITEMS = {
    "digits": {"kind": "digits", "modality": "image"},
    "scitos": {"kind": "scitos", "modality": "trajectory"},
}
HAXBY = {"kind": "haxby2001", "modality": "fmri"}
SUITE = {
    "datasets": ITEMS,
    "compare": ["lstm"],
    "seeds": [1, 2],
    "study": "ablation",
    "common": {"train.num_epochs": 3},
    # neither could be run from the params of the other
    "variants": {
        "whole": {"model.use_state_exchange": False},
        "patient": {"train.patience": 99, "model.integration_mode": "parallel"},
    },
}
SINGLE = {
    "first": {
        "datasets": ITEMS,
        "compare": ["lstm"],
        "seeds": [1, 2],
        # values that params.yaml has, one that it lacks, and one that makes a stage of its own
        "common": {
            "train.num_epochs": 3,
            "datasets.digits.train.patience": 2,
            "multimodal.sets.pair": ["digits", "scitos"],
        },
    },
    "second": {"datasets": {"scitos": ITEMS["scitos"]}, "compare": [], "seeds": [1]},
    "killed": {"datasets": ITEMS, "compare": [], "seeds": [4]},
    "broken": {"datasets": ITEMS, "compare": [], "seeds": [3], "common": {"train.patience": 99}},
}
SUITES = {"toy": SUITE} | SINGLE


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose stages are `STAGE`, with suites of which one variant and one suite cannot train on scitos."""
    checkout = copy_of_checkout(tmp_path_factory.mktemp("toy"))
    for script in (*(checkout.root / "pipeline").glob("0*.py"), checkout.root / "pipeline/multimodal.py"):
        script.write_text(STAGE)
    path = checkout.root / "params.yaml"
    tree = YAML(typ="safe").load(path)
    (checkout.root / "dvc.yaml").write_text(without_sources(checkout.root / "dvc.yaml"))
    # of the values no more than are changed: DVC reads and writes them many times a stage
    tree["datasets"] = {name: tree["datasets"][name] for name in (*ITEMS, "haxby2001")}
    tree["model"] = {"use_state_exchange": True, "integration_mode": "bidirectional"}
    tree["train"] = {"batch_size": 64, "num_epochs": 5, "patience": 6, "threads": 1}
    # one that the suites have, and one that only suites without variants build beside their own
    tree["run"] = {"datasets": {"digits": ITEMS["digits"], "haxby2001": HAXBY}, "compare": []}
    YAML().dump(tree | {"suites": SUITES}, path)
    (checkout.root / "dvc.lock").unlink(missing_ok=True)
    ignored = checkout.root / ".gitignore"
    ignored.write_text(ignored.read_text() + "/made\n/ran.log\n/fail\n/kill\n")
    checkout.commit()
    make_results(checkout.root / "made")
    (checkout.root / "fail").touch()
    return checkout


def without_sources(path: Path) -> str:
    """The stages without the package's files among their deps: those of this test read none, and hashing takes long."""
    return "".join(line for line in path.read_text().splitlines(keepends=True) if "- src/neurofmx" not in line)


def make_results(folder: Path) -> None:
    """What the stages copy: windows, answers of which one half is wrong, a report and a cost."""
    folder.mkdir()
    windows = synthetic_windows()
    windows.save(folder / "windows.h5")
    right = np.eye(2)[windows.truth]
    wrong = np.where(np.arange(len(right))[:, None] % 2, right[:, ::-1], right)
    save_answers(folder / "better.h5", np.stack([right, right]))
    save_answers(folder / "worse.h5", np.stack([wrong, wrong]))
    beside = {"verdict": "ties", "difference": {"low": -0.1, "value": 0.0, "high": 0.1}}
    (folder / "report.json").write_text(json.dumps(report(truth_of()) | beside))
    job = {"seconds": 1.0, "training_seconds": 0.8, "epochs": 3, "steps": 30, "step_mib": 2.0}
    jobs = [{"fold": k, "seed": 1} | job for k in range(3)]
    took = [{"fold": k, "seed": 1, "ms": 0.5, "float32_ms": 0.5} for k in range(3)]
    (folder / "inference.json").write_text(json.dumps(took))
    (folder / "cost.json").write_text(json.dumps({"train_seconds": 3.0, "peak_memory_mib": 9.0, "jobs": jobs}))


def ran(checkout: Checkout) -> list[str]:
    """Stages that ran since it was asked last, but for `check` and `compare`, which read all params."""
    log = checkout.root / "ran.log"
    lines = log.read_text().splitlines() if log.is_file() else []
    log.unlink(missing_ok=True)
    return sorted(line for line in lines if not line.startswith(("check", "compare")))


def changed(checkout: Checkout) -> list[str]:
    """What git says of the workspace."""
    return checkout.run("git", "status", "--short", "-uall").stdout.split("\n")[:-1]


def rows(checkout: Checkout) -> dict[tuple[str, str], str]:
    """Verdict of each run and dataset in the suite's table."""
    result = json.loads((checkout.root / "metrics/toy/comparison.json").read_text())
    return {(row["name"], row["dataset"]): row["verdict"] for row in result["rows"]}


def test_variants_are_run_one_by_one_and_gone_on_with(toy: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.root)
    params = (toy.root / "params.yaml").read_bytes()
    done = toy.run("python", "pipeline/suite.py", "toy", check=False)
    assert done.returncode == 1
    assert "1 of 2 variants are not complete" in done.stderr
    assert "patient: scitos" in done.stderr
    assert "Traceback" not in done.stderr
    assert "toy: variant 2 of 2, patient, 0:0" in done.stdout
    shared = [f"{s} {d}" for s in ("download", "preprocess", "tokenize") for d in ITEMS]
    whole = [f"{s} {d} {m}" for s in ("train", "evaluate") for d in ITEMS for m in ("linear", "lstm", "model")]
    patient = ["evaluate digits model", "train digits model", "train scitos model"]
    # what variants share runs once, the models to compare with are those of the baseline, and haxby2001 is in no table
    assert ran(toy) == sorted([*shared, *whole, *patient])
    assert (toy.root / "params.yaml").read_bytes() == params
    assert sorted(changed(toy)) == [f"?? metrics/toy/comparison.{ending}" for ending in ("json", "md", "png")]
    refs = toy.run("git", "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").stdout.split()
    assert "toy-whole" in refs
    baseline = {("whole", dataset): "baseline" for dataset in ITEMS}
    peers = {("lstm", dataset): "ties" for dataset in ITEMS}
    assert rows(toy) == baseline | peers | {("patient", "digits"): "loses"}, "scitos is not that of another variant"

    # a call that is cut off leaves the params of a variant; what a variant has made is in DVC's cache of runs
    (toy.root / "fail").unlink()
    (toy.root / "data/suites/toy/whole/done.json").unlink()
    cut_off(toy, "patient")
    again = toy.run("python", "pipeline/suite.py", "toy")
    assert "a suite was cut off before" in again.stdout
    assert ran(toy) == ["evaluate scitos model", "train scitos model"]
    assert rows(toy) == baseline | peers | {("patient", dataset): "loses" for dataset in ITEMS}
    assert (toy.root / "params.yaml").read_bytes() == params
    assert not (toy.root / "data/suites/before").exists()

    third = toy.run("python", "pipeline/suite.py", "toy")
    assert "toy: variant 2 of 2, patient, 0:00:00 so far: finished before, nothing of it has changed" in third.stdout
    assert not (toy.root / "ran.log").exists(), "not even DVC is asked"

    stale = "not of this code and these params: "
    assert stale not in toy.run("python", "pipeline/suite.py", "toy", "--table").stdout
    edited = params.replace(b"batch_size: 64", b"batch_size: 32", 1)
    assert edited != params
    (toy.root / "params.yaml").write_bytes(edited)
    assert f"{stale}whole, patient;" in toy.run("python", "pipeline/suite.py", "toy", "--table").stdout
    (toy.root / "params.yaml").write_bytes(params)


def cut_off(checkout: Checkout, variant: str) -> None:
    """Leave the workspace as a call does that is killed while it runs a variant."""
    tree = read_tree()
    workspace.keep(["toy"])
    YAML().dump(variant_tree(tree, "toy", variant) | {"suites": tree["suites"]}, checkout.root / "params.yaml")


def test_params_that_were_edited_since_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = {"train": {"patience": 6}, "run": {"datasets": ITEMS, "compare": []}, "suites": {"toy": SUITE}}
    YAML().dump(made, tmp_path / "params.yaml")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/comparison.md").write_text("before")
    before = (tmp_path / "params.yaml").read_bytes()
    cut_off(Checkout(tmp_path), "patient")
    as_left = (tmp_path / "params.yaml").read_bytes()
    assert as_left != before
    edited = as_left.replace(b"patience: 99", b"patience: 98", 1)
    (tmp_path / "params.yaml").write_bytes(edited)
    with pytest.raises(ValueError, match=r"params\.yaml was edited since: data/suites/before holds it as it was"):
        workspace.recover(["toy"])
    assert (tmp_path / "params.yaml").read_bytes() == edited
    (tmp_path / "params.yaml").write_bytes(as_left)
    (tmp_path / "metrics/comparison.md").write_text("after")
    (tmp_path / "metrics/new").mkdir()
    (tmp_path / "metrics/new/score.json").write_text("{}")
    (tmp_path / "metrics/toy").mkdir()
    (tmp_path / "metrics/toy/comparison.md").write_text("the suite's own")
    workspace.recover(["toy"])
    assert (tmp_path / "params.yaml").read_bytes() == before
    assert (tmp_path / "metrics/comparison.md").read_text() == "before"
    assert not (tmp_path / "metrics/new").exists()
    assert (tmp_path / "metrics/toy/comparison.md").exists()
    assert not workspace.BEFORE.exists()


def test_half_a_copy_is_never_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    YAML().dump({"run": {"datasets": ITEMS, "compare": []}, "suites": {"toy": SUITE}}, tmp_path / "params.yaml")
    (tmp_path / "metrics").mkdir()
    for path in ("dvc.lock", "metrics/comparison.md"):
        (tmp_path / path).write_text("before")
    workspace.keep(["toy"])
    delete = shutil.rmtree

    def killed(folder: Path, **how: Any) -> None:
        if Path(folder).exists():
            (Path(folder) / "dvc.lock").unlink()
            raise KeyboardInterrupt
        delete(folder, **how)

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        workspace.put_back_files(["toy"])
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert not workspace.BEFORE.exists(), "the next call has nothing to recover"
    assert (tmp_path / "dvc.lock").read_text() == "before"
    workspace.keep(["toy"])
    workspace.put_back_files(["toy"])
    assert not list(workspace.BEFORE.parent.iterdir()), "what was cut off is tidied up"


def in_workspace(checkout: Checkout, suite: str) -> dict[str, Any]:
    """params.yaml as a suite without variants runs with it."""
    tree = read_tree(checkout.root / "params.yaml")
    return variant_tree(tree, suite) | {"suites": tree["suites"]}


def trained_with(checkout: Checkout) -> dict[str, Any]:
    """params.yaml as the training of `model` on digits saw it."""
    return read_tree(checkout.root / "data/checkpoints/digits/model/weights")


def test_suites_without_variants_do_not_see_each_other(toy: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.root)
    (toy.root / "fail").unlink(missing_ok=True)
    params, before = (toy.root / "params.yaml").read_bytes(), set(changed(toy))
    ran(toy)

    def results(suite: str, *files: str) -> set[str]:
        return {f"?? metrics/{suite}/{file}" for file in (*(f"comparison.{e}" for e in ("json", "md", "png")), *files)}

    toy.run("python", "pipeline/suite.py", "first")
    assert {"train digits model", "train scitos model", "multimodal pair"} <= set(ran(toy))
    assert trained_with(toy) == in_workspace(toy, "first")
    assert (toy.root / "params.yaml").read_bytes() == params
    shown = results("first", "multimodal/pair.json", "multimodal/pair.md")
    assert set(changed(toy)) - before == shown, "neither dvc.lock nor scores of the workspace"
    assert (toy.root / "data/checkpoints/scitos/lstm/cost.json").is_file(), "data/ is the suite's"
    table = (toy.root / "metrics/first/comparison.md").read_bytes()

    toy.run("python", "pipeline/suite.py", "first", "--also", "pca")
    trained = {line for line in ran(toy) if line.startswith("train")}
    assert trained == {f"train {dataset} pca" for dataset in ("digits", "haxby2001", "scitos")}, "nothing else anew"
    assert (toy.root / "metrics/first/comparison.md").read_bytes() == table, "the suite's own models"
    assert workspace.params_of("first", load_params()).run.compare == ("lstm", "pca"), "whoever reads it finds both"

    toy.run("python", "pipeline/suite.py", "second")
    assert "train digits model" in ran(toy)
    assert trained_with(toy) == in_workspace(toy, "second"), "with nothing of the first one's settings"
    assert set(changed(toy)) - before == shown | results("second")

    toy.run("python", "pipeline/suite.py", "first")
    assert ran(toy) == [], "what it made is there, uncached metrics as well"
    assert trained_with(toy) == in_workspace(toy, "first")
    for file in (toy.root / "metrics/first").glob("comparison.*"):
        file.unlink()
    toy.run("python", "pipeline/suite.py", "first", "--table")
    assert (toy.root / "metrics/first/comparison.md").read_bytes() == table

    # what reads a suite afterwards is told what it ran with; a stage of DVC belongs to the run of params.yaml
    given = load_params()
    read = workspace.params_of("first", given)
    assert (read.run.compare, read.evaluate.seeds, read.train.num_epochs) == (("lstm",), (1, 2), 3)
    assert workspace.params_of("toy", given) is given, "its variants have put everything back"
    monkeypatch.setenv("DVC_STAGE", "benchmark@first")
    assert workspace.params_of("first", given) is given


def test_a_suite_without_variants_that_was_killed_is_put_back_and_gone_on_with(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with all that it started, when DVC has added to git's index what would be in the next one's way."""
    monkeypatch.chdir(toy.root)
    (toy.root / "fail").unlink(missing_ok=True)
    params, before = (toy.root / "params.yaml").read_bytes(), set(changed(toy))
    ran(toy)
    (toy.root / "kill").touch()
    command = ["python", "pipeline/suite.py", "killed"]
    done = subprocess.run(
        command, cwd=toy.root, env=toy.environment(), capture_output=True, text=True, start_new_session=True
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    (toy.root / "kill").unlink()
    assert set(changed(toy)) != before
    finished = {"train digits model", "evaluate digits model"} & set(ran(toy))
    assert finished, "it came to the other dataset first"
    # another suite puts it back first
    again = toy.run("python", "pipeline/suite.py", "second")
    assert "a suite was cut off before" in again.stdout
    assert trained_with(toy) == in_workspace(toy, "second")
    assert (toy.root / "params.yaml").read_bytes() == params
    assert {line for line in set(changed(toy)) ^ before if "metrics/second" not in line} == set()
    assert not workspace.BEFORE.exists()
    ran(toy)
    toy.run(*command)
    assert "train scitos model" in (again := ran(toy))
    assert not finished & set(again)


def test_a_suite_without_variants_that_fails_puts_back_and_goes_on(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(toy.root)
    params, before = (toy.root / "params.yaml").read_bytes(), changed(toy)
    (toy.root / "fail").touch()
    done = toy.run("python", "pipeline/suite.py", "broken", check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert (toy.root / "params.yaml").read_bytes() == params
    assert changed(toy) == before, "no table of half a suite"
    assert "evaluate digits model" in ran(toy)
    (toy.root / "fail").unlink()
    toy.run("python", "pipeline/suite.py", "broken")
    assert ran(toy) == [f"{stage} scitos {model}" for stage in ("evaluate", "train") for model in ("linear", "model")]
    assert (toy.root / "metrics/broken/comparison.md").is_file()
