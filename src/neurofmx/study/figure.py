"""A study's figure: ratios to the baseline with intervals, a panel a measure, datasets grouped by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofmx.atomic import atomic
from neurofmx.evaluation.figures import COLOURS, DPI, GREY, STYLE
from neurofmx.study.compare import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# the panels of each study, two a row
PANELS = {
    "four_way": ("score", "noise", "silenced", "time", "memory"),
    "modes": ("score", "noise", "time", "memory"),
    "ablation": ("score", "noise", "time", "memory"),
    None: ("score", "noise", "time", "memory"),
}
TITLES = {
    "score": "score (right of 1: better)",
    "noise": "score kept under noise (right of 1: better)",
    "silenced": "score kept with silent neurons (right of 1: better)",
    "time": "training time (left of 1: less)",
    "memory": "training memory (left of 1: less)",
}
MARKS = ("o", "s", "^", "D", "v", "P", "X")  # beside the colours, for those who print in grey
WIDTH, ROW, AROUND, LEAST = 10.0, 0.13, 1.0, 0.3  # inches: figure, a run's line, a panel's titles, least of a dataset


def study_figure(result: Mapping[str, Any], path: Path) -> None:
    """Draw all ratios of a study; the same result draws the same bytes.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
        path: PNG to write.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["name"] for row in result["overall"]))
    measures = [name for name in PANELS[result["study"]] if any(row["ratios"][name] for row in result["overall"])]
    lines = _lines(result)
    across = 2 if len(measures) > 1 else 1
    down = max(1, -(-len(measures) // across))
    tall = AROUND + len(lines) * max(LEAST, ROW * (len(names) + 1))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, down * tall + 0.5), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        for place, (panel, measure) in enumerate(zip(axes, measures, strict=False)):
            _panel(panel, measure, lines, names, result["claims"], named=place % across == 0)
        for panel in axes[len(measures) :]:
            panel.set_axis_off()
        handles = axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=min(len(names), 6), frameon=False)
        with atomic(path) as part:
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def _lines(result: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """What stands in a line, from the top: its label, its domain, and the ratios by run."""
    order = list(dict.fromkeys(row["domain"] for row in result["overall"] if row["domain"] != ALL))
    lines = [("all datasets", ALL, {r["name"]: r["ratios"] for r in result["overall"] if r["domain"] == ALL})]
    for domain in order:
        for dataset in dict.fromkeys(row["dataset"] for row in result["rows"] if row["domain"] == domain):
            own = {row["name"]: row["ratios"] for row in result["rows"] if row["dataset"] == dataset}
            lines.append((dataset, domain, own))
    return lines


def _panel(
    panel: Axes,
    measure: str,
    lines: Sequence[tuple[str, str, dict[str, Any]]],
    names: Sequence[str],
    claims: Sequence[Mapping[str, Any]],
    *,
    named: bool,
) -> None:
    """One measure: a line a dataset, in it a mark with its interval for each run."""
    panel.axvline(1, color=GREY, linewidth=1.2)
    _claimed(panel, measure, names, claims)
    for height, (_, _, found) in enumerate(lines):
        for place, name in enumerate(names):
            ratio = found.get(name, {}).get(measure)
            if ratio is None:
                continue
            y = height + (place + 1) / (len(names) + 1) - 0.5
            colour, wide = COLOURS[place % len(COLOURS)], 2.6 if height == 0 else 1.6
            panel.plot([ratio["low"], ratio["high"]], [y, y], color=colour, linewidth=wide, solid_capstyle="butt")
            panel.plot(ratio["value"], y, MARKS[place % len(MARKS)], color=colour, markersize=6 if height == 0 else 4.5)
    for place, name in enumerate(names):  # for the legend, also of runs without a ratio
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        panel.plot([], [], marker=mark, color=colour, linewidth=1.6, label=name)
    _frame(panel, measure, lines, named=named)


def _claimed(panel: Axes, measure: str, names: Sequence[str], claims: Sequence[Mapping[str, Any]]) -> None:
    """The range that a claim names, as a light band in the colour of its run."""
    for claim in (claim for claim in claims if claim["measure"] == measure):
        colour = COLOURS[names.index(claim["variant"]) % len(COLOURS)]
        if claim["low"] == claim["high"]:
            panel.axvline(claim["low"], color=colour, linewidth=1.2, linestyle=":")
        else:
            panel.axvspan(claim["low"], claim["high"], color=colour, alpha=0.14, linewidth=0)


def _frame(panel: Axes, measure: str, lines: Sequence[tuple[str, str, Any]], *, named: bool) -> None:
    """Titles, names of the datasets under their domains, a logarithmic axis with plain numbers."""
    from matplotlib.ticker import FixedLocator, NullLocator

    panel.set_title(TITLES[measure], loc="left", fontweight="bold", fontsize=10)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(_ticks(*panel.get_xlim())))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    labels = [label if domain == ALL else f"{label}\n({domain})" for label, domain, _ in lines]
    panel.set_yticks(range(len(lines)), labels if named else [""] * len(lines), fontsize=8.5)
    panel.set_ylim(len(lines) - 0.5, -0.5)
    for height in range(1, len(lines)):
        new = lines[height][1] != lines[height - 1][1]
        panel.axhline(height - 0.5, color=GREY if new else "#dddddd", linewidth=0.9 if new else 0.6)


def _ticks(low: float, high: float) -> list[float]:
    """At most seven round numbers between two ratios: equally far apart, or powers of two where they lie far apart."""
    if high / low > 4:
        return [2.0**power for power in range(-10, 11) if low <= 2.0**power <= high]
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        inside = [round(k * step, 2) for k in range(round(low / step), round(high / step) + 1)]
        inside = [tick for tick in inside if low <= tick <= high]
        if len(inside) <= 7:
            return inside
    return [1.0, 2.0, 3.0, 4.0]
