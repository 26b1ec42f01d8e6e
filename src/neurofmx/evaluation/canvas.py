"""What all figures share: colours and marks, and a canvas that becomes a PNG. The same input draws the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from neurofmx.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by people with any kind of colour vision; yellow is left out on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKS = ("o", "s", "^", "D", "v", "P", "X")  # beside the colours, for those who print in grey
GREY = "#555555"
WIDTH, DPI = 7.5, 150
STYLE: Mapping[Any, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def canvas(to: Path | BinaryIO, *, size: tuple[float, float], style: Mapping[Any, Any] = STYLE) -> Iterator[Figure]:
    """A figure to draw on, without a display; it is written when the block ends well.

    Args:
        to: PNG to write, never half of it, without date or version; or an open file.
        size: Width and height, inches.
        style: Settings of matplotlib while it is drawn.

    Yields:
        The figure, whose layout makes room for what stands around its panels.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(style)):
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        if not isinstance(to, Path):
            return _write(figure, to)
        with atomic(to) as part, part.open("wb") as file:
            _write(figure, file)


def _write(figure: Figure, file: BinaryIO) -> None:
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
