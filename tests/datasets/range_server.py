"""A web server for tests of archives: answers are computed, ranges `a-b` served as S3 serves them, faults injected."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.datasets.loopback import Loopback


@dataclass(frozen=True)
class Trouble:
    """What goes wrong in one answer: a status, an early end, no ranges, silence, another length of the file."""

    status: int | None = None
    stop_after: int | None = None
    ignore_range: bool = False
    silence: float = 0.0
    grown: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An answer; `whole` ones know no ranges."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


@dataclass
class Asked:
    """What one request asked for, and the bytes it got."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    sent: int = 0


@dataclass
class RangeServer(Loopback):
    """Serves what `reply` says; troubles by path, used up one an answer, and a record of all requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def reply(self, target: str) -> Reply:
        """The answer to a GET of a path with its query."""
        path = target.split("?")[0]
        return Reply(200, self.files[path]) if path in self.files else Reply(404)

    def reply_to_post(self, asked: Asked) -> Reply:
        """The answer to a POST."""
        return Reply(405)

    def ranges(self, path: str) -> list[str]:
        """The ranges that were asked for of a path, in order."""
        return [asked.headers["Range"] for asked in self.asked if asked.target == path and "Range" in asked.headers]

    def sent(self, path: str) -> int:
        """Bytes that went out for a path."""
        return sum(asked.sent for asked in self.asked if asked.target.split("?")[0] == path)


class _Handler(BaseHTTPRequestHandler):
    owner: RangeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(lambda asked: self.owner.reply(asked.target))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self.owner.reply_to_post)

    def _answer(self, find) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, dict(self.headers.items()), body)
        self.owner.asked.append(asked)
        queue = self.owner.troubles.get(self.path.split("?")[0], [])
        trouble = queue.pop(0) if queue else Trouble()
        time.sleep(trouble.silence)
        reply = Reply(trouble.status, b"{}", trouble.headers, whole=True) if trouble.status else find(asked)
        try:
            self._send(reply, trouble, asked)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away, as intended

    def _send(self, reply: Reply, trouble: Trouble, asked: Asked) -> None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("Range", ""))
        status, body, headers = reply.status, reply.body, dict(reply.headers)
        if match and status == 200 and not reply.whole and not trouble.ignore_range:
            size = len(body)
            first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
            status, body = (206, body[first : last + 1]) if first < size else (416, b"")
            headers["Content-Range"] = f"bytes {first}-{last}/{size + trouble.grown}"
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: trouble.stop_after])
            asked.sent += len(body[: trouble.stop_after])
        if trouble.stop_after is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


RangeServer.handler = _Handler
