"""Choose between the ways of computing one kernel.

Every kernel of this package is a function with a `path` argument. `reference` is plain torch: slow, readable and
available everywhere. `library` is the package that people would use instead of us. All paths of a kernel compute
the same numbers, so the choice is about speed alone.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Literal

Path = Literal["reference", "library"]


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
