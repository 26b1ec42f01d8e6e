"""The stage `benchmark` in real DVC, over what a test left as trained: asked, written down, held against that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from known_models import SMALL, with_samples
from neurofmx.benchmark.outputs.write import FILES
from neurofmx.evaluation.answers import out_of_fold, save_answers
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.pca import PcaConfig, PcaDecoder
from neurofmx.params import check_params
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.checkpoints.settings import Settings, save_settings
from neurofmx.training.checkpoints.stored import save_arrays
from pipeline_checkout import SMALL as SMALL_RUN
from pipeline_checkout import Checkout, copy_of_checkout
from synthetic import synthetic_windows

ITEM = {"simulated": {"kind": "simulated", "modality": "spikes"}}
STAGE = "benchmark@toy_v1"


@pytest.fixture
def toy(tmp_path: Path) -> Checkout:
    """A checkout with windows of spikes, a hybrid network's first weights, a fitted PCA and a linear model's answers.

    DVC is asked for the one stage: what it depends on lies there.
    """
    checkout = copy_of_checkout(tmp_path)
    (tmp_path / "dvc.lock").unlink()
    checkout.set(**{name: values for name, values in SMALL_RUN.items() if name not in ("datasets", "run")})
    checkout.set(
        run={"datasets": ITEM, "compare": ["pca"]},
    )
    checkout.forget_others()
    checkout.set(
        suites={"toy_v1": {"datasets": ITEM, "compare": [], "seeds": [42]}},
        benchmark={"suites": ["toy_v1"], **SMALL.model_dump(mode="json")},
    )
    base = synthetic_windows()
    counts = np.random.default_rng(0).poisson(2 + base.x.clip(-1, 3))
    windows = replace(with_samples(base, counts), dataset="simulated")
    windows.save(tmp_path / "data/tokens/simulated.h5")
    params = check_params(YAML(typ="safe").load(tmp_path / "params.yaml"))
    torch.manual_seed(0)
    chosen = params.named("model")
    decoder = build_decoder(chosen.family, chosen.config, params.head_of("simulated"), windows, fold=0)
    fitted = PcaDecoder.fit(windows, 0, PcaConfig(components=(3,), strengths=(1.0,)))
    checkpoints = tmp_path / "data/checkpoints/simulated"
    save_checkpoint(checkpoints / "model/best_fold0_seed42.safetensors", decoder.state_dict())
    save_settings(checkpoints / "model", Settings(chosen.family, chosen.config, params.head_of("simulated")))
    save_arrays(checkpoints / "pca/best_fold0.safetensors", fitted.arrays())
    save_settings(checkpoints / "pca", Settings("pca", PcaConfig()))
    linear = out_of_fold(windows, lambda fold: np.eye(2)[windows.y[windows.fold(fold).test]])
    save_answers(tmp_path / "data/scores/simulated/linear/answers.h5", linear[None])
    return checkout


def results(checkout: Checkout) -> dict[str, Any]:
    return json.loads((checkout.root / "metrics/benchmark/toy_v1/results.json").read_text())


def test_the_stage_asks_what_was_trained_and_again_when_the_suite_is_written_down(toy: Checkout) -> None:
    assert toy.ran(toy.run("dvc", "repro", "-s", STAGE).stdout) == [STAGE]
    first = results(toy)
    assert (first["suite"], list(first["models"])) == ("own windows", ["model", "pca"])
    for line in first["results"]:
        assert [part for part, each in line["parts"].items() if each["absent"]] == [], line["model"]
        assert line["parts"]["reconstruction"]["co_smoothing"]["metric"] == "co_smoothing_bits_per_spike_166.667ms"
    assert sorted(path.name for path in (toy.root / "metrics/benchmark/toy_v1").iterdir()) == sorted(FILES)
    assert toy.ran(toy.run("dvc", "repro", "-s", STAGE).stdout) == []

    toy.run("python", "pipeline/benchmark.py", "toy_v1", "--freeze")
    assert toy.ran(toy.run("dvc", "repro", "-s", STAGE).stdout) == [STAGE]
    again = results(toy)
    assert (again["suite"], again["frozen"], again["deviations"]) == ("toy-v1", True, [])
    parts = [[line["parts"] for line in each["results"]] for each in (first, again)]
    assert parts[0] == parts[1]
