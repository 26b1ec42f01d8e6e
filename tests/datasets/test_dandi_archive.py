"""DANDI's own client against a server that answers its calls; whole files and their faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.datasets.dandi_server import DandiServer
from tests.datasets.range_server import Trouble

from neurofmx.datasets.access import patience
from neurofmx.datasets.access.dandi_archive import Asset, fetch_asset, find_assets, open_asset

FILES = {f"sub-{s}/sub-{s}_ses-{n}_ecephys.nwb": f"{s} {n}".encode() * 50_000 for s in ("01", "02") for n in (1, 2, 3)}
LISTED = "/api/dandisets/000055/versions/0.220127.0436/assets/"
FIRST = "sub-01/sub-01_ses-1_ecephys.nwb"


@pytest.fixture
def dandi() -> Iterator[DandiServer]:
    """An archive with one dandiset of six files."""
    with DandiServer(dandisets={("000055", "0.220127.0436"): FILES}) as running:
        yield running


def find(server: DandiServer, *patterns: str, version: str = "0.220127.0436") -> list[Asset]:
    return find_assets("000055", version, patterns, api=server.api)


def test_a_pattern_picks_files_from_all_pages_each_once(dandi: DandiServer) -> None:
    found = find(dandi, "*", "sub-01/*")
    assert [asset.path for asset in found] == sorted(FILES)
    assert [asset.size for asset in found] == [len(FILES[path]) for path in sorted(FILES)]
    assert [asset.path for asset in find(dandi, "sub-02/*ses-[13]*")] == [
        "sub-02/sub-02_ses-1_ecephys.nwb",
        "sub-02/sub-02_ses-3_ecephys.nwb",
    ]
    pages = {asked.target for asked in dandi.asked if asked.target.startswith(LISTED)}
    assert any("page=3" in page for page in pages)


def test_a_whole_file_comes_through_the_redirection_and_is_checked(dandi: DandiServer, tmp_path: Path) -> None:
    (asset,) = find(dandi, FIRST)
    fetch_asset(asset, tmp_path / "raw" / asset.path, cache=tmp_path / "cache")
    assert (tmp_path / "raw" / FIRST).read_bytes() == FILES[FIRST]


def test_a_download_that_broke_off_asks_for_the_rest_alone(dandi: DandiServer, tmp_path: Path) -> None:
    (asset,) = find(dandi, FIRST)
    dandi.troubles[dandi.blob(FIRST)] = [Trouble(stop_after=100_000), Trouble(status=503)]
    fetch_asset(asset, tmp_path / "a.nwb", cache=tmp_path / "cache")
    assert (tmp_path / "a.nwb").read_bytes() == FILES[FIRST]
    assert dandi.ranges(dandi.blob(FIRST)) == ["bytes=65536-", "bytes=65536-"]


def test_bytes_with_another_sum_are_refused(dandi: DandiServer, tmp_path: Path) -> None:
    dandi.digests[FIRST] = "0" * 64
    (asset,) = find(dandi, FIRST)
    with pytest.raises(ValueError, match=r"wrong checksum, expected sha256 0000"):
        fetch_asset(asset, tmp_path / "a.nwb", cache=tmp_path / "cache")
    assert not (tmp_path / "a.nwb").exists()


def test_a_file_without_a_sum_is_refused(dandi: DandiServer) -> None:
    dandi.digests[FIRST] = ""
    with pytest.raises(ValueError, match=r"states no SHA-256 sum .* published version"):
        find(dandi, FIRST)


def test_blocks_are_kept_when_reading_is_cut_off_and_removed_at_the_end(dandi: DandiServer, tmp_path: Path) -> None:
    (asset,) = find(dandi, FIRST)
    blocks = tmp_path / f"{asset.sha256}.blocks"

    def killed() -> None:
        with open_asset(asset, cache=tmp_path) as file:
            file.read(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert len(list(blocks.iterdir())) == 1
    with open_asset(asset, cache=tmp_path) as file:
        assert file.read(10) == FILES[FIRST][:10]
    assert not blocks.exists()
    assert len(dandi.ranges(dandi.blob(FIRST))) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_archive_is_asked_again(dandi: DandiServer, status: int) -> None:
    dandi.troubles[LISTED] = [Trouble(status=status)]
    dandi.troubles["/api/info/"] = [Trouble(status=status)]
    assert [asset.path for asset in find(dandi, FIRST)] == [FIRST]


def test_a_silent_archive_is_asked_again(dandi: DandiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENCE", 0.2)
    dandi.troubles[LISTED] = [Trouble(silence=1.0)]
    assert [asset.path for asset in find(dandi, FIRST)] == [FIRST]


def test_what_the_archive_lacks_is_named(dandi: DandiServer) -> None:
    with pytest.raises(FileNotFoundError, match=r"dandiset 000055: No such version: '0.999999.0000'"):
        find(dandi, "*", version="0.999999.0000")
    with pytest.raises(FileNotFoundError, match=r"000055/0.220127.0436: no file matches 'sub-07/\*'.*correct `assets`"):
        find(dandi, "sub-07/*")


def test_a_path_that_leads_out_is_refused() -> None:
    with DandiServer(dandisets={("000055", "draft"): {"../evil.nwb": b"evil"}}) as server:
        with pytest.raises(ValueError, match=r"must lie inside the archive, got '../evil.nwb'"):
            find(server, "*", version="draft")


def test_an_archive_that_is_not_there_is_said_at_once() -> None:
    with DandiServer() as server:
        api = server.api
    with pytest.raises(ConnectionError, match=r"cannot reach the DANDI archive at .*NEUROFMX_MIRROR"):
        find_assets("000055", "draft", ["*"], api=api)


def test_the_client_writes_nothing_into_the_home_folder(
    dandi: DandiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    find(dandi, "*")
    assert list(home.iterdir()) == []
