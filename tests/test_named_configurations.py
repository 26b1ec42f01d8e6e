"""The configurations *small* and *demo*: loaded as a user loads them, with the described values, and trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofmx.command.file import ParamsFile
from neurofmx.command.main import main
from neurofmx.command.values import as_yaml
from neurofmx.datasets.formats.characters import read_characters
from neurofmx.datasets.shared.base import Split
from neurofmx.models.decoding.build import build_decoder
from neurofmx.params import check_params, load_params, read_tree
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.cut import cut
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.training.batches import Batches
from neurofmx.training.loop import Trainer
from neurofmx.variants import variant_tree

ROOT = Path(__file__).parents[1]
TEXT = "datasets.wikitext2_bpe"
DESCRIBED = {
    "small": {
        "model": {
            "liquid_units": 128,
            "spiking_units": 64,
            "num_layers": 4,
            "hidden_dim": 256,
            "spike_threshold": 1.0,
            "beta": 0.95,
        },
        "train": {"learning_rate": 3e-4, "batch_size": 4},
        f"{TEXT}.preprocess": {"size": 50257},
        f"{TEXT}.tokenize": {"stop": 32.0, "stride": 32},
        f"{TEXT}.tokenize.tokenizer_options": {"embedding_dim": 768, "max_position_embeddings": 512},
    },
    "demo": {
        "model": {
            "liquid_units": 96,
            "spiking_units": 48,
            "num_layers": 3,
            "hidden_dim": 192,
            "num_attention_heads": 3,
            "cross_attn_heads": 3,
            "spike_threshold": 1.2,
            "beta": 0.8,
        },
        "train": {"learning_rate": 5e-4, "batch_size": 8},
        f"{TEXT}.preprocess": {"size": 30522},
        f"{TEXT}.tokenize": {"stop": 64.0, "stride": 64},
        f"{TEXT}.tokenize.tokenizer_options": {"embedding_dim": 256, "max_position_embeddings": 256},
    },
}
STEPS = 4


@pytest.fixture(scope="module", params=DESCRIBED)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ParamsFile]:
    """Name, and the params.yaml that `neurofmx config load` makes."""
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path_factory.mktemp("params")))
    assert main(["config", "--params", str(path), "load", str(ROOT / f"configs/{request.param}.yaml")]) == 0
    return request.param, ParamsFile(path)


def test_the_described_values_stand_in_params(loaded: tuple[str, ParamsFile]) -> None:
    name, file = loaded
    described = {f"{section}.{key}": value for section, all_ in DESCRIBED[name].items() for key, value in all_.items()}
    assert {key: file.value(key) for key in described} == described


def test_what_is_not_described_is_at_its_default(loaded: tuple[str, ParamsFile]) -> None:
    """But for the batches of an epoch, which keep a training on a CPU short."""
    name, file = loaded
    described = {f"{section}.{key}" for section, all_ in DESCRIBED[name].items() for key in all_} | {
        "train.max_batches"
    }
    own = [each for key, each in file.settings.items() if key.startswith(("model.", "train.")) and key not in described]
    assert [each.key for each in own if as_yaml(file.value(each.key)) != each.shown_default] == []


def text_of(path: Path) -> Windows:
    """This repository's own pages as a text, in the tokens and windows of the configuration."""
    pages = {"train": "CONTRIBUTING.md", "valid": "docs/archives.md", "test": "docs/tokenizers.md"}
    parts = [Recording("pages", part, {"text": read_characters(ROOT / page)}) for part, page in pages.items()]
    prepared = check_params(variant_tree(read_tree(path), "text_v1")).dataset("wikitext2_bpe")
    clean = list(PREPROCESS[prepared.modality].preprocess(parts, prepared.preprocess))
    split = Split("pages", kind="given", folds=1, validation="groups", test=("test",), held=("valid",), block=100.0)
    task = Task("next_token", "text", ())
    return cut(
        clean, signal="tokens", task=task, split=split, options=prepared.tokenize, modality="text", dataset="pages"
    )


def test_it_trains(loaded: tuple[str, ParamsFile], tmp_path: Path) -> None:
    """A few steps of its own batches: from knowing nothing of the vocabulary towards how often each token comes."""
    params = load_params(loaded[1].path)
    windows = text_of(loaded[1].path)
    options = params.train.model_copy(update={"max_batches": STEPS, "num_epochs": 2, "warmup_fraction": 0.0})
    torch.manual_seed(0)
    network = build_decoder("hybrid", params.model.config, params.head, windows, fold=0)
    batches = Batches(windows, 0, batch_size=options.batch_size, device=torch.device("cpu"), max_batches=STEPS)
    held = replace(batches.sample_validation, x=batches.sample_validation.x[:8])
    batches.sample_validation, batches.y_validation = held[torch.arange(8)], batches.y_validation[:8]
    trainer = Trainer(network, batches, options, seed=0, folder=tmp_path)
    before = trainer.validate()
    fitted = trainer.fit()
    assert before == pytest.approx(log(windows.task.width), rel=0.1)
    assert fitted.curve[1][1] < fitted.curve[0][1] < before + 0.2
    assert fitted.curve[1][2] < before - 0.05
    assert np.isfinite(fitted.curve).all()
