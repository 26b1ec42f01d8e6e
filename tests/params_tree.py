"""params.yaml as a tree, with values set as `-S key=value` does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_TREE = YAML(typ="safe").load(Path(__file__).parents[1] / "params.yaml")


def params_tree(values: dict[str, Any] | None = None) -> dict[str, Any]:
    """The committed params.yaml with values by their dotted keys; sections on the way that are missing are made."""
    tree = copy.deepcopy(_TREE)
    for key, value in (values or {}).items():
        node = tree
        *path, last = key.split(".")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def dotted(changes: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments as dotted keys, `__` for a dot."""
    return {key.replace("__", "."): value for key, value in changes.items()}
