"""The figure of the length benchmark: speed and memory of every model against the sequence length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofmx.evaluation.canvas import COLOURS, MARKS, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Series = Mapping[str, Sequence[tuple[int, float, float | None]]]


def length_figure(models: Series, path: Path) -> None:
    """Draws two panels with logarithmic axes, and one legend beside them.

    Args:
        models: Model to (length, tokens a second, peak MiB or `None`), by length.
        path: PNG to write.
    """
    with canvas(path, size=(9.5, 3.4)) as figure:
        speed, memory = figure.subplots(1, 2)
        for number, (name, points) in enumerate(models.items()):
            style: dict[str, Any] = {
                "color": COLOURS[number % len(COLOURS)],
                "marker": MARKS[number % len(MARKS)],
                "markersize": 5,
                "label": name,
            }
            speed.plot([length for length, _, _ in points], [rate for _, rate, _ in points], **style)
            known = [(length, mib) for length, _, mib in points if mib is not None]
            memory.plot([length for length, _ in known], [mib for _, mib in known], **style)
        lengths = sorted({length for points in models.values() for length, _, _ in points})
        _finish(speed, "Tokens per second in training", lengths)
        _finish(memory, "Peak memory of a step (MiB)", lengths)
        memory.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)


def _finish(panel: Axes, title: str, lengths: Sequence[int]) -> None:
    """Logarithmic axes with plain numbers at the lengths that were measured."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(lengths, [f"{length:,}" for length in lengths], rotation=45, ha="right")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    panel.tick_params(which="minor", left=False, labelleft=False)
    panel.set_xlabel("sequence length (tokens)")
    panel.set_title(title, loc="left", fontsize=10, fontweight="bold")
    panel.grid(color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
