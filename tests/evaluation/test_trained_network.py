"""A trained network is rebuilt from its folder alone, and what does not fit says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neurofmx.evaluation.trained_network import trained_network
from neurofmx.models.configs import HeadConfig, LstmConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.checkpoints.settings import Settings, save_settings
from synthetic import synthetic_windows

CONFIG, HEAD = LstmConfig(hidden_dim=8, num_layers=1), HeadConfig(pool="last")


def test_it_answers_as_it_did_when_it_was_saved(tmp_path: Path):
    windows = synthetic_windows()
    torch.manual_seed(1)
    decoder = build_decoder("lstm", CONFIG, HEAD, windows, fold=0).eval()
    save_checkpoint(tmp_path / "best_fold0_seed1.safetensors", decoder.state_dict())
    save_settings(tmp_path, Settings("lstm", CONFIG, HEAD))
    sample = Sample.of(windows, 0, np.arange(4))
    back = trained_network(tmp_path, windows, fold=0, seed=1).eval()
    np.testing.assert_array_equal(back.predict(sample), decoder.predict(sample))
    with pytest.raises(FileNotFoundError, match="best_fold0_seed2"):
        trained_network(tmp_path, windows, fold=0, seed=2)
    with pytest.raises(ValueError, match="weights for other windows than those of synthetic; train again"):
        trained_network(tmp_path, synthetic_windows(channels=5), fold=0, seed=1)


def test_without_training_it_says_how_to_train(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="train first"):
        trained_network(tmp_path, synthetic_windows(), fold=0, seed=1)
