"""A remote file read by ranges, under the faults that networks and servers bring."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.datasets.range_server import RangeServer, Reply, Trouble

from neurofmx.datasets.access.http_range import RangeFile

BODY = np.random.default_rng(0).bytes(100_000)
quick = partial(RangeFile, size=len(BODY), block=1 << 10, backoff=0.01)


@pytest.fixture
def ranged() -> Iterator[RangeServer]:
    """A server with one file."""
    with RangeServer(files={"/a.nwb": BODY}) as running:
        yield running


def _read(server: RangeServer, folder: Path, start: int, length: int, **options) -> bytes:
    with quick(f"{server.url}/a.nwb", blocks=folder / "blocks", **options) as file:
        file.seek(start)
        return file.read(length)


def test_it_reads_what_the_file_holds_at_any_place(ranged: RangeServer, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with quick(f"{ranged.url}/a.nwb", blocks=tmp_path / "blocks") as file:
        for start, length in zip(rng.integers(0, 100_000, 50), rng.integers(1, 9_000, 50), strict=True):
            file.seek(int(start))
            assert file.read(int(length)) == BODY[start : start + length]
        assert file.seek(-10, 2) == 99_990
        assert file.read() == BODY[-10:]
        assert (file.read(5), file.tell()) == (b"", 100_000)


def test_only_the_touched_blocks_are_asked_for_and_once(ranged: RangeServer, tmp_path: Path) -> None:
    assert _read(ranged, tmp_path, 5_000, 100) == BODY[5_000:5_100]
    assert _read(ranged, tmp_path, 4_200, 900) == BODY[4_200:5_100]
    assert ranged.ranges("/a.nwb") == ["bytes=4096-5119"]


def test_neighbouring_blocks_share_a_request(ranged: RangeServer, tmp_path: Path) -> None:
    assert _read(ranged, tmp_path, 0, 10_240, together=4) == BODY[:10_240]
    assert ranged.ranges("/a.nwb") == ["bytes=0-4095", "bytes=4096-8191", "bytes=8192-10239"]


def test_a_reader_that_was_cut_off_goes_on_where_it_was(ranged: RangeServer, tmp_path: Path) -> None:
    ranged.troubles["/a.nwb"] = [Trouble(), Trouble(status=503)]
    with pytest.raises(ConnectionError, match=r"cannot read .*a.nwb: status 503.*NEUROFMX_MIRROR"):
        _read(ranged, tmp_path, 0, 8_192, together=4, retries=0)
    assert _read(ranged, tmp_path, 0, 8_192, together=4) == BODY[:8_192]
    assert ranged.ranges("/a.nwb") == ["bytes=0-4095", "bytes=4096-8191", "bytes=4096-8191"]


def test_a_killed_process_leaves_whole_blocks_and_the_next_asks_for_the_others(
    ranged: RangeServer, tmp_path: Path
) -> None:
    ranged.troubles["/a.nwb"] = [Trouble()] * 3 + [Trouble(silence=30.0)]
    script = (
        "import sys; from pathlib import Path; from neurofmx.datasets.access.http_range import RangeFile;"
        "RangeFile(sys.argv[1], size=100_000, block=1024, together=2, blocks=Path(sys.argv[2])).read(50_000)"
    )
    command = [sys.executable, "-c", script, f"{ranged.url}/a.nwb", str(tmp_path / "blocks")]
    source = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": source}) as process:
        while len(ranged.asked) < 4:
            time.sleep(0.01)
        process.kill()
    assert _read(ranged, tmp_path, 0, 50_000, together=64) == BODY[:50_000]
    assert ranged.ranges("/a.nwb")[4:] == ["bytes=6144-50175"]


@pytest.mark.parametrize(
    "trouble", [Trouble(status=429), Trouble(status=500), Trouble(status=503), Trouble(stop_after=100)]
)
def test_a_fault_that_passes_is_survived(ranged: RangeServer, tmp_path: Path, trouble: Trouble) -> None:
    ranged.troubles["/a.nwb"] = [trouble, trouble]
    assert _read(ranged, tmp_path, 0, 3_000) == BODY[:3_000]
    assert len(ranged.asked) == 3


def test_a_busy_server_is_given_the_time_it_asks_for(ranged: RangeServer, tmp_path: Path) -> None:
    ranged.troubles["/a.nwb"] = [Trouble(status=429, headers={"Retry-After": "1"})]
    before = time.monotonic()
    assert _read(ranged, tmp_path, 0, 10) == BODY[:10]
    assert time.monotonic() - before >= 1.0


def test_a_silent_server_is_asked_again(ranged: RangeServer, tmp_path: Path) -> None:
    ranged.troubles["/a.nwb"] = [Trouble(silence=0.5)]
    assert _read(ranged, tmp_path, 0, 10, timeout=0.1) == BODY[:10]
    ranged.troubles["/a.nwb"] = [Trouble(silence=0.5)] * 2
    with pytest.raises(ConnectionError, match=r"timed out"):
        _read(ranged, tmp_path, 50_000, 10, timeout=0.1, retries=1)


def test_a_server_without_ranges_is_refused_and_nothing_is_kept(ranged: RangeServer, tmp_path: Path) -> None:
    ranged.troubles["/a.nwb"] = [Trouble(ignore_range=True)]
    with pytest.raises(ConnectionError, match=r"does not serve ranges; take whole files \(`by_range: false`\)"):
        _read(ranged, tmp_path, 0, 10)
    assert list((tmp_path / "blocks").iterdir()) == []


def test_a_file_that_changed_or_is_gone_is_refused(ranged: RangeServer, tmp_path: Path) -> None:
    ranged.troubles["/a.nwb"] = [Trouble(grown=7)]
    with pytest.raises(ValueError, match=r"expected a file of 100000 bytes, the server says .*/100007"):
        _read(ranged, tmp_path, 0, 10)
    ranged.troubles["/a.nwb"] = [Trouble(status=404)]
    with pytest.raises(FileNotFoundError, match=r"no such file"):
        _read(ranged, tmp_path, 0, 10)
    ranged.troubles["/a.nwb"] = [Trouble(status=401)]
    with pytest.raises(ConnectionError, match=r"the server refuses \(status 401\)"):
        _read(ranged, tmp_path, 0, 10)


class _Signed(RangeServer):
    """Redirects to an address that is good for two requests."""

    signed = 0

    def reply(self, target: str) -> Reply:
        if target == "/download":
            self.signed += 1
            return Reply(302, headers={"Location": f"{self.url}/a.nwb?signature={self.signed}"})
        used = sum(asked.target == target for asked in self.asked)
        return Reply(403) if used > 2 else super().reply(target)


def test_a_signed_address_is_kept_while_it_lasts_and_renewed(tmp_path: Path) -> None:
    with _Signed(files={"/a.nwb": BODY}) as server:
        with quick(f"{server.url}/download", blocks=tmp_path / "blocks", together=1) as file:
            assert file.read(5 * 1024) == BODY[: 5 * 1024]
        assert [asked.target for asked in server.asked] == [
            *("/download", "/a.nwb?signature=1", "/a.nwb?signature=1", "/a.nwb?signature=1"),
            *("/download", "/a.nwb?signature=2", "/a.nwb?signature=2", "/a.nwb?signature=2"),
            *("/download", "/a.nwb?signature=3"),
        ]


def test_h5py_reads_a_part_of_a_large_array_with_a_part_of_the_bytes(tmp_path: Path) -> None:
    data = np.random.default_rng(2).standard_normal((20_000, 32)).astype(np.float32)
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file.create_dataset("lfp", data=data, chunks=(500, 32))
    body = (tmp_path / "whole.h5").read_bytes()
    with RangeServer(files={"/lfp.nwb": body}) as server:
        remote = RangeFile(f"{server.url}/lfp.nwb", size=len(body), blocks=tmp_path / "blocks", block=1 << 14)
        with remote, h5py.File(remote) as file:
            np.testing.assert_array_equal(file["lfp"][9_000:10_000], data[9_000:10_000])
        assert server.sent("/lfp.nwb") < 0.12 * len(body)
