"""Raw folders of the real datasets, downloaded once and kept beside the repository's own downloads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from neurofmx.datasets import DATASETS

CACHE = Path(__file__).resolve().parents[1] / ".downloads"


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
    try:
        DATASETS[name]().download(folder, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=CACHE)
    except ConnectionError as error:
        return f"{name} is real data: set NEUROFMX_MIRROR or connect to its source ({error})"
    return folder
