"""Zip archives as an attacker, or a broken disk, would make them."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from neurofmx.datasets.access import unpack as unpacking
from neurofmx.datasets.access.unpack import unpack


def zipped(*members: tuple[str, bytes], link: str | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive, by the standard library, with one symbolic link if asked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as bundle:
        for name, content in members:
            bundle.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            bundle.writestr(info, "/etc")
    return buffer.getvalue()


def take(folder: Path, archive: bytes, ending: str = ".mat") -> tuple[str, ...]:
    (folder / "a.zip").write_bytes(archive)
    return unpack(folder / "a.zip", folder / "raw", wanted=lambda name: name.endswith(ending), origin="a.zip")


def test_wanted_files_come_out_under_their_paths_and_no_others(tmp_path: Path) -> None:
    archive = zipped(("s1/b.mat", b"two"), ("s1/a.mat", b"one"), ("s1/read.me", b"text"), ("s1/", b""))
    assert take(tmp_path, archive) == ("s1/a.mat", "s1/b.mat")
    assert sorted(path.name for path in (tmp_path / "raw").rglob("*") if path.is_file()) == ["a.mat", "b.mat"]
    assert (tmp_path / "raw/s1/b.mat").read_bytes() == b"two"


@pytest.mark.parametrize("name", ["../evil.mat", "/evil.mat", "s1/../../evil.mat", "C:/evil.mat"])
def test_an_archive_with_a_path_that_leads_out_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"a\.zip: a path must lie inside the archive, got"):
        take(tmp_path, zipped(("s1/a.mat", b"one"), (name, b"evil")))
    assert not (tmp_path / "raw").exists()
    assert not (tmp_path / "evil.mat").exists()


def test_a_link_is_refused_also_where_it_is_not_wanted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'s1/way' must be a plain file in the archive, not a link"):
        take(tmp_path, zipped(("s1/way/a.mat", b"one"), link="s1/way"))
    assert not (tmp_path / "raw").exists()


def test_a_link_in_the_raw_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "raw/s1").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="would be written through a link"):
        take(tmp_path, zipped(("s1/a.mat", b"one")))
    assert not list((tmp_path / "outside").iterdir())


def test_a_damaged_member_leaves_nothing(tmp_path: Path) -> None:
    archive = bytearray(zipped(("a.mat", b"content" * 100), method=zipfile.ZIP_STORED))
    archive[archive.index(b"content")] ^= 1
    with pytest.raises(ValueError, match=r"a\.zip: no sound zip archive \(Bad CRC-32"):
        take(tmp_path, bytes(archive))
    assert not list((tmp_path / "raw").iterdir())


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_a_truncated_archive_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(ValueError, match="no sound zip archive"):
        take(tmp_path, zipped(("a.mat", b"one"))[:cut])


def test_a_file_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"'a\.mat' would unpack to 1001 bytes, over 1000"):
        take(tmp_path, zipped(("a.mat", b"0" * 1001)))
    assert not list((tmp_path / "raw").glob("*.mat"))


def test_a_file_that_unpacks_to_more_than_it_states_is_refused(tmp_path: Path) -> None:
    archive = zipped(("a.mat", b"0" * 1000))
    where = archive.rindex(b"PK\x01\x02") + 24  # the size once unpacked, in the central directory
    forged = archive[:where] + (10).to_bytes(4, "little") + archive[where + 4 :]
    with pytest.raises(ValueError, match="no sound zip archive"):
        take(tmp_path, forged)
    assert not list((tmp_path / "raw").glob("*.mat"))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = bytearray(zipped(("a.mat", b"one")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(mark) + offset] |= 1
    with pytest.raises(ValueError, match="encrypted"):
        take(tmp_path, bytes(archive))
