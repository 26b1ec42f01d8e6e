"""A web server for tests: serves bytes from memory, with Range, and fails in the ways servers do."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.datasets.loopback import Loopback


@dataclass(frozen=True)
class Fault:
    """What goes wrong in one answer: a status, an early end, a server without Range, a slow line."""

    status: int | None = None
    retry_after: str | None = None
    stop_after: int | None = None
    ignore_range: bool = False
    pause: float = 0.0
    silence: float = 0.0  # s without a byte, behind `stop_after`


@dataclass
class Answer:
    """What one request asked for and how many bytes it got."""

    path: str
    range: str | None
    sent: int = 0
    begun: float = field(default_factory=time.monotonic)


@dataclass
class Server(Loopback):
    """Files by path, faults by path (used up one an answer), and a record of all answers.

    With `tags` every answer names the version of its file. A Range is only good for the version that `If-Range` names.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    tags: bool = False


class _Handler(BaseHTTPRequestHandler):
    owner: Server

    def do_GET(self) -> None:
        answer = Answer(self.path, self.headers.get("Range"))
        self.owner.answers.append(answer)
        queue = self.owner.faults.get(self.path, [])
        fault = queue.pop(0) if queue else Fault()
        body = self.owner.files.get(self.path)
        if fault.status or body is None:
            self._refuse(fault)
        else:
            self._send(body, fault, answer)

    def _refuse(self, fault: Fault) -> None:
        self.send_response(fault.status or 404)
        if fault.retry_after:
            self.send_header("Retry-After", fault.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, body: bytes, fault: Fault, answer: Answer) -> None:
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        changed = self.headers.get("If-Range") not in (None, tag)
        first = int(answer.range[6:].rstrip("-")) if answer.range and not (fault.ignore_range or changed) else 0
        if first >= len(body) and first:
            return self.send_error(416)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if self.owner.tags:
            self.send_header("ETag", tag)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        self._write(body[first : fault.stop_after], fault, answer)
        return None

    def _write(self, rest: bytes, fault: Fault, answer: Answer) -> None:
        try:
            for at in range(0, len(rest), 1 << 16):
                self.wfile.write(rest[at : at + (1 << 16)])
                answer.sent += len(rest[at : at + (1 << 16)])
                time.sleep(fault.pause)
            self.wfile.flush()
            time.sleep(fault.silence)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client was killed, as intended

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


Server.handler = _Handler
