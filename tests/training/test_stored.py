"""Fitted weights: the bytes of a checkpoint, written and read where torch is not loaded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from neurofmx.training.checkpoints.stored import load_arrays, save_arrays


def test_a_file_is_that_of_a_checkpoint_of_the_same_numbers(tmp_path: Path) -> None:
    arrays = {"weight": np.arange(6.0).reshape(2, 3).T, "fold": np.array(3), "last": np.arange(10.0)[::-2]}
    save_arrays(tmp_path / "fitted", arrays, fold=1)
    save_checkpoint(tmp_path / "trained", {name: torch.tensor(each.copy()) for name, each in arrays.items()}, fold=1)
    assert (tmp_path / "fitted").read_bytes() == (tmp_path / "trained").read_bytes()
    read, facts = load_arrays(tmp_path / "fitted")
    assert facts == {"fold": 1}
    assert list(load_checkpoint(tmp_path / "fitted")[0]) == sorted(arrays)
    for name, array in arrays.items():
        assert read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def test_damage_and_absence_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train first"):
        load_arrays(tmp_path / "none")
    save_arrays(tmp_path / "cut", {"a": np.zeros(100)})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged checkpoint"):
        load_arrays(tmp_path / "cut")


@pytest.mark.parametrize(
    "module",
    ["params", "training.jobs", "training.checkpoints.stored", "training.checkpoints.settings", "evaluation.classical"],
)
def test_what_needs_no_network_loads_no_torch(module: str) -> None:
    asked = f"import sys, neurofmx.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
