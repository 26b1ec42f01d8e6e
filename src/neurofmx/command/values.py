"""Values of params.yaml as text, and text as values."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML, YAMLError

LINE = 100  # characters of a mapping on one line


def as_yaml(value: Any) -> str:
    """A value as it stands on one line of params.yaml.

    Example:
        >>> [as_yaml(value) for value in (None, True, 1e-5, (3, 3), {"unit": "bpe"}, "null")]
        ['null', 'true', '1e-05', '[3, 3]', '{unit: bpe}', "'null'"]
    """
    if isinstance(value, BaseModel):
        return as_yaml(value.model_dump())
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{as_yaml(key)}: {as_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_yaml(each) for each in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _quoted(value) if isinstance(value, str) else str(value)


def as_block(key: str, value: Any) -> str:
    """A value with its key as it stands on several lines of params.yaml; one that fits a line stands on one.

    Example:
        >>> print(as_block("variants", {"whole": {}, "small": {"model.num_layers": 2}}))
        variants:
          whole: {}
          small: {model.num_layers: 2}
    """
    one = f"{key}: {as_yaml(value)}"
    nested = isinstance(value, Mapping) and any(isinstance(each, Mapping) for each in value.values())
    if not isinstance(value, Mapping) or not (nested or len(one) > LINE):
        return one
    inside = (as_block(str(name), each) for name, each in value.items())
    return "\n".join([f"{key}:", *(f"  {line}" for block in inside for line in block.splitlines())])


def _quoted(text: str) -> str:
    """Text that YAML would take for something else, or for the end of a list, in quotes."""
    try:
        plain = YAML(typ="safe").load(f"[{text}]") == [text]
    except YAMLError:
        plain = False
    return text if plain else "'" + text.replace("'", "''") + "'"


def of_text(text: str) -> Any:
    """The value that a text stands for in params.yaml (YAML 1.2, as DVC reads it).

    Raises:
        ValueError: If it is no YAML.

    Example:
        >>> [of_text(text) for text in ("3", "1e-05", "null", "[1, 2]", "parallel", "{unit: bpe}")]
        [3, 1e-05, None, [1, 2], 'parallel', {'unit': 'bpe'}]
    """
    try:
        return YAML(typ="safe").load(io.StringIO(text))
    except YAMLError as error:
        raise ValueError(f"{text!r}: not a value of YAML; put text with special signs in quotes") from error
