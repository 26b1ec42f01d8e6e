"""Fixtures of the dataset tests: real raw folders, and a web server that can misbehave."""

from collections.abc import Iterator

import pytest
from tests.datasets.server import Server
from tests.raw_folders import raw, read

__all__ = ["raw", "read", "server"]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine alone, stopped after the test."""
    with Server() as running:
        yield running
