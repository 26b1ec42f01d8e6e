"""Many files of a repository in one: the same bytes wherever it is packed, and nothing lost where it breaks off."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tests.datasets.server import Server

from neurofmx.datasets import DATASETS, cifar10_subset, fsdd
from neurofmx.datasets.access.bundle import fetch_repository_bundle, pack

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {f"words/{name}.wav": f"sound of {name}".encode() * 50 for name in ("b", "a", "c d")}


def packed(files: dict[str, bytes] = FILES) -> bytes:
    """What the bundle must hold, written by zipfile alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o600 << 16
            bundle.writestr(entry, files[name])
    return buffer.getvalue()


def serve(server: Server, files: dict[str, bytes] = FILES) -> None:
    server.files = {f"/o/r/{COMMIT}/{name.replace(' ', '%20')}": content for name, content in files.items()}


def fetch(server: Server, folder: Path, *, commit: str = COMMIT) -> Path:
    target = folder / "raw" / "words.zip"
    sha256 = hashlib.sha256(packed()).hexdigest()
    fetch_repository_bundle(
        "o/r", commit, list(FILES), target=target, sha256=sha256, cache=folder / "cache", host=server.url
    )
    return target


def test_files_are_packed_unchanged_and_the_cache_is_emptied(server: Server, tmp_path: Path) -> None:
    serve(server)
    target = fetch(server, tmp_path)
    assert target.read_bytes() == packed()
    with zipfile.ZipFile(target) as bundle:
        assert {name: bundle.read(name) for name in bundle.namelist()} == FILES
    assert not list((tmp_path / "cache").rglob("*.wav"))


def test_a_second_call_goes_on_where_the_first_stopped(server: Server, tmp_path: Path) -> None:
    serve(server, {name: content for name, content in FILES.items() if "c d" not in name})
    with pytest.raises(FileNotFoundError, match=r"c%20d.wav: the server has no such file"):
        fetch(server, tmp_path)
    assert not (tmp_path / "raw" / "words.zip").exists()
    serve(server)
    before = len(server.answers)
    assert fetch(server, tmp_path).read_bytes() == packed()
    assert len(server.answers) - before == 1, "the two files that were complete are not asked for again"


def test_a_changed_file_is_refused_and_forgotten(server: Server, tmp_path: Path) -> None:
    serve(server, FILES | {"words/a.wav": b"another sound"})
    with pytest.raises(ValueError, match=r"o/r at 0123.*, packed: wrong checksum"):
        fetch(server, tmp_path)
    serve(server)
    assert fetch(server, tmp_path).read_bytes() == packed(), "it starts anew"


def test_a_branch_is_no_commit(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"full hash of 40 hexadecimal digits, got 'main'"):
        fetch(server, tmp_path, commit="main")


@pytest.mark.parametrize("kind", [cifar10_subset, fsdd])
def test_the_real_files_packed_again_are_the_mirrors_file(
    kind: ModuleType, raw: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = kind.__name__.rpartition(".")[2]
    asked: list[str] = []

    def take(repository: str, commit: str, paths: list[str], *, target: Path, sha256: str, cache: Path) -> None:
        assert f"{repository} at {commit}" in DATASETS[name].source
        asked.extend(paths)
        pack(target, tmp_path / "files", sorted(paths))

    with zipfile.ZipFile(raw(name) / kind.FILE) as bundle:
        bundle.extractall(tmp_path / "files")
        inside = bundle.namelist()
    monkeypatch.setattr(kind, "fetch_repository_bundle", take)
    DATASETS[name]().download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    assert (tmp_path / "raw" / kind.FILE).read_bytes() == (raw(name) / kind.FILE).read_bytes()
    assert sorted(asked) == inside


def test_packing_knows_no_date(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    pack(tmp_path / "words.zip", tmp_path, sorted(FILES))
    assert (tmp_path / "words.zip").read_bytes() == packed()
