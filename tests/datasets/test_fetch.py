"""Downloads under the faults that networks, servers and users bring."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.server import Fault, Server

from neurofmx.datasets.access import progress
from neurofmx.datasets.access.fetch import fetch

BODY = np.random.default_rng(0).bytes(600_000)
SUM = hashlib.sha256(BODY).hexdigest()
quick = partial(fetch, backoff=0.01, progress=False)


def _fetch(server: Server, folder: Path, *, retries: int = 4) -> Path:
    target = folder / "out" / "a.bin"
    quick(f"{server.url}/a.bin", target, sha256=SUM, cache=folder / "cache", retries=retries)
    return target


def test_a_finished_download_is_reused_without_a_request(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    target = _fetch(server, tmp_path)
    assert target.read_bytes() == BODY
    target.unlink()
    assert _fetch(server, tmp_path).read_bytes() == BODY
    assert len(server.answers) == 1


def test_a_changed_target_is_replaced(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    target = _fetch(server, tmp_path)
    target.write_bytes(BODY[:-1])
    assert _fetch(server, tmp_path).read_bytes() == BODY


def test_a_truncated_download_resumes_with_only_the_missing_bytes(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(stop_after=250_000)]
    assert _fetch(server, tmp_path).read_bytes() == BODY
    first, second = server.answers
    assert first.sent == 250_000
    assert second.range is not None
    begin = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= 250_000
    assert second.sent == len(BODY) - begin


def test_a_server_that_ignores_range_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(stop_after=250_000), Fault(ignore_range=True)]
    assert _fetch(server, tmp_path).read_bytes() == BODY
    assert server.answers[1].range is not None
    assert server.answers[1].sent == len(BODY)


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(status=503), Fault(status=500)]
    assert _fetch(server, tmp_path).read_bytes() == BODY
    assert len(server.answers) == 3


def test_a_server_that_stays_busy_is_given_up_after_the_retries(server: Server, tmp_path: Path) -> None:
    server.faults["/a.bin"] = [Fault(status=503)] * 9
    with pytest.raises(ConnectionError, match=r"503.*NEUROFMX_MIRROR or download.mirror"):
        _fetch(server, tmp_path, retries=2)
    assert len(server.answers) == 3


def test_attempts_that_gain_bytes_do_not_count_as_failures(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(stop_after=100_000 * (i + 1)) for i in range(5)]
    assert _fetch(server, tmp_path, retries=0).read_bytes() == BODY
    assert len(server.answers) == 6


def test_a_missing_file_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"/a\.bin: the server has no such file \(status 404\)"):
        _fetch(server, tmp_path)
    assert len(server.answers) == 1


def test_a_forbidden_file_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.faults["/a.bin"] = [Fault(status=403)]
    with pytest.raises(ConnectionError, match=r"refuses"):
        _fetch(server, tmp_path)
    assert len(server.answers) == 1


def test_wrong_bytes_are_named_and_forgotten(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"not the file"
    found = hashlib.sha256(b"not the file").hexdigest()
    with pytest.raises(ValueError, match=f"a.bin: wrong checksum, expected sha256 {SUM}, got {found}"):
        _fetch(server, tmp_path)
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "cache").glob("*.part"))
    server.files["/a.bin"] = BODY  # the server was repaired: nothing wrong may be resumed
    assert _fetch(server, tmp_path).read_bytes() == BODY


def test_a_partial_file_longer_than_the_file_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SUM}.part").write_bytes(BODY + b"more")
    assert _fetch(server, tmp_path).read_bytes() == BODY


def test_a_complete_partial_file_needs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{SUM}.part").write_bytes(BODY)  # killed after the last byte, before the rename
    assert _fetch(server, tmp_path).read_bytes() == BODY
    assert server.answers == []


def test_no_network_names_the_ways_out(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.bin"
        with pytest.raises(ConnectionError, match=r"cannot download .*a.bin.*NEUROFMX_MIRROR or download.mirror"):
            quick(url, tmp_path / "a", sha256=SUM, cache=tmp_path, retries=1)
    assert not (tmp_path / "a").exists()


def test_a_silent_server_times_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.bin"
        with pytest.raises(ConnectionError, match=r"timed out"):
            quick(url, tmp_path / "a", sha256=SUM, cache=tmp_path, retries=0, timeout=0.1)


def test_two_at_once_share_one_download(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(pause=0.02)]
    workers = [
        threading.Thread(
            target=quick,
            args=(f"{server.url}/a.bin", tmp_path / f"out{i}"),
            kwargs={"sha256": SUM, "cache": tmp_path / "cache"},
        )
        for i in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [(tmp_path / f"out{i}").read_bytes() == BODY for i in range(3)] == [True] * 3
    assert len(server.answers) == 1


def test_a_killed_download_is_resumed_by_the_next_process(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(stop_after=250_000, silence=60.0)]  # it cannot end before the kill
    script = (
        "import sys; from pathlib import Path; from neurofmx.datasets.access.fetch import fetch\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], cache=Path(sys.argv[4]), progress=False)"
    )
    arguments = [f"{server.url}/a.bin", str(tmp_path / "out" / "a.bin"), SUM, str(tmp_path / "cache")]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments])
    part = tmp_path / "cache" / f"{SUM}.part"
    _wait_for(lambda: part.exists() and part.stat().st_size > 100_000)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    assert 100_000 < have < len(BODY)
    assert not (tmp_path / "out" / "a.bin").exists()
    assert _fetch(server, tmp_path).read_bytes() == BODY
    assert server.answers[-1].range == f"bytes={have}-"
    assert server.answers[-1].sent == len(BODY) - have


def test_a_server_that_stalls_is_asked_for_the_rest(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(stop_after=250_000, silence=1.0)]
    target = tmp_path / "out"
    quick(f"{server.url}/a.bin", target, sha256=SUM, cache=tmp_path / "cache", timeout=0.2)
    assert target.read_bytes() == BODY
    assert server.answers[1].range is not None
    assert 0 < int(server.answers[1].range.removeprefix("bytes=").removesuffix("-")) <= 250_000


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(server: Server, tmp_path: Path, status: int) -> None:
    server.files |= {"/a.bin": BODY, "/b.bin": b"b"}
    server.faults["/a.bin"] = [Fault(status=status, retry_after="1")]
    assert _fetch(server, tmp_path).read_bytes() == BODY
    refused, second = server.answers
    assert second.begun - refused.begun >= 0.9


def test_a_busy_server_is_left_alone_by_all(server: Server, tmp_path: Path) -> None:
    server.files |= {"/a.bin": BODY, "/b.bin": b"b"}
    server.faults["/a.bin"] = [Fault(status=429, retry_after="1")]
    first = threading.Thread(target=_fetch, args=(server, tmp_path))
    first.start()
    _wait_for(lambda: list((tmp_path / "cache").glob("hosts/*/until")))
    sum_b = hashlib.sha256(b"b").hexdigest()
    quick(f"{server.url}/b.bin", tmp_path / "b", sha256=sum_b, cache=tmp_path / "cache")
    first.join()
    began = {answer.path: answer.begun for answer in reversed(server.answers)}
    assert began["/b.bin"] - began["/a.bin"] >= 0.9, "the other file waits for the same server"


def test_a_server_that_asks_for_too_long_a_rest_is_named(server: Server, tmp_path: Path) -> None:
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    server.faults["/a.bin"] = [Fault(status=503, retry_after=tomorrow)]
    with pytest.raises(ConnectionError, match=r"busy \(status 503\) and asks to come back in 8\d{4} s"):
        _fetch(server, tmp_path)
    assert len(server.answers) == 1


def test_no_more_than_two_requests_at_once_go_to_a_host(server: Server, tmp_path: Path) -> None:
    names = "abcde"
    server.files = {f"/{name}": name.encode() * 100_000 for name in names}
    server.faults = {f"/{name}": [Fault(pause=0.15)] for name in names}
    workers = [
        threading.Thread(
            target=quick,
            args=(f"{server.url}/{name}", tmp_path / name),
            kwargs={"sha256": hashlib.sha256(name.encode() * 100_000).hexdigest(), "cache": tmp_path / "cache"},
        )
        for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((tmp_path / name).is_file() for name in names)
    spans = [
        (answer.begun, answer.begun + 0.1) for answer in server.answers
    ]  # the server pauses for longer within each
    assert max(sum(begun <= moment < ended for begun, ended in spans) for moment, _ in spans) <= 2


def test_a_host_nobody_knows_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(host: str, *arguments: object, **more: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionError, match=r"cannot download .*NEUROFMX_MIRROR"):
        quick("http://nobody.invalid/a.bin", tmp_path / "a", sha256=SUM, cache=tmp_path, backoff=60)
    assert asked == ["nobody.invalid"]


def test_who_runs_many_at_once_reads_lines_of_progress(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(progress.VARIABLE, "lines")
    server.files["/a.bin"] = BODY
    server.faults["/a.bin"] = [Fault(stop_after=250_000)]
    fetch(f"{server.url}/a.bin", tmp_path / "a", sha256=SUM, cache=tmp_path / "cache", backoff=0.01)
    said = [line for line in capsys.readouterr().out.split("\n") if line]  # splitlines would cut at the mark
    assert all(line.startswith(progress.MARK) for line in said)
    lines = [json.loads(line.removeprefix(progress.MARK)) for line in said]
    assert lines[0] == ["a.bin", 0, len(BODY)]
    assert lines[-1] == ["a.bin", len(BODY), len(BODY)]
    counts = [have for _, have, _ in lines]
    assert counts == sorted(counts), "what was there is counted once"


def _wait_for(condition: Callable[[], bool]) -> None:
    """Poll for at most 120 s: another process has to start, perhaps on a busy machine."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "the download did not start"
        time.sleep(0.01)
