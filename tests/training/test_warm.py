"""What is run before the clock begins changes no bit of a training; what a training took is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from tests.synthetic import synthetic_windows

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.one_job import fit
from neurofmx.training.options import TrainOptions
from neurofmx.training.recipe import Recipe
from neurofmx.training.warm import warm_up

SMALL = {"hidden_dim": 16}
HYBRID = SMALL | {"liquid_units": 16, "backbone_units": 8, "spiking_units": 16, "num_layers": 1, "num_spike_steps": 2}
HYBRID |= {"moe_experts": 2, "threshold_adaptation": 1.8, "num_gate_heads": 2, "cross_attn_heads": 2}
CONFIGS = {"hybrid": HYBRID, "lstm": SMALL, "mamba": SMALL, "transformer": SMALL, "neurofmx": {"size": "tiny"}}


def test_all_networks_are_asked() -> None:
    assert set(CONFIGS) == {name for name, family in MODELS.items() if family.network or family.build}


@pytest.mark.parametrize("family", CONFIGS)
def test_a_network_and_the_random_generators_stay_as_they_are(family: str) -> None:
    windows = synthetic_windows()
    torch.manual_seed(0)
    model = build_decoder(family, MODELS[family].config(**CONFIGS[family]), HeadConfig(), windows, fold=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training = windows.fold(0).train[:8]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    warm_up(model, Sample.of(windows, 0, training), torch.as_tensor(windows.y[training]))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert model.training


def test_a_training_has_the_same_bits_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = synthetic_windows()
    windows.save(tmp_path / "windows.h5")
    config = MODELS["hybrid"].config(**HYBRID)
    options = TrainOptions(num_epochs=3, batch_size=16, input_noise=0.1, mixed_precision=False)
    recipe, called = Recipe(tmp_path / "windows.h5", "hybrid", config, HeadConfig(), options), []
    for name in ("with", "without"):
        if name == "without":
            monkeypatch.setattr("neurofmx.training.one_job.warm_up", lambda *given: called.append(given))
        fit(recipe, 0, 7, tmp_path / name)
        AcceleratorState._reset_state(reset_partial_state=True)
    assert len(called) == 1
    for file in ("best.safetensors", "last.safetensors"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()
    cost = json.loads((tmp_path / "with/cost.json").read_text())
    batches = -(-len(windows.fold(0).train) // 16)
    assert (cost["epochs"], cost["steps"]) == (3, 3 * batches)
    assert 0 < cost["training_seconds"]
    assert 0 < cost["seconds"]
