"""Downloads that resume where they stopped and are trusted only once their checksum is right."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
from filelock import FileLock

from neurofmx.atomic import atomic
from neurofmx.datasets.access.politeness import heed, turn, unknown_host
from neurofmx.datasets.access.progress import Meter
from neurofmx.datasets.shared.checksum import matches, require

WAY_OUT = (
    "check the network, or name a mirror that holds the file: set NEUROFMX_MIRROR or download.mirror to its "
    "folder or address"
)
_BLOCK = 1 << 16
_log = logging.getLogger(__name__)


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str,
    cache: Path,
    retries: int = 4,
    timeout: float = 30.0,
    backoff: float = 0.5,
    progress: bool = True,
) -> None:
    """Download one file to `target`; arguments and errors are those of `fetch_cached`.

    Args:
        url: Address of the file.
        target: Where the file shall stand. It appears only when complete and verified.
        sha256: SHA-256 sum of the file, in hexadecimal.
        cache: Folder of partial and finished downloads.
        retries: Attempts in a row that may fail without a byte gained, default 4.
        timeout: Longest silence of the server, s, default 30.
        backoff: Pause after the first failure, s, doubled after each further one, default 0.5.
        progress: Whether to draw a progress bar, default yes.
    """
    if matches(target, sha256):
        return
    options = {"retries": retries, "timeout": timeout, "backoff": backoff, "progress": progress}
    finished = fetch_cached(url, sha256=sha256, cache=cache, **options)
    with atomic(target) as part:
        shutil.copyfile(finished, part)


def fetch_cached(
    url: str,
    *,
    sha256: str,
    cache: Path,
    retries: int = 4,
    timeout: float = 30.0,
    backoff: float = 0.5,
    progress: bool = True,
) -> Path:
    """Download one file into the cache, continuing what an earlier, even killed, attempt began.

    Args:
        url: Address of the file.
        sha256: SHA-256 sum of the file, in hexadecimal; also its name in the cache.
        cache: Folder of partial (`<sha256>.part`) and finished (`<sha256>`) downloads.
        retries: Attempts in a row that may fail without a byte gained, default 4.
        timeout: Longest silence of the server, s, default 30.
        backoff: Pause after the first failure, s, doubled after each further one, default 0.5.
        progress: Whether to draw a progress bar, default yes.

    Returns:
        The verified file in the cache. Processes that want the same file wait for one another.

    Raises:
        FileNotFoundError: If the server does not have the file.
        ConnectionError: If the server cannot be reached or keeps failing.
        ValueError: If the complete file has another checksum; the partial download is then removed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    finished, part = cache / sha256, cache / f"{sha256}.part"
    with FileLock(cache / f"{sha256}.lock"):
        if matches(finished, sha256):
            return finished
        if not matches(part, sha256):
            attempt = partial(ask_for_rest, url, part, timeout=timeout, progress=progress)
            persist(attempt, part, origin=url, retries=retries, backoff=backoff)
            _verify(part, sha256, url=url)
        os.replace(part, finished)
    return finished


def fetch_piece(url: str, target: Path, *, retries: int = 4, timeout: float = 30.0, backoff: float = 0.5) -> None:
    """Download one of many files that are verified together once they are all there.

    Args:
        url: Address of the file.
        target: Where the file shall stand. It appears only when as long as the server said; one that is there is kept.
        retries: Attempts in a row that may fail without a byte gained, default 4.
        timeout: Longest silence of the server, s, default 30.
        backoff: Pause after the first failure, s, doubled after each further one, default 0.5.

    Raises:
        FileNotFoundError: If the server does not have the file.
        ConnectionError: If the server cannot be reached or keeps failing.
    """
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with FileLock(target.with_name(f"{target.name}.lock")):
        if not target.is_file():
            attempt = partial(ask_for_rest, url, part, timeout=timeout, progress=False)
            persist(attempt, part, origin=url, retries=retries, backoff=backoff)
            os.replace(part, target)


def _verify(part: Path, sha256: str, *, url: str) -> None:
    """A wrong file must not be resumed: remove it."""
    try:
        require(part, sha256, origin=url)
    except ValueError:
        part.unlink()
        raise


def persist(attempt: Callable[[], None], part: Path, *, origin: str, retries: int, backoff: float) -> None:
    """Try until a file is complete or `retries` attempts in a row gained nothing.

    Args:
        attempt: Asks for the bytes that `part` still lacks; raises `requests.RequestException` where it may be
        repeated.
        part: The partial file.
        origin: Where it comes from, for messages.
        retries: Attempts in a row that may fail without a byte gained.
        backoff: Pause after the first failure, s, doubled after each further one.

    Raises:
        ConnectionError: If the attempts are used up.
    """
    failures = 0
    while True:
        before = _size(part)
        try:
            return attempt()
        except requests.RequestException as error:
            failures = 0 if _size(part) > before else failures + 1
            if failures > retries or unknown_host(error):
                raise ConnectionError(f"cannot download {origin}: {error}; {WAY_OUT}") from error
            _log.warning("download of %s interrupted at %d bytes (%s), trying again", origin, _size(part), error)
            time.sleep(backoff * 2 ** max(0, failures - 1))


def ask_for_rest(url: str, part: Path, *, timeout: float, progress: bool, mark: Path | None = None) -> None:
    """Make one request for the bytes that are still missing.

    Args:
        url: Address of the file.
        part: The partial file, continued at its end.
        timeout: Longest silence of the server, s.
        progress: Whether to draw a progress bar.
        mark: Where to keep the server's own name of this version of the file. With it, a partial file is continued only
            if the server still has that version; needed where no checksum would notice a mixture of two.

    Raises:
        FileNotFoundError: If the server does not have the file.
        ConnectionError: If it refuses.
        requests.RequestException: Where asking again may help.
    """
    if mark is not None and not (mark.is_file() and mark.read_text()):
        part.unlink(missing_ok=True)  # nothing says that the server's file is still the same one
    have = _size(part)
    # without compression, so that offsets and lengths count the file's own bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    if mark is not None and have:
        headers["If-Range"] = mark.read_text()
    polite = turn(url, cache=part.parent)
    with polite, requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        _refuse_for_good(response)
        heed(response, cache=part.parent)
        if response.status_code == 416:
            part.unlink()  # no such range: the partial file is longer than the file, begin anew
        response.raise_for_status()
        if mark is not None:
            mark.write_text(_version(response))
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        _append(response, part, at=have if resumed else 0, progress=progress)


def _version(response: requests.Response) -> str:
    """What the server calls this version of the file; a weak tag may stand for several."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _refuse_for_good(response: requests.Response) -> None:
    """Raise for an answer that asking again will not change."""
    if response.status_code in (404, 410):
        raise FileNotFoundError(f"{response.url}: the server has no such file (status {response.status_code})")
    if response.status_code in (400, 401, 403, 405):
        raise ConnectionError(f"{response.url}: the server refuses (status {response.status_code}); {WAY_OUT}")


def _append(response: requests.Response, part: Path, *, at: int, progress: bool) -> None:
    """Write the body behind the first `at` bytes; a server that ignores Range sends all of it."""
    total = at + int(response.headers.get("Content-Length", 0)) or None
    meter = Meter(PurePosixPath(urlsplit(response.url).path).name, total=total, have=at, shown=progress)
    with part.open("r+b" if part.exists() else "wb") as file, meter:
        file.seek(at)
        file.truncate()
        for block in response.iter_content(_BLOCK):
            meter.add(file.write(block))
    if total is not None and _size(part) < total:
        raise requests.ConnectionError(f"got {_size(part)} of {total} bytes")


def _size(path: Path) -> int:
    """Bytes on disk, 0 for no file."""
    return path.stat().st_size if path.exists() else 0
