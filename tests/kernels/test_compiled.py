"""Compiled code on disk: found again in a new process, and never that of another source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from neurofmx.kernels.cpu.compiled import digest

OUTER = "from inner import inner\nfrom neurofmx.kernels.cpu import compiled\ncompiled.__file__ = __file__\n"
OUTER += "@compiled.njit(cache=True)\ndef outer(x):\n    return inner(x)\n"
RUN = "import outer as m; y = m.outer(1.0); print(y, sum(m.outer.stats.cache_hits.values()))"


def run(folder: Path) -> str:
    """The answer of `outer` and how often it came from the cache, in a process of its own."""
    paths = os.pathsep.join([str(folder), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-B", "-c", RUN], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_edit_of_an_inner_file_is_never_ignored(tmp_path: Path) -> None:
    inner = "from numba import njit\n@njit\ndef inner(x):\n    return x + {}\n"
    (tmp_path / "outer.py").write_text(OUTER)
    (tmp_path / "inner.py").write_text(inner.format(1.0))
    assert run(tmp_path) == "2.0 0"
    assert run(tmp_path) == "2.0 1"
    (tmp_path / "inner.py").write_text(inner.format(5.0))
    assert run(tmp_path) == "6.0 0"


def test_the_name_is_that_of_the_sources_alone(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/a.py").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "b.txt").write_text("no source")
    assert digest(tmp_path) == first
    (tmp_path / "below/a.py").write_text("2")
    assert digest(tmp_path) != first
