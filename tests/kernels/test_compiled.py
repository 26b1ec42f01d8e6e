"""Compiled code on disk: found again in a new process, never that of another source, and no trouble if it fails."""

from __future__ import annotations

import inspect
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("numba")

from neurofmx.kernels import cpu
from neurofmx.kernels.cpu.compiled import digest

OUTER = "from inner import inner\nfrom neurofmx.kernels.cpu import compiled\ncompiled.__file__ = __file__\n"
OUTER += "@compiled.njit(cache=True)\ndef outer(x):\n    return inner(x)\n"
OUTER += "@compiled.njit(cache=True)\ndef other(x):\n    return inner(x)\n"
INNER = "from numba import njit\n@njit\ndef inner(x):\n    return x + {}\n"
RUN = "import outer as m; y = m.outer(1.0); print(y, sum(m.outer.stats.cache_hits.values()))"
# A file says that a process has read the index: both have, before either writes it, unless one waits for the other.
RACE = """
import sys, time
from pathlib import Path
from numba.core.caching import IndexDataCacheFile as File
save, mine, others = File._save_index, Path(sys.argv[1]), Path(sys.argv[2])
def slowly(self, overloads):
    mine.touch()
    end = time.monotonic() + 1.5
    while not others.exists() and time.monotonic() < end:
        time.sleep(0.01)
    save(self, overloads)
File._save_index = slowly
import outer as m
m.outer(eval(sys.argv[3]))
"""


@pytest.fixture(autouse=True)
def _sources(tmp_path: Path) -> None:
    """A loop that calls one from another file."""
    (tmp_path / "outer.py").write_text(OUTER)
    (tmp_path / "inner.py").write_text(INNER.format(1.0))


def start(folder: Path, *arguments: str, kept: str = "cache") -> subprocess.Popen[str]:
    """A process of its own that can import the loops."""
    paths = os.pathsep.join([str(folder), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(folder / kept)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-B", "-c", *arguments], env=environment, text=True, **pipes)


def run(folder: Path, *arguments: str, kept: str = "cache") -> tuple[str, str]:
    """What a process says: usually the answer of `outer` and how often it came from the cache; and its complaints."""
    process = start(folder, *(arguments or (RUN,)), kept=kept)
    out, complaints = process.communicate(timeout=100)
    assert process.returncode == 0, complaints
    return out.strip(), complaints


def test_an_edit_of_an_inner_file_is_never_ignored(tmp_path: Path) -> None:
    assert run(tmp_path) == ("2.0 0", "")
    assert run(tmp_path) == ("2.0 1", "")
    (tmp_path / "inner.py").write_text(INNER.format(5.0))
    assert run(tmp_path) == ("6.0 0", "")


def test_two_processes_that_compile_at_once_keep_both(tmp_path: Path) -> None:
    marks = str(tmp_path / "first"), str(tmp_path / "second")
    racers = [start(tmp_path, RACE, *marks, "1.0"), start(tmp_path, RACE, *marks[::-1], "1")]
    for racer in racers:
        _, complaints = racer.communicate(timeout=100)
        assert (racer.returncode, complaints) == (0, "")
    again = "import outer as m; print(m.outer(1.0), m.outer(7), sum(m.outer.stats.cache_hits.values()))"
    assert run(tmp_path, again) == ("2.0 8.0 2", "")


def test_a_folder_that_can_not_be_written_is_said_once_and_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # below which nothing can be made, not even by root
    out, complaints = run(tmp_path, "import outer as m; print(m.outer(1.0), m.other(2.0))", kept="file/below")
    assert out == "2.0 3.0"
    assert complaints.count("UserWarning") == 1
    assert "compiled loops can't be kept in" in complaints
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in complaints


def test_a_file_that_was_cut_off_is_compiled_again(tmp_path: Path) -> None:
    run(tmp_path)
    for data in (tmp_path / "cache").rglob("*.nbc"):
        data.write_bytes(data.read_bytes()[:100])
    assert run(tmp_path) == ("2.0 0", "")
    assert run(tmp_path) == ("2.0 1", "")


def test_the_name_is_that_of_the_sources_alone(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    (folder / "below").mkdir(parents=True)
    (folder / "below/a.py").write_text("1")
    first = digest(folder)
    (folder / "b.txt").write_text("no source")
    assert digest(folder) == first
    (folder / "below/a.py").write_text("2")
    assert digest(folder) != first


def test_every_loop_that_python_calls_is_kept() -> None:
    modules = [import_module(f"{cpu.__name__}.{module.name}") for module in pkgutil.iter_modules(cpu.__path__)]
    loops = [value for module in modules for value in vars(module).values() if hasattr(value, "py_func")]
    over_jobs = [loop for loop in loops if list(inspect.signature(loop.py_func).parameters)[1:2] == ["last"]]
    assert len(over_jobs) > 10
    assert [loop.py_func.__module__ for loop in over_jobs if loop._cache.cache_path is None] == []
