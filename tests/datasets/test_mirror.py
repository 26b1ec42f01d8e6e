"""Datasets from a folder or server of one's own, and what happens where it lacks a file."""

import hashlib
import logging
from pathlib import Path
from typing import ClassVar

import pytest
from tests.datasets.server import Server

from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Source
from neurofmx.recordings.task import Task

FILES = {"S001/run.edf": b"signals", "labels.txt": b"labels"}


class Toy(Dataset):
    """Two small files; the public source of `offline` cannot be reached."""

    name: ClassVar[str] = "toy"
    modalities: ClassVar[tuple[Modality, ...]] = ("eeg",)
    species: ClassVar[str] = "none"
    licence: ClassVar[str] = "CC0"
    citation: ClassVar[str] = "none"
    homepage: ClassVar[str] = "none"
    source: ClassVar[str] = "memory"
    offline: bool = False

    @property
    def task(self) -> Task:
        return Task("classification", "label", ("a", "b"))

    @property
    def split(self) -> Split:
        return Split("toy-v1", "groups", 2, "tail")

    @property
    def expected(self) -> Expected:
        return Expected("eeg", 1, 1, 1.0)

    def checksums(self) -> dict[str, str]:
        return {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        if self.offline:
            raise ConnectionError(f"cannot download {names[0]}")
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(FILES[name])
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        return [Recording("toy", "1", sources=tuple(sources.values()))]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder that holds both files."""
    for name, content in FILES.items():
        path = tmp_path / "mirror" / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "mirror"


def _holds_all(folder: Path) -> bool:
    return all((folder / name).read_bytes() == content for name, content in FILES.items())


def test_a_folder_replaces_the_source(mirror: Path, tmp_path: Path) -> None:
    Toy(offline=True).download(tmp_path / "raw", mirror=str(mirror), cache=tmp_path / "cache")
    assert _holds_all(tmp_path / "raw")


def test_a_server_replaces_the_source(server: Server, tmp_path: Path) -> None:
    server.files = {f"/data/toy/{name}": content for name, content in FILES.items()}
    Toy(offline=True).download(tmp_path / "raw", mirror=f"{server.url}/data/", cache=tmp_path / "cache")
    assert _holds_all(tmp_path / "raw")


def test_the_manifest_is_the_same_from_every_source(mirror: Path, tmp_path: Path) -> None:
    for name, where in (("a", str(mirror)), ("b", None), ("b", None)):
        Toy().download(tmp_path / name, mirror=where, cache=tmp_path / "cache")
    manifests = [(tmp_path / name / "MANIFEST.json").read_bytes() for name in ("a", "b")]
    assert manifests[0] == manifests[1]
    assert str(tmp_path).encode() not in manifests[0]


def test_what_a_folder_lacks_comes_from_the_source_with_one_line(
    mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (mirror / "toy" / "labels.txt").unlink()
    with caplog.at_level(logging.INFO):
        Toy().download(tmp_path / "raw", mirror=str(mirror), cache=tmp_path / "cache")
    assert _holds_all(tmp_path / "raw")
    assert [r.getMessage() for r in caplog.records if "mirror" in r.getMessage()] == [
        f"mirror {mirror} lacks labels.txt of toy: using the public source"
    ]


def test_what_a_server_lacks_is_named_where_the_source_is_out_of_reach(server: Server, tmp_path: Path) -> None:
    server.files = {"/toy/S001/run.edf": FILES["S001/run.edf"]}
    with pytest.raises(ConnectionError, match=r"cannot download labels.txt"):
        Toy(offline=True).download(tmp_path / "raw", mirror=server.url, cache=tmp_path / "cache")
    assert not (tmp_path / "raw" / "MANIFEST.json").exists()


def test_a_mirror_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"mirror: no folder .*NEUROFMX_MIRROR or download.mirror"):
        Toy().download(tmp_path / "raw", mirror=str(tmp_path / "nowhere"), cache=tmp_path / "cache")


@pytest.mark.parametrize("over_http", [False, True])
def test_a_changed_file_of_the_mirror_is_refused(mirror: Path, server: Server, tmp_path: Path, over_http: bool) -> None:
    (mirror / "toy" / "labels.txt").write_bytes(b"lables")
    server.files = {f"/toy/{name}": (mirror / "toy" / name).read_bytes() for name in FILES}
    where = server.url if over_http else str(mirror)
    with pytest.raises(ValueError, match=r"labels.txt: wrong checksum, expected sha256"):
        Toy().download(tmp_path / "raw", mirror=where, cache=tmp_path / "cache")
    assert not (tmp_path / "raw" / "labels.txt").exists()
    assert not (tmp_path / "raw" / "MANIFEST.json").exists()


def test_an_interrupted_download_keeps_what_is_right(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "labels.txt").write_bytes(FILES["labels.txt"])
    (mirror / "toy" / "labels.txt").unlink()
    Toy(offline=True).download(tmp_path / "raw", mirror=str(mirror), cache=tmp_path / "cache")
    assert _holds_all(tmp_path / "raw")


def test_reading_needs_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"download is missing or was interrupted.*dvc repro download@toy"):
        Toy().read(tmp_path)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda path: path.write_bytes(b"signal"), ValueError, "truncated or changed: expected 7 bytes"),
        (lambda path: path.write_bytes(b"SIGNALS"), ValueError, "truncated or changed"),
        (lambda path: path.unlink(), FileNotFoundError, "is missing but named in MANIFEST.json"),
        (lambda path: (path.parents[1] / "MANIFEST.json").write_text("{"), ValueError, "is damaged"),
        (lambda path: (path.parents[1] / "MANIFEST.json").write_text("[]"), ValueError, "is damaged"),
    ],
)
def test_reading_refuses_damaged_files(tmp_path: Path, damage, error: type[Exception], message: str) -> None:
    Toy().download(tmp_path, mirror=None, cache=tmp_path / "cache")
    assert [source.name for source in Toy().read(tmp_path)[0].sources] == sorted(FILES)
    damage(tmp_path / "S001" / "run.edf")
    with pytest.raises(error, match=message):
        Toy().read(tmp_path)


def test_a_folder_of_another_dataset_is_refused(tmp_path: Path) -> None:
    class Other(Toy):
        name: ClassVar[str] = "other"

    Other().download(tmp_path, mirror=None, cache=tmp_path / "cache")
    with pytest.raises(ValueError, match=r"dataset must be 'toy', found 'other'"):
        Toy().read(tmp_path)
