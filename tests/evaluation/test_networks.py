"""Answers of trained networks under harm are asked as those without, so that what is kept is kept of the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.test_language_models import HYBRID, text_windows
from tests.tokenizers.test_text_windows import part

from neurofmx.evaluation.answered import Answered
from neurofmx.evaluation.context import Context
from neurofmx.evaluation.networks import network_answers
from neurofmx.evaluation.robustness import Robustness
from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.checkpoints.settings import Settings, save_settings
from synthetic import synthetic_windows


def answers(
    folder: Path, windows: Windows, family: str, *, context: Context = 0.0, deaf: bool = False, **options: object
) -> Answered:
    """Of a network that was never trained; a deaf one does not listen to its spikes."""
    torch.manual_seed(0)
    config = MODELS[family].config(hidden_dim=16, num_layers=2, **options)
    decoder = build_decoder(family, config, HeadConfig(), windows, fold=0)
    weights = decoder.state_dict()
    for name in weights:
        if deaf and name.endswith("adapter.projection.weight"):
            weights[name] = torch.zeros_like(weights[name])
    save_settings(folder, Settings(family, config, HeadConfig()))
    for fold in range(windows.folds):
        save_checkpoint(folder / f"best_fold{fold}_seed1.safetensors", weights)
        save_checkpoint(folder / f"last_fold{fold}_seed1.safetensors", weights, curve=[(0, 1.0, 2.0)])
    asked = {"context": context, "precision": "float32", "robustness": Robustness(silenced=(3, 0.5, 1000))}
    return network_answers(windows, folder, seeds=[1], **asked)


@pytest.mark.parametrize("context", [0.0, 0.5, "carried"])
def test_silent_neurons_that_nobody_hears_change_no_answer_whatever_was_read_before(
    context: Context, tmp_path: Path
) -> None:
    made = text_windows(None, parts=[part("train"), part("valid"), part("test", tokens=61)])
    said = answers(tmp_path, made, "hybrid", context=context, deaf=True, **HYBRID)
    assert list(said.harmed) == ["silenced_3", "silenced_0.5"]
    for harmed in said.harmed.values():
        np.testing.assert_array_equal(harmed, said.outputs)
    heard = answers(tmp_path, made, "hybrid", context=context, **HYBRID)
    for harmed in heard.harmed.values():
        assert np.abs(harmed - heard.outputs).max() > 1e-4


def test_the_report_can_say_how_many_there_are(tmp_path: Path) -> None:
    windows = synthetic_windows(channels=6)
    populations = {**HYBRID, "use_population_coding": True, "population_size": 3}
    for family, options, what, of in (
        ("hybrid", HYBRID, "spiking neurons of each block", 16),
        ("hybrid", populations, "spiking neurons of each block", 48),
        ("lstm", {}, "input channels", 6),
    ):
        said = answers(tmp_path, windows, family, **options)
        assert (said.silenced, said.silenced_of) == (what, of)
        assert list(said.harmed) == ["silenced_3", "silenced_0.5"]
