"""Raw folders of the real datasets, downloaded once and kept beside the repository's own downloads."""

from __future__ import annotations

import os
from atexit import register
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from tests.datasets.own_files import example

from neurofmx.datasets import DATASETS, Dataset
from neurofmx.datasets.archive import Archive
from neurofmx.datasets.own.base import OwnRecordings

CACHE = Path(__file__).resolve().parents[1] / ".downloads"


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


def _download(name: str, folder: Path) -> Path | str:
    """From the mirror of the environment, else from the public source; or the reason why it cannot be had."""
    if issubclass(DATASETS[name], Archive) and "NEUROFMX_ARCHIVES" not in os.environ:
        return f"{name} is a large archive: set NEUROFMX_ARCHIVES=1 to take its default selection from there"
    try:
        dataset_of(name).download(folder, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=CACHE)
    except ConnectionError as error:
        return f"{name} is real data: set NEUROFMX_MIRROR or connect to its source ({error})"
    return folder
