"""Write what a benchmark found: results.json, table.md, figure.png and report.html."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurofmx.atomic import atomic
from neurofmx.benchmark.outputs.figure import figure
from neurofmx.benchmark.outputs.markdown import markdown
from neurofmx.benchmark.outputs.page import page

FILES = ("results.json", "table.md", "figure.png", "report.html")


def write(facts: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write all outputs, none of them half.

    Args:
        facts: `Benchmark.facts`, or what results.json held.
        folder: Where to.

    Returns:
        The files, in the order of `FILES`. Only the page holds the others' content; it needs none of them.
    """
    png = figure(facts)
    content = (
        json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n",
        markdown(facts).encode(),
        png,
        page(facts, png).encode(),
    )
    paths = [folder / name for name in FILES]
    for path, each in zip(paths, content, strict=True):
        with atomic(path) as part:
            part.write_bytes(each)
    return paths
