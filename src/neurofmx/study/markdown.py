"""Tables in Markdown that read well as text too."""

from __future__ import annotations

from collections.abc import Sequence


def table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table with columns padded to equal width."""
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]
    lines = [heads, ["-" * width for width in widths], *body]
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
