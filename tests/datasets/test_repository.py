"""Files of a repository at a commit, from a server that answers as the real one does."""

import hashlib
from pathlib import Path

import pytest
from tests.datasets.server import Server

from neurofmx.datasets.access.repository import fetch_repository_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BODY = b"spike times"
SUM = hashlib.sha256(BODY).hexdigest()


def fetch(server: Server, folder: Path, *, commit: str = COMMIT, path: str = "Real data/spikes.mat") -> None:
    fetch_repository_files(
        "zivlab/code",
        commit,
        paths={"spikes.mat": path},
        checksums={"spikes.mat": SUM},
        folder=folder / "raw",
        cache=folder / "cache",
        host=server.url,
    )


def test_a_file_at_a_commit_with_a_blank_in_its_path(server: Server, tmp_path: Path) -> None:
    server.files = {f"/zivlab/code/{COMMIT}/Real%20data/spikes.mat": BODY}
    fetch(server, tmp_path)
    assert (tmp_path / "raw" / "spikes.mat").read_bytes() == BODY


def test_what_is_not_there_or_changed_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"spikes.mat: the server has no such file"):
        fetch(server, tmp_path)
    server.files = {f"/zivlab/code/{COMMIT}/Real%20data/spikes.mat": b"other bytes"}
    with pytest.raises(ValueError, match="wrong checksum"):
        fetch(server, tmp_path)
    assert not (tmp_path / "raw" / "spikes.mat").exists()


def test_a_branch_is_no_commit(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"full hash of 40 hexadecimal digits, got 'main'"):
        fetch(server, tmp_path, commit="main")
