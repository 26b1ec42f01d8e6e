"""Fixtures of the preprocessing tests: real raw folders."""

from tests.raw_folders import raw

__all__ = ["raw"]
