"""The stage's script over what is trained, in this process: an unknown suite, written down, held against itself."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from known_models import SMALL
from neurofmx.foundation.options import PretrainOptions
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.pca import PcaConfig, PcaDecoder
from neurofmx.models.table import MODELS
from neurofmx.params import Params, ParamsError, check_params
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.joining import join
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.checkpoints.settings import Settings, save_settings
from neurofmx.training.checkpoints.stored import save_arrays
from neurofmx.training.pretrained import WEIGHTS, of_seed
from pipeline_checkout import ROOT
from synthetic import ragged_windows, synthetic_windows

TINY = NeurofmxConfig(
    hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2, dropout=0.0, step_s=0.5
)


def params(**benchmark: Any) -> Params:
    """The checkout's, with a suite of one dataset."""
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    item = {"simulated": {"kind": "simulated", "modality": "spikes"}}
    tree["suites"] = {"tiny_v1": {"datasets": item, "compare": [], "seeds": [1]}}
    tree["benchmark"] = SMALL.model_dump(mode="json") | benchmark
    tree["evaluate"]["seeds"] = [1]
    return check_params(tree)


def test_the_stage_asks_what_is_trained_and_holds_it_against_what_was_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main = import_module("benchmark").main
    windows = replace(synthetic_windows(), dataset="simulated")
    windows.save(Path("data/tokens/simulated.h5"))
    fitted = PcaDecoder.fit(windows, 0, PcaConfig(components=(3,), strengths=(1.0,)))
    save_arrays(Path("data/checkpoints/simulated/pca/best_fold0.safetensors"), fitted.arrays())
    save_settings(Path("data/checkpoints/simulated/pca"), Settings("pca", PcaConfig()))

    def asked(**changes: Any) -> dict[str, Any]:
        main(params(**changes), "tiny_v1", False, "pca")
        return json.loads(Path("metrics/benchmark/tiny_v1/results.json").read_text())

    first = asked()
    assert (first["suite"], first["frozen"]) == ("own windows", False)
    main(params(), "tiny_v1", True, None)
    assert "tiny-v1.json: 1 datasets, seeds 1" in capsys.readouterr().out
    again = asked()
    assert (again["suite"], again["frozen"], again["deviations"]) == ("tiny-v1", True, [])
    assert again["results"] == first["results"]
    other = asked(episodes=10)
    assert [each["said"] for each in other["deviations"]] == ["episodes is 10, the suite has 20"]


def pretrained(folder: Path, *, seen: str) -> None:
    """First weights of a model of two sessions' units, said to have seen a recording, as the stage would leave them."""
    each = [synthetic_windows(windows=60, seed=k) for k in range(2)]
    origins = tuple(Origin(f"mouse/{name}", "mouse", (name,)) for name in "ab")
    windows = replace(ragged_windows(each), dataset="early", origins=origins, species="mouse")
    torch.manual_seed(1)
    network, _ = assemble(TINY, [join({"mice/spikes": windows}, tolerance=0.0)])
    facts = {
        "config": TINY.model_dump(),
        "step_s": network.model.step_s,
        "streams": {"mice/spikes": {"dataset": "early", "modality": "spikes", "channels": list(windows.channels)}},
        "seen": [{"dataset": "early", "recording": f"mouse/{seen}", "files": [seen], "alone": True}],
        "options": PretrainOptions().model_dump(),
    }
    for seed in params().evaluate.seeds:
        save_checkpoint(of_seed(folder, seed) / WEIGHTS, network.state_dict(), **facts)


def test_a_pretraining_is_asked_by_command_and_refused_where_it_has_seen_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main = import_module("benchmark").main
    origins = (Origin("mouse/c", "mouse", ("c",)),)
    replace(synthetic_windows(), dataset="simulated", origins=origins).save(Path("data/tokens/simulated.h5"))

    def asked(name: str) -> dict[str, Any]:
        main(params(), "tiny_v1", False, f"pretrained:{name}")
        return json.loads(Path("metrics/benchmark/tiny_v1/results.json").read_text())

    pretrained(Path("data/checkpoints/pretrained/other"), seen="a")
    main(params(), "tiny_v1", True, None)
    (line,) = asked("other")["results"]
    assert line["model"] == "pretrained:other"
    assert not line["parts"]["reconstruction"]["own"]["absent"]
    assert line["parts"]["decoding"]["read_by"] == "linear probe"
    pretrained(Path("data/checkpoints/pretrained/same"), seen="c")
    found = asked("same")
    said = "pretrained:same is not asked about simulated: simulated: 1 of its sessions were pretrained on: mouse/c"
    assert found["pretraining"][0]["said"].startswith(said)
    assert not found["frozen"]
    assert said in Path("metrics/benchmark/tiny_v1/table.md").read_text()
    assert said in Path("metrics/benchmark/tiny_v1/report.html").read_text()
    with pytest.raises(FileNotFoundError, match=r"no pretrained weights in data/checkpoints/pretrained/nobody"):
        asked("nobody")


def test_two_models_more_may_be_asked_about_the_suite_that_comes_with_the_package() -> None:
    """`suite.py core_v1 --also pca,neurofmx`. Of its datasets two are texts, which every model reads."""
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    tree["suites"]["core_v1"]["compare"] += ["pca", "neurofmx"]
    suite = check_params(tree).suite("core_v1")
    assert [item.modality for item in suite.datasets.values()].count("text") == 2
    assert MODELS[check_params(tree).named("neurofmx").family].build
    assert check_params(tree).named("neurofmx").config == NeurofmxConfig(size="tiny")


def test_a_benchmark_of_an_unknown_suite_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"unknown suite in benchmark\.suites 'core_v9'"):
        params(suites=["core_v9"])


def test_the_suite_that_comes_with_the_package_names_the_datasets_and_seeds_of_params() -> None:
    from neurofmx.benchmark.suite import load_suite

    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    frozen, suite = load_suite("core-v1"), tree["suites"]["core_v1"]
    assert load_suite("core_v1") == frozen
    assert list(frozen.seeds) == suite["seeds"]
    found = {name: {"kind": each.kind, "modality": each.modality} for name, each in frozen.datasets.items()}
    assert found == suite["datasets"]
    assert frozen.options == check_params(tree).benchmark.asked
