"""Good manners towards servers: few requests at once to a host, and rests as long as it asks for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from requests import RequestException, Response
from urllib3.exceptions import NameResolutionError

from neurofmx.atomic import atomic

PLACES = 2  # requests to one host at a time, over all processes of a checkout
LONGEST = 600.0  # s; a server that asks for a longer rest is left alone
_POLL = 0.05


@contextmanager
def turn(url: str, *, cache: Path) -> Iterator[None]:
    """Wait for one of a host's places, and until its rest is over.

    Args:
        url: What will be asked for.
        cache: Folder of downloads that all processes share.
    """
    folder = _folder(url, cache)
    while True:
        while (left := _resting(folder)) > 0:
            time.sleep(min(left, 1.0))
        for place in range(PLACES):
            lock = FileLock(folder / f"{place}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield
            finally:
                lock.release()
            return
        time.sleep(_POLL)


def heed(response: Response, *, cache: Path) -> None:
    """Leave a busy host alone for as long as it asks, in all processes.

    Args:
        response: Its answer.
        cache: Folder of downloads that all processes share.

    Raises:
        ConnectionError: If it asks for longer than anyone waits.
    """
    seconds = asked_rest(response.headers) if response.status_code in (429, 503) else 0.0
    if seconds > LONGEST:
        raise ConnectionError(
            f"cannot download {response.url}: the server is busy (status {response.status_code}) and asks to come back "
            f"in {seconds:.0f} s; do so then, what has come so far is kept"
        )
    if seconds:
        with atomic(_folder(response.url, cache) / "until") as part:
            part.write_text(repr(time.time() + seconds))


def asked_rest(headers: Mapping[str, str]) -> float:
    """How long a server asks to be left alone, s; 0 where it does not say.

    Args:
        headers: Of its answer.

    Example:
        >>> asked_rest({"Retry-After": "3"}), asked_rest({})
        (3.0, 0.0)

    Source: RFC 9110, section 10.2.3: seconds, or a date.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def unknown_host(error: RequestException | Exception) -> bool:
    """Whether a request failed because no one knows the host's name: asking again at once changes nothing."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NameResolutionError)


def _folder(url: str, cache: Path) -> Path:
    """What is known of a host."""
    parts = urlsplit(url)
    folder = cache / "hosts" / f"{parts.hostname}_{parts.port or parts.scheme}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _resting(folder: Path) -> float:
    """Seconds that a host is still to be left alone; a clock that was set back counts as no rest."""
    try:
        left = float((folder / "until").read_text()) - time.time()
    except (FileNotFoundError, ValueError):
        return 0.0
    return left if left <= LONGEST else 0.0
