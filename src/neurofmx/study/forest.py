"""A suite's figure: each model's distance to the linear one with its interval, a line a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofmx.evaluation.canvas import COLOURS, GREY, MARKS, canvas
from neurofmx.recordings.task import LOWER_IS_BETTER
from neurofmx.study.scoreboard import Report, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, LINE, AROUND = 7.5, 0.42, 1.4  # inches
# lines of the grid and what stands below them: far from 0 they lie too close for a label each
TICKS = {-1: "-1", -0.5: "", -0.2: "", -0.1: "-0.1", -0.05: "-0.05", 0: "linear", 0.05: "+0.05", 0.1: "+0.1"}
TICKS |= {0.2: "", 0.5: "", 1: "+1"}


def forest(reports: Iterable[Report], path: Path, *, datasets: Mapping[str, str], models: Sequence[str]) -> None:
    """Draw the differences to the linear model; the same reports draw the same bytes.

    Accuracies, areas under the curve and R2 are subtracted. Of a perplexity it is the share by which it is lower than
    the linear model's, so that right of 0 is better everywhere.

    Args:
        reports: What `neurofmx.evaluation.report.report` returned.
        path: PNG to write.
        datasets: Dataset to modality, in the order of the lines, from the top.
        models: Models to draw.

    Raises:
        ValueError: If a report is missing.
    """
    rows = rows_of(reports, datasets=datasets, models=models)
    with canvas(path, size=(WIDTH, AROUND + LINE * len(rows))) as figure:
        panel = figure.subplots()
        panel.axvline(0, color=GREY, linewidth=1.2)
        for height, row in enumerate(rows.values()):
            _line(panel, height, [row[model] for model in models])
        _frame(panel, [f"{dataset} ({modality})" for dataset, modality in datasets.items()])
        figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=len(models), frameon=False)


def _line(panel: Axes, height: int, reports: Sequence[Report]) -> None:
    """The models of one dataset, the first at the top."""
    for place, report in enumerate(reports):
        y = height + 0.6 * ((place + 0.5) / len(reports) - 0.5)
        low, value, high = difference(report)
        colour = COLOURS[place % len(COLOURS)]
        panel.plot([low, high], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
        label = report["model"] if height == 0 else None
        panel.plot(value, y, MARKS[place % len(MARKS)], color=colour, markersize=5, label=label)


def difference(report: Report) -> tuple[float, float, float]:
    """Low end, value and high end of the distance to the linear model, positive where the model is better."""
    ends: Mapping[str, Any] = report["difference"]
    if report["headline"] in LOWER_IS_BETTER:
        return tuple(-ends[name] / report["linear"] for name in ("high", "value", "low"))  # type: ignore[return-value]
    return ends["low"], ends["value"], ends["high"]


def _frame(panel: Axes, labels: Sequence[str]) -> None:
    """Axes; equal steps near 0, where most differences lie, and shrinking ones beyond."""
    panel.set_xscale("symlog", linthresh=0.1, linscale=2)
    low, high = panel.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    panel.set_xticks(ticks, [TICKS[tick] for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel("difference to the linear model; of a perplexity the share by which it is lower")
    panel.set_yticks(range(len(labels)), labels, fontsize=9)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    for height in range(1, len(labels)):
        panel.axhline(height - 0.5, color="#eeeeee", linewidth=0.6)
