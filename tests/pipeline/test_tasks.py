"""Tasks from raw folder to score by the pipeline's own scripts: a text, a memory task, a cloned policy, a circuit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.pipeline.test_own_data import run_stage

from _samples import sample, write_samples
from _stage import write_json
from _workspace import after
from neurofmx.datasets.shared.manifest import write_manifest
from neurofmx.evaluation.wiring_figure import network_figure
from neurofmx.params import check_params
from neurofmx.study.lengths import rising
from neurofmx.study.spikes import spiking
from neurofmx.training.checkpoints.settings import load_settings
from pipeline_checkout import ROOT, SMALL

PLAY = "the cat sat on the mat\nthe rat sat on the cat\n" * 900
STAGES = ("02_preprocess", "03_tokenize")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`small(name, item, **changes)` is a folder whose params.yaml names one dataset and an LSTM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)

    def make(name: str, kind: str, modality: str, *, block: dict[str, Any], **sections: dict[str, Any]) -> None:
        tree = YAML(typ="safe").load(ROOT / "params.yaml")
        for section, values in {**SMALL, **sections}.items():
            tree[section] |= values
        tree["train"] |= {"workers": 1, "min_batches": 2, "max_batches": 40}  # one process loads torch
        tree["run"] = {"datasets": {name: {"kind": kind, "modality": modality}}, "compare": ["lstm"]}
        for part, values in block.items():
            tree["datasets"][name].setdefault(part, {}).update(values)
        YAML(typ="safe").dump(tree, tmp_path / "params.yaml")

    return make


def built(name: str, *stages: str) -> None:
    """Run stages of a dataset, and train and score the linear model and the LSTM."""
    for stage in (*stages, *STAGES):
        run_stage(f"pipeline/{stage}.py", name)
    for model in ("linear", "lstm"):
        run_stage("pipeline/04_train.py", name, model)
        run_stage("pipeline/05_evaluate.py", name, model)


def report(name: str, model: str) -> dict[str, Any]:
    return json.loads(Path(f"data/scores/{name}/{model}/report.json").read_text())


def test_a_text_has_settings_and_context_of_its_own_and_is_gone_on_with(small: Any, tmp_path: Path) -> None:
    name = "tiny_shakespeare"
    raw = tmp_path / f"data/raw/{name}"
    raw.mkdir(parents=True)
    (raw / "input.txt").write_text(PLAY)
    write_manifest(raw, ("input.txt",), dataset=name, source="test", licence="none", options={})
    window = {"stop": 16.0, "stride": 16, "tokenizer_options": {"embedding_dropout": 0.0}}
    block = {"tokenize": window, "train": {"learning_rate": 0.03, "min_batches": 40, "batch_size": 16}}
    evaluate = {"draws": 100, "text_context": "carried", "text_lengths": [16, 64]}
    small(name, name, "text", block=block, evaluate=evaluate)
    built(name)
    scored = {model: report(name, model) for model in ("linear", "lstm")}
    for each in scored.values():
        assert each["window"].endswith("; state carried through the text")
        assert each["window"].startswith("16 characters of ")
        assert each["metrics"]["bits_per_token"] < 1.0
        assert each["chance"]["bits_per_token"] > 3.0
        alone, longer = each["by_length"]["16"], each["by_length"]["64"]
        assert alone["low"] < alone["value"] < alone["high"]
        assert alone["value"] > longer["value"]
        assert alone["value"] > each["score"], "the whole text before it"
    said = [
        run_stage("pipeline/generate.py", name, "lstm", "--prompt", "the cat ", "--tokens", "40", *more)
        for more in (("--temperature", "0"), ("--temperature", "0"), ("--seed", "1"), ("--seed", "1"), ("--seed", "2"))
    ]
    assert said[0] == said[1]
    assert said[2] == said[3] != said[4]
    assert all(text.startswith("the cat ") and len(text) == 8 + 40 + 1 for text in said)
    assert said[0].removeprefix("the cat ")[:3] == "sat"


def test_a_suite_leaves_what_its_networks_write(small: Any, tmp_path: Path) -> None:
    name, suite = "tiny_shakespeare", "texts"
    raw = tmp_path / f"data/raw/{name}"
    raw.mkdir(parents=True)
    (raw / "input.txt").write_text("The cat sat on the mat\nThe rat sat on the cat\n" * 900)
    write_manifest(raw, ("input.txt",), dataset=name, source="test", licence="none", options={})
    small(name, name, "text", block={"tokenize": {"stop": 16.0, "stride": 16}, "train": {"max_batches": 4}})
    for stage in STAGES:
        run_stage(f"pipeline/{stage}.py", name)
    run_stage("pipeline/04_train.py", name, "lstm")
    shutil.copytree(f"data/checkpoints/{name}/lstm", f"data/checkpoints/{name}/model")  # stands for a second network
    tree = YAML(typ="safe").load(Path("params.yaml"))
    item = {name: {"kind": name, "modality": "text"}}
    tree["suites"] = {suite: {"datasets": item, "compare": ["lstm"], "seeds": [42]}}
    write_samples(check_params(tree), suite)
    said = Path(f"metrics/{suite}/samples.md").read_text(encoding="utf-8")
    text = run_stage("pipeline/generate.py", name, "lstm").removesuffix("\n")
    assert text.startswith("The ")
    assert len(text) >= 4 + 200
    assert said.startswith(
        "# What the networks of texts write\n\n`The` and 200 tokens, drawn at temperature 1 with seed 0"
    )
    assert said.endswith("\n".join(sample(name, model, text) for model in ("lstm", "model")))

    # the suite has put params.yaml back, and says what it ran with
    write_json(after(suite) / "params.json", tree)
    tree["run"]["datasets"] = {"digits": {"kind": "digits", "modality": "image"}}
    YAML(typ="safe").dump(tree, Path("params.yaml"))
    assert run_stage("pipeline/generate.py", name, "lstm", "--suite", suite) == text + "\n"
    with pytest.raises(SystemExit, match=r"run\.datasets names digits; name the suite that trained on it"):
        run_stage("pipeline/generate.py", name, "lstm")
    with pytest.raises(SystemExit, match=r"unknown suite in params\.yaml 'text'; did you mean 'texts'"):
        run_stage("pipeline/generate.py", name, "lstm", "--suite", "text")


def test_a_fence_is_longer_than_those_of_the_text() -> None:
    assert sample("a", "b", "x\n````\ny") == "## a, b\n\n`````text\nx\n````\ny\n`````\n"


def test_a_memory_task_is_scored_by_length(small: Any) -> None:
    name = "induction"
    options = {"symbols": 4, "length": 6, "test_lengths": [6, 12], "windows": 400, "tested": 100}
    small(name, name, "text", block={"options": options, "tokenize": {"stop": 12.0}})
    built(name, "01_download")
    for model in ("linear", "lstm"):
        full = report(name, model)
        assert list(rising(full["by_length"])) == ["6", "12"]
        assert full["score"] == pytest.approx(sum(each["value"] for each in full["by_length"].values()) / 2, abs=1e-5)
    metrics = json.loads(Path(f"metrics/scores/{name}/lstm.json").read_text())
    values = {length: each["value"] for length, each in report(name, "lstm")["by_length"].items()}
    assert metrics[name]["lstm"]["by_length"] == values


def test_a_cloned_policy_is_scored_in_the_simulator(small: Any) -> None:
    name = "reacher_cloning"
    simulate = {"datasets": [name], "episodes": 3}
    small(name, "mujoco_cloning", "trajectory", block={"options": {"episodes": 6}}, simulate=simulate)
    tree = YAML(typ="safe").load(Path("params.yaml"))
    built(name, "01_download")
    run_stage("pipeline/04_train.py", name, "model")
    printed = run_stage("pipeline/closed_loop.py", name)
    scores = json.loads(Path(f"metrics/closed_loop/{name}.json").read_text())[name]
    assert set(scores) == {"expert", "random", "linear", "model", "lstm"}
    assert (scores["expert"]["of_expert"], scores["random"]["of_expert"]) == (1.0, 0.0)
    assert scores["expert"]["reached_m"] < 0.01 < scores["linear"]["reached_m"]
    assert 0.3 < scores["linear"]["of_expert"] < 1
    assert f"{name} expert: return {scores['expert']['return']:.2f}, 1.00 of the expert's, distance from" in printed
    before = Path(f"metrics/closed_loop/{name}.json").read_bytes()
    run_stage("pipeline/closed_loop.py", name)
    assert Path(f"metrics/closed_loop/{name}.json").read_bytes() == before
    tree["datasets"][name]["tokenize"]["stop"] = 0.06
    YAML(typ="safe").dump(tree, Path("params.yaml"))
    with pytest.raises(SystemExit, match=r"tokenize.stop=0.06: must be one sample, 0.02 s"):
        run_stage("pipeline/closed_loop.py", name)


def test_a_wired_cell_is_drawn_and_populations_are_in_the_report(small: Any, tmp_path: Path) -> None:
    name = "digits"
    wired = {"liquid_backbone": "ncp", "ncp_cell": "cfc", "ncp_seed": 3}
    populations = {"use_population_coding": True, "population_size": 3}
    small(name, name, "image", block={}, model=SMALL["model"] | wired | populations)
    built(name, "01_download")
    run_stage("pipeline/04_train.py", name, "model")
    run_stage("pipeline/05_evaluate.py", name, "model")
    config = load_settings(Path(f"data/checkpoints/{name}/model")).config
    network_figure(config, tmp_path / "wanted.png")
    drawn = Path(f"data/checkpoints/{name}/model/wiring.png")
    assert drawn.read_bytes() == (tmp_path / "wanted.png").read_bytes()
    assert not Path(f"data/checkpoints/{name}/lstm/wiring.png").exists()
    full = report(name, "model")
    (block,) = full["spiking_blocks"]
    assert [len(rates) for rates in block["neuron_rates"]] == [8] * 3
    assert np.mean(block["neuron_rates"]) == pytest.approx(block["rate"], abs=1e-5)
    assert 1 <= block["first_spike_time"] <= config.num_spike_steps
    assert "wired_cfc reference" in full["kernels"]
    of_study = spiking(full)
    assert of_study is not None
    assert (of_study["rate"], of_study["spikes_per_token"]) == (block["rate"], block["spikes_per_token"])
