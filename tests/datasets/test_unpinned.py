"""Downloads of files whose sum nobody published: whole or absent, and never a mixture of two versions."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.server import Answer, Fault, Server

import neurofmx
from neurofmx.datasets.access.unpinned import fetch_unpinned

BODY = np.random.default_rng(0).bytes(600_000)
MD5 = hashlib.md5(BODY).hexdigest()


def fetch(server: Server, folder: Path, **options) -> Path:
    options = {"backoff": 0.01, "progress": False} | options
    return fetch_unpinned(f"{server.url}/a.zip", cache=folder / "cache", **options)


def begin_of(answer: Answer) -> int:
    """First byte that a request asked for."""
    assert answer.range is not None
    return int(answer.range.removeprefix("bytes=").removesuffix("-"))


@pytest.mark.parametrize("md5", [None, MD5])
def test_a_finished_download_is_reused_without_a_request(server: Server, tmp_path: Path, md5: str | None) -> None:
    server.files["/a.zip"] = BODY
    assert fetch(server, tmp_path, md5=md5).read_bytes() == BODY
    assert fetch(server, tmp_path, md5=md5).read_bytes() == BODY
    assert len(server.answers) == 1


def test_a_damaged_file_of_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = BODY
    fetch(server, tmp_path).write_bytes(BODY[:-1])
    assert fetch(server, tmp_path).read_bytes() == BODY


def test_a_broken_line_is_continued_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"], server.tags = BODY, True
    server.faults["/a.zip"] = [Fault(stop_after=250_000)]
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.answers[1].sent == len(BODY) - begin_of(server.answers[1])
    assert 0 < begin_of(server.answers[1]) <= 250_000


def test_a_version_that_changed_meanwhile_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"], server.tags = BODY, True
    server.faults["/a.zip"] = [Fault(stop_after=250_000), Fault(status=500)]
    with pytest.raises(ConnectionError):
        fetch(server, tmp_path, retries=0)
    server.files["/a.zip"] = other = BODY[::-1]
    assert fetch(server, tmp_path).read_bytes() == other


def test_without_a_tag_nothing_is_continued(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = BODY
    server.faults["/a.zip"] = [Fault(stop_after=250_000)]
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert [answer.range for answer in server.answers] == [None, None]


def test_with_a_published_sum_everything_may_be_continued(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = BODY
    server.faults["/a.zip"] = [Fault(stop_after=250_000), Fault(ignore_range=True, stop_after=400_000)]
    assert fetch(server, tmp_path, md5=MD5).read_bytes() == BODY
    assert 0 < begin_of(server.answers[1]) <= 250_000
    assert begin_of(server.answers[1]) < begin_of(server.answers[2]) <= 400_000


def test_another_sum_is_refused_and_forgotten(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = BODY[:-1]
    with pytest.raises(ValueError, match=f"a.zip: wrong checksum, expected md5 {MD5}, got .*try again"):
        fetch(server, tmp_path, md5=MD5)
    server.files["/a.zip"] = BODY
    assert fetch(server, tmp_path, md5=MD5).read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path, status: int) -> None:
    server.files["/a.zip"] = BODY
    server.faults["/a.zip"] = [Fault(status=status), Fault(status=status)]
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert len(server.answers) == 3


def test_a_server_that_names_a_pause_gets_it(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = BODY
    server.faults["/a.zip"] = [Fault(status=429, retry_after="1")]
    begin = time.monotonic()
    fetch(server, tmp_path)
    assert time.monotonic() - begin >= 1


def test_a_stalled_line_is_given_up_and_continued(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"], server.tags = BODY, True
    server.faults["/a.zip"] = [Fault(pause=1.0)]
    assert fetch(server, tmp_path, timeout=0.2).read_bytes() == BODY
    assert server.answers[1].range is not None


def test_a_killed_download_is_continued_by_the_next_process(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"], server.tags = BODY, True
    server.faults["/a.zip"] = [Fault(pause=0.3)]
    script = (
        "import sys; from pathlib import Path; from neurofmx.datasets.access.unpinned import fetch_unpinned\n"
        "fetch_unpinned(sys.argv[1], cache=Path(sys.argv[2]), progress=False)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, f"{server.url}/a.zip", str(tmp_path / "cache")],
        env=os.environ | {"PYTHONPATH": str(Path(neurofmx.__file__).parents[1])},
    )
    deadline = time.monotonic() + 30
    while not any(part.stat().st_size > 100_000 for part in (tmp_path / "cache").glob("*.part")):
        assert time.monotonic() < deadline, "the download did not start"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "cache").glob("*.whole"))
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.answers[-1].sent < len(BODY)


def test_what_is_not_there_is_said_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        fetch(server, tmp_path)
    assert len(server.answers) == 1
