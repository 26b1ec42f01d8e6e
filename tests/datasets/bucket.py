"""Buckets on this machine, by moto's server, behind a line that can fail."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import boto3
import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


@dataclass(frozen=True)
class Fault:
    """What goes wrong in one answer: a status, an early end, a server without Range, a line that goes silent."""

    status: int | None = None
    stop_after: int | None = None
    ignore_range: bool = False
    silence: float = 0.0


@dataclass
class Buckets:
    """moto's S3, with faults by the last part of a path (used up one an answer) and the ranges that were asked for."""

    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    signed: bool = False

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def reset(self) -> None:
        """Forget all buckets."""
        requests.post(f"{self.url}/moto-api/reset", timeout=10).raise_for_status()
        self.faults, self.asked, self.signed = {}, [], False

    def owner(self):
        """A client that may write."""
        keys = {"aws_access_key_id": "owner", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.url, **keys)

    def fill(self, bucket: str, files: dict[str, bytes]) -> None:
        """Make a bucket with files by key."""
        owner = self.owner()
        owner.create_bucket(Bucket=bucket)
        for key, body in files.items():
            owner.put_object(Bucket=bucket, Key=key, Body=body, ACL="public-read")
        self.asked, self.signed = [], False

    def fill_from(self, bucket: str, folder: Path, prefix: str) -> None:
        """Make a bucket with the files of a folder below a prefix."""
        paths = [path for path in folder.rglob("*") if path.is_file()]
        self.fill(bucket, {f"{prefix}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths})

    def _answer(self, environ: dict[str, Any], start: Callable) -> Iterable[bytes]:
        name = environ["PATH_INFO"].rpartition("/")[2]
        self.asked.append((name, environ.get("HTTP_RANGE")))
        self.signed |= "HTTP_AUTHORIZATION" in environ
        queue = self.faults.get(name, [])
        fault = queue.pop(0) if queue else Fault()
        if fault.status:
            start(f"{fault.status} Fault", [("Content-Length", "0")])
            return []
        if fault.ignore_range:
            environ.pop("HTTP_RANGE", None)
        body = self._app(environ, start)
        return body if fault.stop_after is None else _cut(body, fault)


def _cut(body: Iterable[bytes], fault: Fault) -> Iterator[bytes]:
    """The beginning of an answer, then silence."""
    yield b"".join(body)[: fault.stop_after]
    time.sleep(fault.silence)
