"""The figure of a study: which one it is, by what the study is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from neurofmx.study.figure import study_figure
from neurofmx.study.lengths_figure import lengths_figure
from neurofmx.study.sweep_figure import sweep_figure

# of all other studies it is that of ratios
FIGURES: dict[str, Callable[[Mapping[str, Any], Path], None]] = {
    "context": lengths_figure,
    "memory": lengths_figure,
    "sweep": sweep_figure,
}


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Draw a study; the same result draws the same bytes.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
        path: PNG to write.

    Raises:
        ValueError: If there is nothing to draw: no scores by length in a study of these, no validation losses in a
            sweep.
    """
    FIGURES.get(result["study"] or "", study_figure)(result, path)
