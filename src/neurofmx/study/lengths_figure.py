"""A study's scores against the length of the window: a panel a dataset, a line a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofmx.evaluation.canvas import COLOURS, GREY, MARKS, canvas
from neurofmx.recordings.task import LOWER_IS_BETTER
from neurofmx.study.lengths import rising

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 5.0, 3.6  # inches of a panel
APART = 0.05  # of a doubling, between the runs of one length: their intervals would lie on each other


def lengths_figure(result: Mapping[str, Any], path: Path) -> None:
    """Draw the scores of every run with their intervals; the same result draws the same bytes.

    Args:
        result: What `neurofmx.study.compare.compare` returned, with scores by length of at least one dataset.
        path: PNG to write.

    Raises:
        ValueError: If no dataset has scores by length.
    """
    rows = [row for row in result["rows"] if row["by_length"]]
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    if not datasets:
        raise ValueError("no dataset has scores by length: set evaluate.text_lengths, or take windows of several")
    names = list(dict.fromkeys(row["name"] for row in rows))
    with canvas(path, size=(WIDTH * len(datasets), HEIGHT)) as figure:
        panels = list(figure.subplots(1, len(datasets), squeeze=False).flat)
        for panel, dataset in zip(panels, datasets, strict=True):
            _panel(panel, [row for row in rows if row["dataset"] == dataset], names)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False)


def _panel(panel: Axes, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """One dataset: a line a run, its intervals as bars; chance dashed, where a logarithm would not hide the rest."""
    metric, of = rows[0]["headline"], {row["name"]: row["by_length"] for row in rows}
    for place, name in enumerate(names):  # also one that has no scores here, for the legend
        scores = rising(of.get(name, {}))
        value, low, high = ([each[end] for each in scores.values()] for end in ("value", "low", "high"))
        lengths, colour = [int(length) for length in scores], COLOURS[place % len(COLOURS)]
        line = "--" if place >= len(COLOURS) else "-"
        beside = [length * 2 ** (APART * (place - (len(names) - 1) / 2)) for length in lengths]
        panel.vlines(beside, low, high, color=colour, linewidth=1.4)
        panel.plot(beside, value, line, marker=MARKS[place % len(MARKS)], color=colour, markersize=5, label=name)
    if metric in LOWER_IS_BETTER:
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}")
    else:
        panel.axhline(rows[0]["chance"], color=GREY, linestyle="--", linewidth=1.2)
    _axes(panel, sorted({int(length) for row in rows for length in row["by_length"]}))
    panel.set_title(f"{rows[0]['dataset']}, {metric}", loc="left", fontweight="bold", fontsize=10)


def _axes(panel: Axes, lengths: Sequence[int]) -> None:
    """The lengths that were asked, and no other, on a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, NullLocator

    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_locator(FixedLocator(lengths))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("tokens of a window")
    panel.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
