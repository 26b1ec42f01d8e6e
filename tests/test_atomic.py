"""A file is whole or absent."""

import os
import stat
from pathlib import Path

import pytest

from neurofmx.atomic import atomic


def _fail_halfway(target: Path) -> None:
    with atomic(target) as path:
        path.write_text("half")
        raise OSError("disk full")


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "file.txt"
    with atomic(target) as path:
        path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        _fail_halfway(target)
    assert target.read_text() == "old"
    assert os.listdir(target.parent) == ["file.txt"]


def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic(tmp_path / "file") as path:
        path.touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "file")]
    assert modes[0] == modes[1]
