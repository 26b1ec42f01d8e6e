"""Checkpoints of networks: tensors and one line of JSON in a file of `neurofmx.training.checkpoints.stored`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from neurofmx.atomic import atomic
from neurofmx.training.checkpoints.stored import as_metadata, read


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], **facts: Any) -> None:
    """Write tensors and JSON facts in one file, the same bytes for the same content; never half a file.

    Args:
        path: Where to write.
        tensors: Weights by name.
        **facts: What JSON can hold, read back by `load_checkpoint`.
    """
    held = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic(path) as part:
        save_file(held, part, metadata=as_metadata(facts))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: A checkpoint.

    Returns:
        The tensors on the CPU, and the facts.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the file is damaged.
    """
    return read(path, framework="pt")
