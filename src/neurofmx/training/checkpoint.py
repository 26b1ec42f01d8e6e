"""Checkpoints as safetensors: tensors and one line of JSON, nothing that loading would execute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from neurofmx.atomic import atomic


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor | np.ndarray], **facts: Any) -> None:
    """Write tensors and JSON facts in one file, the same bytes for the same content; never half a file.

    Args:
        path: Where to write.
        tensors: Weights by name.
        **facts: What JSON can hold, read back by `load_checkpoint`.
    """
    held = {name: torch.as_tensor(value).detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic(path) as part:
        # with more than one key the order in the file, and so its bytes, would vary
        save_file(held, part, metadata={"facts": json.dumps(facts, sort_keys=True)})


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
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; train first (`dvc repro train@DATASET`)")
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, json.loads((file.metadata() or {}).get("facts", "{}"))
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged checkpoint ({error}); delete it and train again") from error
