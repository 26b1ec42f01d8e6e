"""Pretrained weights on the disk, with what must be known to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from neurofmx.training.checkpoints.checkpoint import load_checkpoint

WEIGHTS = "weights.safetensors"


def load_pretrained(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and facts.

    Raises:
        FileNotFoundError: If there are none, naming what to do.
        ValueError: If the file is damaged.
    """
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"no pretrained weights in {folder}; name datasets in pretrain.datasets and the folder's name in "
            "pretrain.names, then `dvc repro pretrain`"
        )
    return load_checkpoint(folder / WEIGHTS)
