"""Fixtures of the pipeline's tests."""

from pipeline_checkout import built

__all__ = ["built"]
