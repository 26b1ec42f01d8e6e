"""Raw folders of the real datasets, downloaded once and kept beside the repository's own downloads."""

from __future__ import annotations

import os
import time
from atexit import register
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from tests.datasets.own_files import example

from neurofmx.datasets import DATASETS, Dataset
from neurofmx.datasets.own.base import OwnRecordings
from neurofmx.datasets.shared.archive import Archive
from neurofmx.recordings.recording import Recording

CACHE = Path(__file__).resolve().parents[1] / ".downloads"
_slow: dict[str, list[Recording]] = {}  # what took more than a second to read is kept for the tests to come


@cache
def dataset_of(name: str) -> Dataset:
    """A dataset with its default options; a kind for one's own files with those of a small file, written here."""
    if issubclass(DATASETS[name], OwnRecordings):
        folder = Path(mkdtemp(prefix="neurofmx-own-"))
        register(rmtree, folder, ignore_errors=True)
        return DATASETS[name](**example(name, folder))
    return DATASETS[name]()


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`raw(name)` is the raw folder of a dataset with its default options; skips where it cannot be had."""
    folders: dict[str, Path | str] = {}

    def get(name: str) -> Path:
        if name not in folders:
            folders[name] = _download(name, tmp_path_factory.mktemp("raw") / name)
        found = folders[name]
        return found if isinstance(found, Path) else pytest.skip(found)

    return get


@pytest.fixture(scope="session")
def read(raw: Callable[[str], Path]) -> Callable[[str], list[Recording]]:
    """`read(name)` are the recordings of a dataset with its default options; skips where they cannot be had."""

    def get(name: str) -> list[Recording]:
        if name in _slow:
            return _slow[name]
        folder, began = raw(name), time.process_time()
        recordings = dataset_of(name).read(folder)
        if time.process_time() - began > 1:
            _slow[name] = recordings
        return recordings

    return get


def _download(name: str, folder: Path) -> Path | str:
    """From the mirror of the environment, else from the public source; or the reason why it cannot be had."""
    if issubclass(DATASETS[name], Archive) and "NEUROFMX_ARCHIVES" not in os.environ:
        return f"{name} is a large archive: set NEUROFMX_ARCHIVES=1 to take its default selection from there"
    try:
        dataset_of(name).download(folder, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=CACHE)
    except ConnectionError as error:
        return f"{name} is real data: set NEUROFMX_MIRROR or connect to its source ({error})"
    return folder
