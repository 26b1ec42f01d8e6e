"""Pretraining, transfer and several modalities: the commands of dvc.yaml, on generated sessions, to their tables."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML
from safetensors.torch import load_file
from tests.pipeline.test_own_data import run_stage

from neurofmx.parts import TRAIN
from neurofmx.tokenizers.cutting.windows import load_windows
from pipeline_checkout import ROOT

SPIKES, FIELD = {"kind": "simulated", "modality": "spikes"}, {"kind": "simulated", "modality": "lfp"}
CUT = {"anchor": "sample", "start": -0.5, "stop": 0.5, "stride": 2, "patch": 5}
SESSION, BEFORE = ({"seed": seed, "minutes": 1.0, "units": 8} for seed in (0, 1))
COUNTS = {"preprocess": {"bin_ms": 100.0, "sqrt": True}, "tokenize": CUT}
VOLTAGE = {"preprocess": {"low": None, "high": None, "rate": 20.0}, "tokenize": CUT | {"stride": 4}}
SECTIONS: dict[str, dict[str, Any]] = {
    "datasets": {
        "simulated": COUNTS | {"options": SESSION},
        "simulated_lfp": VOLTAGE | {"options": SESSION},
        "before": COUNTS | {"options": BEFORE},
        "before_lfp": VOLTAGE | {"options": BEFORE},
    },
    "models": {
        "neurofmx": {"hidden_dim": 16, "num_layers": 1, "latents": 2, "latent_layers": 1, "num_attention_heads": 2},
        "linear": {"strengths": [10.0]},
    },
    "train": {"num_epochs": 1, "min_batches": 2, "max_batches": 2, "workers": 1},
    "evaluate": {"draws": 100, "seeds": [1, 2]},
    "pretrain": {
        "names": {"base": {}, "whole": {"fold": None, "losses": {"temporal": 0.1}}},
        "datasets": {"before": SPIKES, "before_lfp": FIELD},
        "num_epochs": 2,
        "steps": 2,
    },
    "transfer": {
        "datasets": ["simulated"],
        "starts": ["scratch", "probe_base", "finetune_base", "finetune_whole"],
        "shares": [20],
        "learning_rate": {"finetune": 0.0005},
    },
    "multimodal": {"sets": {"both": ["simulated", "simulated_lfp"]}},
    "run": {"datasets": {"simulated": SPIKES, "simulated_lfp": FIELD}, "compare": []},
}
PREPARED = ("download", "preprocess", "tokenize")
STAGES = ("pretrain_tokens", "pretrain", "transfer_linear", "transfer", "transfer_report", "multimodal")
STARTS = SECTIONS["transfer"]["starts"]


class Stage(NamedTuple):
    """A stage of dvc.yaml with its template filled in."""

    command: list[str]
    deps: list[str]
    outs: list[str]


def write_params(root: Path, **changes: dict[str, Any]) -> dict[str, Any]:
    """params.yaml with generated sessions and sizes that take seconds; returns it."""
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    for section, values in SECTIONS.items():
        tree[section] |= values | changes.get(section, {})
    YAML(typ="safe").dump(tree, root / "params.yaml")
    return tree


def stages(name: str, tree: dict[str, Any]) -> Iterator[Stage]:
    """What DVC makes of a stage for every item of params.yaml."""
    stage = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"][name]
    body = stage.get("do", stage)
    for values in items(stage, tree):
        text = json.dumps({key: body.get(key, []) for key in ("cmd", "deps", "outs", "metrics", "plots")})
        made = json.loads(re.sub(r"\$\{(.*?)\}", lambda found, v=values: str(v[found[1]]), text))
        outs = [
            next(iter(out)) if isinstance(out, dict) else out for k in ("outs", "metrics", "plots") for out in made[k]
        ]
        yield Stage((made["cmd"] if isinstance(made["cmd"], str) else made["cmd"][0]).split()[1:], made["deps"], outs)


def items(stage: dict[str, Any], tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The values of `key` and `item` that a stage runs through."""

    def listed(template: str) -> Any:
        section, name = template[2:-1].split(".")
        return tree[section][name]

    if "matrix" in stage:
        axes = {axis: listed(template) for axis, template in stage["matrix"].items()}
        for chosen in product(*axes.values()):
            yield {f"item.{axis}": value for axis, value in zip(axes, chosen, strict=True)}
        return
    each = listed(stage["foreach"])
    for key in each:
        inner = each[key] if isinstance(each, dict) and isinstance(each[key], dict) else {}
        yield {"key": key, "item": key} | {f"item.{name}": value for name, value in inner.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every stage has run in order; what it depends on was there before, what it makes is there."""
    root = tmp_path_factory.mktemp("foundation")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("DVC_ROOT", raising=False)
        tree = write_params(root)
        for name in (*PREPARED, *STAGES):
            for stage in stages(name, tree):
                absent = [dep for dep in stage.deps if not (root / dep).exists() and not (ROOT / dep).exists()]
                assert not absent, f"{name} depends on what nobody made"
                run_stage(*stage.command)
                assert all((root / out).exists() for out in stage.outs), stage
        yield root


def test_the_pretraining_read_the_training_rows_and_nothing_of_the_run(built: Path) -> None:
    facts = json.loads((built / "data/checkpoints/pretrained/base/facts.json").read_text())
    assert facts["joined"] == [["simulated/spikes", "simulated/lfp"]]
    assert {(each["dataset"], each["recording"]) for each in facts["seen"]} == {
        ("before", "simulated/seed-1"),
        ("before_lfp", "simulated/seed-1"),
    }
    most = max(
        (load_windows(built / f"data/pretrain/tokens/{n}.h5").split[0] == TRAIN).sum()
        for n in SECTIONS["pretrain"]["datasets"]
    )
    assert 0 < facts["rows"][0] <= most
    whole = json.loads((built / "data/checkpoints/pretrained/whole/facts.json").read_text())
    assert whole["rows"][0] > facts["rows"][0]  # what fold 0 tests is trained on as well
    with (built / "metrics/pretrain/base.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert set(rows[0]) == {"epoch", "train_loss", "validation_loss", "reconstruction", "forecast", "contrast"}
    assert facts["options"]["losses"] == {"reconstruction": 1.0, "forecast": 0.5, "contrast": 0.1}
    assert whole["options"]["losses"] == facts["options"]["losses"] | {"temporal": 0.1}


def test_every_seed_has_a_pretraining_of_its_own_and_the_curve_is_their_mean(built: Path) -> None:
    home, losses = built / "data/checkpoints/pretrained/base", []
    seeds = [load_file(home / f"seed{seed}/weights.safetensors")["model.latents"] for seed in (1, 2)]
    assert not bool((seeds[0] == seeds[1]).all())
    for path in (home / "seed1/curve.csv", home / "seed2/curve.csv", built / "metrics/pretrain/base.csv"):
        with path.open() as file:
            losses.append([float(row["validation_loss"]) for row in csv.DictReader(file)])
    assert losses[2] == pytest.approx([(a + b) / 2 for a, b in zip(*losses[:2], strict=True)], rel=1e-5)


def test_every_start_and_what_it_is_held_against_learnt_from_as_many_windows(built: Path) -> None:
    points = json.loads((built / "metrics/transfer/simulated.json").read_text())["points"]
    assert [point["start"] for point in points] == sorted(["chance", "linear", *STARTS])
    assert len({point["windows"] for point in points}) == 1
    for point in points:
        assert ("minus_linear" in point) == (point["start"] in STARTS)
        assert ("minus_scratch" in point) == (point["start"] in STARTS[1:])
    others = {point["start"]: list(point["minus_other"]) for point in points if "minus_other" in point}
    assert others == {"finetune_whole": ["finetune_base"]}
    score = {point["start"]: point["score"] for point in points}
    for start in STARTS:
        report = json.loads((built / f"data/transfer/simulated/{start}-20/report.json").read_text())
        assert report["windows"] == points[0]["windows"]
        assert report["linear"] == pytest.approx(score["linear"], abs=1e-6)
        assert report["learning_rate"] == (0.0005 if start.startswith("finetune") else 0.003)
        assert report["validation_loss"] > 0


def test_a_probe_leaves_what_was_pretrained_and_finetuning_does_not(built: Path) -> None:
    for seed, (start, kept) in product((1, 2), zip(STARTS, (False, True, False, False), strict=True)):
        given = load_file(built / f"data/checkpoints/pretrained/base/seed{seed}/weights.safetensors")
        shared = [
            name for name in given if name.startswith(("model.fusion.", "model.dynamics.")) and given[name].ndim > 1
        ]
        made = load_file(built / f"data/transfer/simulated/{start}-20/best_fold0_seed{seed}.safetensors")
        same = [bool((made["backbone." + name.removeprefix("model.")] == given[name]).all()) for name in shared]
        assert all(same) if kept else not any(same)


def test_networks_and_linear_models_are_asked_with_the_same_modalities_missing(built: Path) -> None:
    points = json.loads((built / "metrics/multimodal/both.json").read_text())["points"]
    asked = {
        model: [(*point["learnt"], "->", *point["read"]) for point in points if point["model"] == model]
        for model in ("chance", "linear", "neurofmx")
    }
    spikes, field = "simulated/spikes", "simulated/lfp"
    both = (spikes, field, "->")
    whole = [(*both, spikes, field), (*both, field), (*both, spikes), (spikes, "->", spikes), (field, "->", field)]
    assert asked == {"chance": [("->",)], "linear": whole, "neurofmx": whole}
    assert all("minus_linear" in point for point in points if point["model"] == "neurofmx")
    assert len((built / "metrics/multimodal/both.md").read_text().splitlines()) == 2 + len(points)


def test_a_session_that_was_pretrained_on_is_refused_from_scratch_as_well(built: Path) -> None:
    pretrain = {"names": {"leak": {}}, "datasets": {"simulated": SPIKES}, "num_epochs": 1, "steps": 1}
    write_params(built, pretrain=pretrain, transfer={"starts": ["scratch"]})
    run_stage("pipeline/pretrain_tokens.py", "simulated")
    run_stage("pipeline/pretrain.py", "leak")
    try:
        with pytest.raises(
            SystemExit, match=r"SeenError: simulated: 1 of its sessions were pretrained on: simulated/se"
        ):
            run_stage("pipeline/transfer.py", "simulated", "scratch", "20")
    finally:
        write_params(built)
    assert (built / "data/transfer/simulated/scratch-20/report.json").is_file()  # a refusal loses nothing


def test_pretrainings_with_other_time_steps_cannot_be_compared(built: Path) -> None:
    other = SECTIONS["pretrain"] | {"names": {"base": {}, "short": {"datasets": ["before"]}}, "num_epochs": 1}
    write_params(built, pretrain=other, transfer={"starts": ["scratch"]})
    run_stage("pipeline/pretrain.py", "short")
    try:
        with pytest.raises(SystemExit, match=r"time steps of different lengths .*'base': 0.25, 'short': 0.5.*step_s"):
            run_stage("pipeline/transfer.py", "simulated", "scratch", "20")
    finally:
        write_params(built)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("simulate", "probe", "20"), r"transfer\.datasets: no simulate; there are simulated"),
        (("simulated", "frozen", "20"), r"transfer\.starts: no frozen; there are linear, scratch, probe_base, "),
        (("simulated", "probe_base", "2o"), r"transfer\.shares: no 2o; there are 20"),
    ],
)
def test_what_params_do_not_name_is_refused(built: Path, given: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        run_stage("pipeline/transfer.py", *given)


@pytest.mark.parametrize("script", ["pretrain_tokens", "pretrain", "transfer", "transfer_report", "multimodal"])
def test_every_script_says_what_it_takes(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_stage(f"pipeline/{script}.py", "--help")
    assert ended.value.code == 0
