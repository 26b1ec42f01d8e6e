"""Downloads that resume where they stopped and are trusted only once their checksum is right."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

import requests
from filelock import FileLock
from tqdm import tqdm

from neurofmx.atomic import atomic
from neurofmx.datasets.checksum import matches, require

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
            _persist(url, part, retries=retries, timeout=timeout, backoff=backoff, progress=progress)
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
            _persist(url, part, retries=retries, timeout=timeout, backoff=backoff, progress=False)
            os.replace(part, target)


def _verify(part: Path, sha256: str, *, url: str) -> None:
    """A wrong file must not be resumed: remove it."""
    try:
        require(part, sha256, origin=url)
    except ValueError:
        part.unlink()
        raise


def _persist(url: str, part: Path, *, retries: int, timeout: float, backoff: float, progress: bool) -> None:
    """Try until the file is complete or `retries` attempts in a row gained nothing."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(url, part, timeout=timeout, progress=progress)
        except requests.RequestException as error:
            failures = 0 if _size(part) > before else failures + 1
            if failures > retries:
                raise ConnectionError(f"cannot download {url}: {error}; {WAY_OUT}") from error
            _log.warning("download of %s interrupted at %d bytes (%s), trying again", url, _size(part), error)
            time.sleep(backoff * 2 ** max(0, failures - 1))


def _attempt(url: str, part: Path, *, timeout: float, progress: bool) -> None:
    """One request for the bytes that are still missing."""
    have = _size(part)
    # without compression, so that offsets and lengths count the file's own bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        _refuse_for_good(response)
        if response.status_code == 416:
            part.unlink()  # no such range: the partial file is longer than the file, begin anew
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        _append(response, part, at=have if resumed else 0, progress=progress)


def _refuse_for_good(response: requests.Response) -> None:
    """Raise for an answer that asking again will not change."""
    if response.status_code in (404, 410):
        raise FileNotFoundError(f"{response.url}: the server has no such file (status {response.status_code})")
    if response.status_code in (400, 401, 403, 405):
        raise ConnectionError(f"{response.url}: the server refuses (status {response.status_code}); {WAY_OUT}")


def _append(response: requests.Response, part: Path, *, at: int, progress: bool) -> None:
    """Write the body behind the first `at` bytes; a server that ignores Range sends all of it."""
    total = at + int(response.headers.get("Content-Length", 0)) or None
    hidden = None if progress else True  # None: shown in a terminal only
    bar = tqdm(total=total, initial=at, unit="B", unit_scale=True, disable=hidden, desc=part.name[:8])
    with part.open("r+b" if part.exists() else "wb") as file, bar:
        file.seek(at)
        file.truncate()
        for block in response.iter_content(_BLOCK):
            bar.update(file.write(block))
    if total is not None and _size(part) < total:
        raise requests.ConnectionError(f"got {_size(part)} of {total} bytes")


def _size(path: Path) -> int:
    """Bytes on disk, 0 for no file."""
    return path.stat().st_size if path.exists() else 0
