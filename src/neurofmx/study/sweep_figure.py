"""A sweep's figure: the validation loss of every setting beside the baseline's, the best at the top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofmx.evaluation.canvas import COLOURS, GREY, MARKS, canvas
from neurofmx.study.figure import ticks
from neurofmx.study.sweep import Ranked, rank_by_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, LINE, AROUND = 7.5, 0.28, 1.6  # inches: the figure, a setting's line, titles and axis
BLACK = "#000000"


def sweep_figure(result: Mapping[str, Any], path: Path) -> None:
    """Draw the ratio of every setting on each dataset, and its mean; the same result draws the same bytes.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
        path: PNG to write.

    Raises:
        ValueError: If there is no dataset on which all settings have a validation loss.
    """
    ranked = rank_by_loss(result)
    if not ranked:
        raise ValueError("no dataset on which all settings have a validation loss: run the suite again, it goes on")
    datasets = list(dict.fromkeys(row["dataset"] for row in result["rows"]))
    with canvas(path, size=(WIDTH, AROUND + LINE * len(ranked))) as figure:
        panel = figure.subplots()
        _draw(panel, ranked, datasets)
        _frame(panel, ranked, result["baseline"])
        handles, labels = panel.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)


def _draw(panel: Axes, ranked: Sequence[Ranked], datasets: Sequence[str]) -> None:
    """A mark a dataset, and a bar at the mean."""
    panel.axvline(1, color=GREY, linewidth=1.2)
    for place, dataset in enumerate(datasets):
        found = [(one.each[dataset], height) for height, one in enumerate(ranked) if dataset in one.each]
        ratios, heights = zip(*found, strict=True) if found else ((), ())
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        panel.plot(ratios, heights, mark, color=colour, markersize=4.5, alpha=0.8, label=dataset)
    means = [one.ratio for one in ranked]
    panel.plot(means, range(len(ranked)), "|", color=BLACK, markersize=14, markeredgewidth=2.2, label="mean")


def _frame(panel: Axes, ranked: Sequence[Ranked], baseline: str) -> None:
    """Names of the settings with their means, and a logarithmic axis with plain numbers."""
    from matplotlib.ticker import FixedLocator, NullLocator

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(ticks(*panel.get_xlim())))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(f"validation loss, as a ratio to that of {baseline} (left of 1: lower)")
    panel.set_yticks(range(len(ranked)), [f"{one.name}  {one.ratio:.3f}" for one in ranked], fontsize=9)
    panel.set_ylim(len(ranked) - 0.5, -0.5)
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    for height in range(1, len(ranked)):
        panel.axhline(height - 0.5, color="#eeeeee", linewidth=0.6)
