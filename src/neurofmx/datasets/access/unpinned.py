"""Files whose SHA-256 sum nobody publishes: complete, resumable, and pinned by the manifest of their first download."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from filelock import FileLock

from neurofmx.atomic import atomic
from neurofmx.datasets.access.fetch import ask_for_rest, persist
from neurofmx.datasets.shared.checksum import matches, sha256_of


def fetch_unpinned(
    url: str,
    *,
    cache: Path,
    md5: str | None = None,
    retries: int = 4,
    timeout: float = 30.0,
    backoff: float = 0.5,
    progress: bool = True,
) -> Path:
    """Download one file into the cache, continuing what an earlier, even killed, attempt began.

    A partial file is continued only where the server says that it still has the same version of it, or where `md5`
    would notice a mixture of two.

    Args:
        url: Address of the file.
        cache: Folder of partial and finished downloads.
        md5: MD5 sum that the archive publishes, in hexadecimal; default none.
        retries: Attempts in a row that may fail without a byte gained, default 4.
        timeout: Longest silence of the server, s, default 30.
        backoff: Pause after the first failure, s, doubled after each further one, default 0.5.
        progress: Whether to draw a progress bar, default yes.

    Returns:
        The complete file in the cache. Delete it to ask the archive again.

    Raises:
        FileNotFoundError: If the server does not have the file.
        ConnectionError: If the server cannot be reached or keeps failing.
        ValueError: If the complete file has another MD5 sum; it is then removed.
    """

    def attempt(part: Path) -> None:
        mark = part.with_suffix(".version") if md5 is None else None
        ask_for_rest(url, part, timeout=timeout, progress=progress, mark=mark)

    return keep(url, attempt, cache=cache, md5=md5, retries=retries, backoff=backoff)


def keep(
    origin: str,
    attempt: Callable[[Path], None],
    *,
    cache: Path,
    md5: str | None,
    retries: int,
    backoff: float,
) -> Path:
    """Complete one file of the cache by asking for its bytes as often as it takes.

    Args:
        origin: What names the file, for messages; the same origin is the same file.
        attempt: Called with the partial file; appends what it still lacks, or raises `requests.RequestException` where
            it may be repeated.
        cache: Folder of partial and finished downloads.
        md5: MD5 sum that the file must have, in hexadecimal, or none.
        retries: Attempts in a row that may fail without a byte gained.
        backoff: Pause after the first failure, s, doubled after each further one.

    Returns:
        The complete file; processes that want the same one wait for one another.

    Raises:
        ConnectionError: If the attempts are used up.
        ValueError: If the file has another MD5 sum.
    """
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(origin.encode()).hexdigest()
    finished, part, seal = cache / f"{key}.whole", cache / f"{key}.part", cache / f"{key}.sum"
    with FileLock(cache / f"{key}.lock"):
        if not (seal.is_file() and matches(finished, seal.read_text())):
            persist(partial(attempt, part), part, origin=origin, retries=retries, backoff=backoff)
            _require_md5(part, md5, origin=origin)
            with atomic(seal) as path:  # first the sum, then the file: half a file never has its sum
                path.write_text(sha256_of(part))
            os.replace(part, finished)
    return finished


def put(source: Path, target: Path) -> None:
    """Copy a file of the cache to its place, where it appears only when complete."""
    with atomic(target) as part:
        shutil.copyfile(source, part)


def _require_md5(part: Path, md5: str | None, *, origin: str) -> None:
    """Refuse and forget a file whose bytes are not the archive's."""
    if md5 is None:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        part.unlink()
        raise ValueError(
            f"{origin}: wrong checksum, expected md5 {md5}, got {found}; the file is damaged or was changed at its "
            "source: try again, or name a mirror"
        )
