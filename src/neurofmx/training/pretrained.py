"""Pretrained weights on the disk, with what must be known to use them: a folder for each seed of a pretraining."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from neurofmx.training.checkpoints.checkpoint import load_checkpoint

WEIGHTS = "weights.safetensors"


def of_seed(folder: Path, seed: int) -> Path:
    """Where a pretraining in `folder` keeps what it made with one seed."""
    return folder / f"seed{seed}"


def all_weights(folder: Path) -> list[Path]:
    """The weights of all seeds of a pretraining, in order."""
    return sorted(folder.glob(f"seed*/{WEIGHTS}"))


def load_pretrained(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and facts.

    Args:
        folder: Of one seed of a pretraining.

    Raises:
        FileNotFoundError: If there are none, naming what to do.
        ValueError: If the file is damaged.
    """
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"no pretrained weights in {folder}; name datasets in pretrain.datasets, the pretraining in pretrain.names "
            "and the seed in evaluate.seeds, then `dvc repro pretrain`"
        )
    return load_checkpoint(folder / WEIGHTS)
