"""Figures of a run: every model beside the linear one, and how training went. The same input draws the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofmx.evaluation.canvas import COLOURS, GREY, WIDTH, canvas
from neurofmx.evaluation.table import best_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Sequence[tuple[int, float, float]]


def comparison_figure(reports: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw one panel a dataset: each model's score with its interval, chance dashed, the linear model solid.

    Args:
        reports: What `report` returned, in any order, at least one.
        path: PNG to write.

    Raises:
        ValueError: If there is no report.
    """
    if not reports:
        raise ValueError("reports is empty: give at least one. Make them with `dvc repro evaluate`.")
    datasets = sorted({report["dataset"] for report in reports})
    colours = _colours(report["model"] for report in reports)
    groups = [
        sorted((r for r in reports if r["dataset"] == name), key=lambda r: (-best_first(r), r["model"]))
        for name in datasets
    ]
    with _panels(path, [0.9 + 0.34 * len(group) for group in groups]) as panels:
        for panel, group in zip(panels, groups, strict=True):
            _compare(panel, group, colours)


def curves_figure(curves: Mapping[tuple[str, str], Points], path: Path, *, models: Iterable[str] = ()) -> None:
    """Draw one panel a dataset: training loss (thin) and validation loss (bold) of each model against the epoch.

    The losses stand on a logarithmic axis: the first epoch's would flatten all that follow on a linear one.

    Args:
        curves: (dataset, model) to points (epoch, training loss, validation loss); models that are not trained by
            gradient descent have none and are left out. Without any curve the figure says so.
        path: PNG to write.
        models: All models of the comparison, so that each has the colour it has there; by default those with a curve.
    """
    datasets = sorted({dataset for dataset, _ in curves})
    colours = _colours([*models, *(model for _, model in curves)])
    with _panels(path, [2.6] * len(datasets) or [0.8]) as panels:
        for panel, name in zip(panels, datasets or [None], strict=True):
            if name is None:
                _say(panel, "No model was trained by gradient descent.")
            else:
                _learn(panel, name, {m: points for (d, m), points in sorted(curves.items()) if d == name}, colours)


def _compare(panel: Axes, group: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    """Dots with their intervals, the worst at the bottom."""
    metric = group[0]["headline"]
    panel.axvline(group[0]["chance"][metric], color=GREY, linestyle="--", linewidth=1.2, label="chance")
    panel.axvline(group[0]["linear"], color=GREY, linewidth=1.2, label="linear")
    for height, report in enumerate(group):
        low, high, colour = report["interval"]["low"], report["interval"]["high"], colours[report["model"]]
        panel.plot([low, high], [height, height], color=colour, linewidth=2.2, solid_capstyle="butt")
        panel.plot(report["score"], height, "o", color=colour, markersize=7)
    panel.set_yticks(range(len(group)), [report["model"] for report in group])
    panel.set_ylim(-0.6, len(group) - 0.4)
    panel.margins(x=0.05)
    if metric == "perplexity":  # chance would flatten all that differs on a linear axis
        panel.set_xscale("log")
    _name(panel, group[0]["dataset"], metric)
    _legend(panel)


def _learn(panel: Axes, dataset: str, models: Mapping[str, Points], colours: Mapping[str, str]) -> None:
    """Losses of one dataset."""
    from matplotlib.ticker import LogLocator, NullLocator

    for model, points in models.items():
        epochs, train, validation = zip(*points, strict=True)
        mark = "o" if len(points) == 1 else ""  # a line through one point is invisible
        panel.plot(epochs, train, color=colours[model], linewidth=0.9, alpha=0.55, marker=mark, markersize=3)
        panel.plot(epochs, validation, color=colours[model], linewidth=2.2, marker=mark, label=model)
    _name(panel, dataset, "epoch")
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylabel("loss\n(thin: training, bold: validation)", fontsize=9)
    _legend(panel)


def _say(panel: Axes, text: str) -> None:
    """A sentence in place of a panel."""
    panel.set_axis_off()
    panel.text(0.5, 0.5, text, ha="center", va="center", color=GREY)


def _colours(models: Iterable[str]) -> dict[str, str]:
    """A colour for each model, the same in every panel."""
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(sorted(set(models)))}


@contextmanager
def _panels(path: Path, heights: Sequence[float]) -> Iterator[list[Axes]]:
    """Panels above each other, heights in inches, of a figure that is written."""
    with canvas(path, size=(WIDTH, sum(heights))) as figure:
        yield list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=list(heights))[:, 0])


def _name(panel: Axes, title: str, axis: str) -> None:
    """Title, the name of the horizontal axis, and light lines to read values off."""
    panel.set_title(title, loc="left", fontweight="bold", fontsize=11)
    panel.set_xlabel(axis)
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)


def _legend(panel: Axes) -> None:
    """A legend beside the panel, where it hides nothing."""
    panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
