"""The comparison with the known truth, by the command of dvc.yaml, on two short sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.pipeline.test_foundation import stages
from tests.pipeline.test_own_data import run_stage

from neurofmx.known_truth.sessions import STREAMS
from pipeline_checkout import ROOT

SECTIONS: dict[str, dict[str, Any]] = {
    "models": {
        "neurofmx": {"hidden_dim": 16, "num_layers": 1, "latents": 2, "latent_layers": 1, "num_attention_heads": 2}
    },
    "evaluate": {"draws": 100, "seeds": [42, 43]},
    "known_truth": {
        "names": ["two"],
        "seeds": [0, 1],
        "minutes": 1.5,
        "units": 8,
        "pretrain": {"num_epochs": 1, "steps": 2, "batch_size": 16},
        "workers": 1,
        "particles": 300,  # fewer lose the heading, and then a linear model beats the bound
    },
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder in which the stage has run."""
    root = tmp_path_factory.mktemp("known_truth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("DVC_ROOT", raising=False)
        tree = YAML(typ="safe").load(ROOT / "params.yaml")
        for section, values in SECTIONS.items():
            tree[section] |= values
        YAML(typ="safe").dump(tree, root / "params.yaml")
        (stage,) = stages("known_truth", tree)
        run_stage(*stage.command)
        assert all((root / out).exists() for out in stage.outs)
        yield root


def test_every_question_has_a_line_beside_its_bound(built: Path) -> None:
    result = json.loads((built / "metrics/known_truth/two.json").read_text())
    asked = [(each["part"], each["what"], each["metric"]) for each in result["lines"]]
    hidden = [f"hidden {kind} {stream}" for kind in ("channels of", "time of", "modality") for stream in STREAMS]
    ahead = [f"{ms} ms ahead, {stream}" for ms in (100, 200) for stream in STREAMS]
    heading = ["all modalities", *(f"without {s}" for s in STREAMS), *(f"{s} alone" for s in STREAMS)]
    parts = ("decoding", "missing", "alone")
    assert [what for part, what, metric in asked if part == "reconstruction" and metric == "R2"] == hidden
    assert [what for part, what, metric in asked if part == "forecast" and metric == "R2"] == ahead
    assert [what for part, what, _ in asked if part in parts] == [f"heading, {each}" for each in heading]
    assert sum(metric == "bits/spike" for _, _, metric in asked) == 5
    for line in result["lines"]:
        assert line["model"]["low"] <= line["model"]["value"] <= line["model"]["high"]
        assert ("persistence" in line) == (line["part"] == "forecast" and line["metric"] == "R2")
        assert line["verdict"] in ("reaches", "short")  # two steps of training see nothing they should not


def test_the_truth_bounds_the_linear_model(built: Path) -> None:
    for line in json.loads((built / "metrics/known_truth/two.json").read_text())["lines"]:
        assert line["linear"]["value"] < line["bound"]["value"] + 0.03, line["what"]


def test_sessions_are_asked_of_states_with_and_without_a_branch(built: Path) -> None:
    domains = json.loads((built / "metrics/known_truth/two.json").read_text())["domains"]
    assert [each["what"] for each in domains] == [
        "without a domain branch",
        "with a domain branch",
        "the known latents",
    ]
    assert all(each["bound"] == 0.5 for each in domains)
    assert ["heading" in each for each in domains] == [True, True, False]


def test_the_table_has_every_line_and_the_weights_are_kept(built: Path) -> None:
    result = json.loads((built / "metrics/known_truth/two.json").read_text())
    page = (built / "metrics/known_truth/two.md").read_text()
    assert sum(line.startswith("| ") for line in page.splitlines()) == len(result["lines"]) + len(result["domains"]) + 4
    assert "Fall short of the bound" in page
    assert "over tested blocks and 2 networks of each kind (seeds 42, 43)" in page
    read = {
        (place, seed): (built / f"data/known_truth/two/{place}/seed{seed}/weights.safetensors").read_bytes()
        for place in ("without", "with")
        for seed in (42, 43)
    }
    assert len(set(read.values())) == 4
    assert not list((built / ".resume").glob("*"))


def test_an_unknown_name_is_refused(built: Path) -> None:
    with pytest.raises(SystemExit, match=r"known_truth.names=\['two'\] has no three"):
        run_stage("pipeline/known_truth.py", "three")
