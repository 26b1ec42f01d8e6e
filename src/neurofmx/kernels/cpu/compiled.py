"""Compile loops with numba, and keep the machine code on disk under a name that changes with any of their sources.

numba's own cache has three gaps that this one closes. It looks at the file of the outermost function alone, so an edit
of a function that it calls from another file would go on running the old code. Two processes that save at once may give
the code for different types the same name, which then breaks every later process. And where the folder can't be
written, it fails or keeps the code beside the sources.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numba
import pooch
from filelock import FileLock
from numba.core import caching

_PATIENCE = 30  # seconds to wait for another process that saves
# Functions made by one factory would have one name. In machine code a number that counts the functions of the process
# keeps them apart, and code that two processes have saved has the same number for different ones: whoever loads both
# gets one of them twice. So they are numbered in the order in which their module makes them.
_MADE: dict[tuple[str, str], Iterator[int]] = defaultdict(count)


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with options and a cache of our own.

    Args:
        cache: Whether to keep the machine code in `cache_folder`; for the functions that Python calls, as these hold
            the code of all that they call themselves.
        **options: Those of `numba.njit`.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if "<locals>" in function.__qualname__:
            function.__qualname__ = f"{function.__qualname__}_{next(_MADE[function.__module__, function.__qualname__])}"
        compiled: Any = numba.njit(**options)(function)
        if cache:
            compiled._cache = _Cache(function)
        return compiled

    return decorate


class _Locator(caching.UserProvidedCacheLocator):
    """Where the machine code of a function is kept: with that of the same sources, whatever the folder of these."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._cache_path = str(cache_folder() / py_func.__module__)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        """The place, also if it can't be written, as something may be there to be read."""
        return cls(py_func, py_file)

    def get_source_stamp(self) -> bytes:
        """What says that the code is that of the sources: the folder's name."""
        return cache_folder().name.encode()


class _Implementation(caching.CompileResultCacheImpl):
    """How numba reads and writes machine code, in that place and no other."""

    _locator_classes = (_Locator,)


class _Cache(caching.FunctionCache):
    """numba's cache of one function; one process saves at a time, and what fails is compiled again and never fatal."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for some types of arguments, or `None` where there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # no such folder, no right to read it, a file cut off: all the same here
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Saves the machine code for some types of arguments."""
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
            with FileLock(cache_folder() / "lock", timeout=_PATIENCE):
                super().save_overload(sig, data)
        except Exception as error:
            _warn_that_nothing_is_kept(getattr(error, "strerror", None) or repr(error))


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


@cache
def _warn_that_nothing_is_kept(why: str) -> None:
    """Says so once for every reason, whatever the number of loops."""
    warnings.warn(
        f"compiled loops can't be kept in {cache_folder()} ({why}), so every process compiles them anew: "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        stacklevel=2,
    )
