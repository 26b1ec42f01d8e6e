"""Fixtures of the tokenizer tests: folders of real recordings."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.raw_folders import raw

from neurofmx.datasets import DATASETS

__all__ = ["folder", "raw"]


@pytest.fixture
def folder(raw: Callable[[str], Path]) -> Callable[[str], Path]:
    """`folder(name)` is the raw folder of a dataset, or that of the mirror; skips if there is none."""

    def get(name: str) -> Path:
        if name in DATASETS and name != "dlc_openfield":  # of which pictures are wanted: its default is the film
            return raw(name)
        found = Path(os.environ.get("NEUROFMX_MIRROR") or "no mirror") / name
        return found if found.is_dir() else pytest.skip(f"{name} is real data: set NEUROFMX_MIRROR to a folder with it")

    return get
