"""Fixtures of the dataset tests: real raw folders, and a web server that can misbehave."""

from collections.abc import Iterator

import pytest
from tests.datasets.bucket import Buckets
from tests.datasets.server import Server
from tests.raw_folders import raw, read

from neurofmx.datasets.access import s3

__all__ = ["buckets", "raw", "read", "server"]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine alone, stopped after the test."""
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def _moto() -> Iterator[Buckets]:
    """One S3 server for all tests of a session: its imports take a second."""
    with Buckets() as running:
        yield running


@pytest.fixture
def buckets(_moto: Buckets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    """An empty S3 server on this machine alone, known to the client as Amazon's own would be."""
    _moto.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", _moto.url)
    monkeypatch.setattr(s3, "ATTEMPTS", 1)  # the client's own pauses take seconds
    s3._client.cache_clear()
    yield _moto
    s3._client.cache_clear()
