"""Weights as safetensors: arrays and one line of JSON, nothing that loading would execute. Nothing here needs torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from neurofmx.atomic import atomic


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], **facts: Any) -> None:
    """Write arrays and JSON facts in one file, the same bytes for the same content; never half a file.

    Args:
        path: Where to write.
        arrays: Weights by name.
        **facts: What JSON can hold, read back by `load_arrays`.
    """
    held = {name: np.array(value, order="C") for name, value in arrays.items()}
    with atomic(path) as part:
        save_file(held, part, metadata=as_metadata(facts))


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote.

    Args:
        path: A file of weights.

    Returns:
        The arrays and the facts.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the file is damaged.
    """
    return read(path, framework="numpy")


def read(path: Path, *, framework: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors of a framework that safetensors knows, and the facts; raises as `load_arrays` does."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; train first (`dvc repro train@DATASET`)")
    try:
        with safe_open(path, framework=framework) as file:  # type: ignore[no-untyped-call]
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, json.loads((file.metadata() or {}).get("facts", "{}"))
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged checkpoint ({error}); delete it and train again") from error


def as_metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts under one key: with more than one the order in the file, and so its bytes, would vary."""
    return {"facts": json.dumps(facts, sort_keys=True)}
