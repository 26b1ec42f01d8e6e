"""Raw folders of the real datasets, downloaded once and kept beside the repository's own downloads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from neurofmx.datasets import DATASETS
from neurofmx.recording import Recording

CACHE = Path(__file__).resolve().parents[1] / ".downloads"
_slow: dict[str, list[Recording]] = {}  # what took more than a second to read is kept for the tests to come


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
        recordings = DATASETS[name]().read(folder)
        if time.process_time() - began > 1:
            _slow[name] = recordings
        return recordings

    return get


def _download(name: str, folder: Path) -> Path | str:
    """From the mirror of the environment, else from the public source; or the reason why it cannot be had."""
    try:
        DATASETS[name]().download(folder, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=CACHE)
    except ConnectionError as error:
        return f"{name} is real data: set NEUROFMX_MIRROR or connect to its source ({error})"
    return folder
