"""The stage's script over what is trained, in this process: an unknown suite, written down, held against itself."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from known_models import SMALL
from neurofmx.models.pca import PcaConfig, PcaDecoder
from neurofmx.params import Params, ParamsError, check_params
from neurofmx.training.checkpoints.settings import Settings, save_settings
from neurofmx.training.checkpoints.stored import save_arrays
from pipeline_checkout import ROOT
from synthetic import synthetic_windows


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
