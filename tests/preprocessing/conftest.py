"""Fixtures of the preprocessing tests: real raw folders."""

from tests.raw_folders import raw, read

__all__ = ["raw", "read"]
