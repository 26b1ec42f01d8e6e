"""Choose between the ways of computing one kernel.

Every kernel of this package is a function with a `path` argument. `reference` is plain torch: slow, readable and
available everywhere. `library` is the package that people would use instead of us. All paths of a kernel compute
the same numbers, so the choice is about speed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Literal, TypeVar

Path = Literal["reference", "library"]
Entry = TypeVar("Entry")


def pick(name: str, table: Mapping[str, Entry], *, argument: str) -> Entry:
    """Looks up a table entry by name and, for an unknown name, says what exists.

    Args:
        name: What the user asked for.
        table: The entries by name.
        argument: Name of the argument that `name` came from, for the message.

    Returns:
        The entry.

    Raises:
        ValueError: If there is no such entry.

    Example:
        >>> pick("rate", {"rate": 1, "potential": 2}, argument="method")
        1
        >>> pick("rates", {"rate": 1, "potential": 2}, argument="method")
        Traceback (most recent call last):
        ...
        ValueError: method must be one of rate, potential, got 'rates'; did you mean 'rate'?
    """
    if name in table:
        return table[name]
    nearest = get_close_matches(str(name), table, n=1, cutoff=0.0)[0]
    raise ValueError(f"{argument} must be one of {', '.join(table)}, got {name!r}; did you mean {nearest!r}?")


def import_library(module: str, *, install: str) -> ModuleType:
    """Imports the package behind `path="library"` when it is first needed.

    Args:
        module: Name of the module to import.
        install: What to hand to `pip install` where it is missing.

    Returns:
        The module.

    Raises:
        ImportError: If the package is not installed or can't be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"path='library' needs {module}, which can't be imported ({error}): "
            f"run `pip install {install}` or choose path='reference'"
        ) from error
