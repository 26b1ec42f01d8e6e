"""Compile loops with numba, and keep the machine code on disk under a name that changes with any of their sources.

numba itself looks at the file of the outermost function alone: an edit of a function that it calls from another file
would go on running the old code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import pooch
from numba.core import config as _config

config: Any = _config  # to a type checker: its settings are made when it is imported


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with options, its cache in `cache_folder`.

    Args:
        **options: Those of `numba.njit`.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(cache_folder())  # numba reads it as it decorates
        try:
            return numba.njit(**options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate


@cache
def cache_folder() -> Path:
    """Where compiled loops are kept: below NUMBA_CACHE_DIR, or in the user's cache."""
    base = os.environ.get("NUMBA_CACHE_DIR") or Path(pooch.os_cache("neurofmx")) / "kernels"
    return Path(base) / digest(Path(__file__).parent)


def digest(folder: Path) -> str:
    """A name for the compiled loops of a folder, different after any edit of one of them."""
    sources = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        sources.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return sources.hexdigest()[:16]
