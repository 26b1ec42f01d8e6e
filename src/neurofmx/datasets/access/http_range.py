"""A file on a web server, read by ranges of bytes: only the blocks that a reader touches, each asked for once."""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path

import requests

from neurofmx.atomic import atomic
from neurofmx.datasets.access.fetch import WAY_OUT
from neurofmx.datasets.access.politeness import asked_rest

_BUSY = (408, 429, 500, 502, 503, 504)
_LONGEST = 60.0  # s, that a server may make us wait
_log = logging.getLogger(__name__)


class RangeFile(io.RawIOBase):
    """A remote file that `h5py.File` opens like a local one.

    Blocks are kept in a folder, so that a reader that was killed goes on where it was. Written here because remfile
    waits for a silent server for ever and takes a server that ignores ranges at its word, and fsspec's own HTTP file
    does not ask a second time.

    Args:
        url: Address of the file. Redirections are followed, once for all blocks as long as the target lasts.
        size: Length of the file, bytes.
        blocks: Folder for the blocks of this one version of the file, made if need be.
        block: Bytes a block, default 1 MiB.
        together: Neighbouring blocks that one request asks for at most, default 16.
        retries: Attempts in a row that may fail, default 4.
        timeout: Longest silence of the server, s, default 30.
        backoff: Pause after the first failure, s, doubled after each further one, default 0.5.

    Raises:
        FileNotFoundError: If the server does not have the file.
        ConnectionError: If it cannot be reached, keeps failing, or does not serve ranges.
        ValueError: If the server's file has another size.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        blocks: Path,
        block: int = 1 << 20,
        together: int = 16,
        retries: int = 4,
        timeout: float = 30.0,
        backoff: float = 0.5,
    ) -> None:
        super().__init__()
        self._url, self._size, self._folder = url, size, blocks
        self._block, self._together = block, together
        self._retries, self._timeout, self._backoff = retries, timeout, backoff
        self._target: str | None = None  # where the address redirects to
        self._position = 0
        self._last: tuple[int, bytes] = (-1, b"")
        self._session = requests.Session()
        blocks.mkdir(parents=True, exist_ok=True)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte is read, bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; arguments are those of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer, /) -> int:
        """Fill a buffer from the current position; returns the bytes read, 0 at the end."""
        view = memoryview(buffer).cast("B")
        length = min(len(view), max(0, self._size - self._position))
        if length:
            self._require(self._position // self._block, (self._position + length - 1) // self._block)
        done = 0
        while done < length:
            index, inside = divmod(self._position, self._block)
            piece = self._read_block(index)[inside : inside + length - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return length

    def close(self) -> None:
        """Give the connection back; the blocks stay."""
        self._session.close()
        super().close()

    def _path(self, index: int) -> Path:
        """The file of a block."""
        return self._folder / f"{index:08d}"

    def _read_block(self, index: int) -> bytes:
        """A block that is on disk."""
        if self._last[0] != index:
            self._last = (index, self._path(index).read_bytes())
        return self._last[1]

    def _require(self, first: int, last: int) -> None:
        """Bring all blocks from `first` to `last` to the disk, neighbours in one request."""
        missing = [index for index in range(first, last + 1) if not self._path(index).is_file()]
        while missing:
            run = 1
            while run < min(len(missing), self._together) and missing[run] == missing[0] + run:
                run += 1
            self._keep(missing[0], self._ask(missing[0] * self._block, (missing[0] + run) * self._block))
            missing = missing[run:]

    def _keep(self, first: int, data: bytes) -> None:
        """Write bytes as blocks."""
        for k in range(0, len(data), self._block):
            with atomic(self._path(first + k // self._block)) as part:
                part.write_bytes(data[k : k + self._block])

    def _ask(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of the file, asked for as often as it takes."""
        stop = min(stop, self._size)
        failures = 0
        while True:
            try:
                return self._attempt(start, stop)
            except requests.RequestException as error:
                failures += 1
                if failures > self._retries:
                    raise ConnectionError(f"cannot read {self._url}: {error}; {WAY_OUT}") from error
                _log.warning("%s: bytes %d to %d failed (%s), trying again", self._url, start, stop, error)
                told = asked_rest(error.response.headers) if error.response is not None else 0.0
                time.sleep(max(self._backoff * 2 ** (failures - 1), min(told, _LONGEST)))

    def _attempt(self, start: int, stop: int) -> bytes:
        """One request."""
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        address = self._target or self._url
        with self._session.get(address, headers=headers, timeout=self._timeout, stream=True) as response:
            self._refuse(response)
            self._require_range(response, start, stop)
            data = response.content
        if len(data) != stop - start:
            raise requests.ConnectionError(f"got {len(data)} of {stop - start} bytes")
        self._target = response.url
        return data

    def _refuse(self, response: requests.Response) -> None:
        """Raise for every answer that brings no bytes; `requests.HTTPError` where asking again may help."""
        status, moved = response.status_code, self._target is not None
        self._target = None if status >= 400 else self._target  # a signed target expires: ask the address again
        if status in _BUSY or (status >= 400 and moved):
            raise requests.HTTPError(f"status {status}", response=response)
        if status in (404, 410):
            raise FileNotFoundError(f"{self._url}: the server has no such file (status {status})")
        if status >= 400 and status != 416:
            raise ConnectionError(f"{self._url}: the server refuses (status {status}); {WAY_OUT}")

    def _require_range(self, response: requests.Response, start: int, stop: int) -> None:
        """Refuse an answer that is not the asked part of the expected file."""
        told = response.headers.get("Content-Range", "")
        if response.status_code == 200 or not told:
            raise ConnectionError(
                f"{self._url}: the server does not serve ranges; take whole files (`by_range: false`) or a mirror"
            )
        if not told.endswith(f"/{self._size}"):
            raise ValueError(
                f"{self._url}: expected a file of {self._size} bytes, the server says {told!r}; it changed at its "
                "source: choose a published version, or start again without the cache"
            )
        if not told.startswith(f"bytes {start}-{stop - 1}/"):
            raise requests.ConnectionError(f"asked for bytes {start} to {stop - 1}, got {told!r}")
