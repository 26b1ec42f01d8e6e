"""Checkpoints: the same bytes for the same weights, nothing executable, damage is seen."""

from pathlib import Path

import pytest
import torch

from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from neurofmx.training.lock import locked


def test_round_trip_and_equal_bytes(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}
    for name in ("one", "two"):
        save_checkpoint(tmp_path / name, tensors, epoch=3, curve=[(1, 0.5)], best=float("inf"))
    read, facts = load_checkpoint(tmp_path / "one")
    assert torch.equal(read["a"], torch.arange(6.0).view(2, 3).T)
    assert int(read["b"]) == 3
    assert facts == {"epoch": 3, "curve": [[1, 0.5]], "best": float("inf")}
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_damage_and_absence_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train first"):
        load_checkpoint(tmp_path / "none")
    save_checkpoint(tmp_path / "cut", {"a": torch.zeros(100)})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged checkpoint"):
        load_checkpoint(tmp_path / "cut")


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "pickle")
    with pytest.raises(ValueError, match="damaged checkpoint"):
        load_checkpoint(tmp_path / "pickle")


def test_a_second_process_is_told_who_works_there(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "job"),
        pytest.raises(RuntimeError, match=r"process \d+ is at work in .*job"),
        locked(tmp_path / "job"),
    ):
        pass
    with locked(tmp_path / "job"):
        pass
