"""A study's figure: ratios to the baseline with intervals, a panel a measure, datasets grouped by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from neurofmx.evaluation.canvas import COLOURS, GREY, MARKS, canvas
from neurofmx.study.compare import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# the panels of a study, two a row; of all that are not named the last ones
PANELS = {
    "four_way": ("score", "noise", "silenced", "silenced_share", "step", "memory"),
    "precision": ("score", "noise", "bytes", "inference"),
}
USUAL = ("score", "noise", "step", "memory")
TITLES = {
    "score": "score (right of 1: better)",
    "noise": "score kept under noise (right of 1: better)",
    "silenced": "score kept, k neurons silent (right of 1: better)",
    "silenced_share": "score kept, a share silent (right of 1: better)",
    "step": "time of a training step (left of 1: less)",
    "memory": "training memory (left of 1: less)",
    "bytes": "bytes of weights (left of 1: less)",
    "inference": "time of an answer (left of 1: less)",
}
WIDTH, ROW, AROUND, LEAST = 10.0, 0.11, 0.9, 0.3  # inches: figure, a run's line, a panel's titles, least of a dataset


def study_figure(result: Mapping[str, Any], path: Path) -> None:
    """Draw all ratios of a study; the same result draws the same bytes.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
        path: PNG to write.
    """
    from matplotlib.patches import Patch

    names = list(dict.fromkeys(row["name"] for row in result["overall"]))
    measures = [
        name for name in PANELS.get(result["study"], USUAL) if any(row["ratios"].get(name) for row in result["overall"])
    ]
    lines = _lines(result)
    across = 2 if len(measures) > 1 else 1
    down = max(1, -(-len(measures) // across))
    tall = AROUND + len(lines) * max(LEAST, ROW * (len(names) + 1))
    with canvas(path, size=(WIDTH, down * tall + 0.5)) as figure:
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        for place, (panel, measure) in enumerate(zip(axes, measures, strict=False)):
            _panel(panel, measure, lines, names, result["claims"], named=place % across == 0)
        if not measures:
            axes[0].text(0.5, 0.5, f"no run beside {result['baseline']} yet", ha="center")
        for panel in axes[len(measures) :]:
            panel.set_axis_off()
        handles, labels = axes[0].get_legend_handles_labels()
        if result["claims"]:
            handles, labels = [*handles, Patch(color=GREY, alpha=0.2)], [*labels, "claimed, in the run's colour"]
        figure.legend(handles, labels, loc="outside upper center", ncols=max(1, min(len(labels), 4)), frameon=False)


class _Line(NamedTuple):
    """What stands in a line: its label, its domain, whether it sums datasets up, and the ratios by run."""

    label: str
    domain: str
    summary: bool
    ratios: Mapping[str, Mapping[str, Any]]


def _lines(result: Mapping[str, Any]) -> list[_Line]:
    """All lines from the top: all datasets, then each domain, summed up where it has several, and its datasets."""
    whole = {(row["domain"], row["name"]): row["ratios"] for row in result["overall"]}
    lines = [_Line("all datasets", ALL, True, {name: each for (domain, name), each in whole.items() if domain == ALL})]
    for domain in dict.fromkeys(row["domain"] for row in result["rows"]):
        datasets = list(dict.fromkeys(row["dataset"] for row in result["rows"] if row["domain"] == domain))
        if len(datasets) > 1:
            own = {name: each for (of, name), each in whole.items() if of == domain}
            lines.append(_Line(f"{domain}, {len(datasets)} sets", domain, True, own))
        for dataset in datasets:
            own = {row["name"]: row["ratios"] for row in result["rows"] if row["dataset"] == dataset}
            lines.append(_Line(dataset if len(datasets) > 1 else f"{dataset}\n({domain})", domain, False, own))
    return lines


def _panel(
    panel: Axes,
    measure: str,
    lines: Sequence[_Line],
    names: Sequence[str],
    claims: Sequence[Mapping[str, Any]],
    *,
    named: bool,
) -> None:
    """One measure: a line a dataset, in it a mark with its interval for each run."""
    panel.axvline(1, color=GREY, linewidth=1.2)
    _claimed(panel, measure, names, claims)
    for height, line in enumerate(lines):
        for place, name in enumerate(names):
            ratio = line.ratios.get(name, {}).get(measure)
            if ratio is None:
                continue
            y = height + (place + 1) / (len(names) + 1) - 0.5
            colour, wide = COLOURS[place % len(COLOURS)], 2.8 if line.summary else 1.4
            panel.plot([ratio["low"], ratio["high"]], [y, y], color=colour, linewidth=wide, solid_capstyle="butt")
            panel.plot(
                ratio["value"], y, MARKS[place % len(MARKS)], color=colour, markersize=6.5 if line.summary else 4.5
            )
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


def _frame(panel: Axes, measure: str, lines: Sequence[_Line], *, named: bool) -> None:
    """Titles, names of the datasets under their domains, a logarithmic axis with plain numbers."""
    from matplotlib.ticker import FixedLocator, NullLocator

    panel.set_title(TITLES[measure], loc="left", fontweight="bold", fontsize=10)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(ticks(*panel.get_xlim())))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.set_yticks(range(len(lines)), [line.label if named else "" for line in lines], fontsize=9)
    for text, line in zip(panel.get_yticklabels(), lines, strict=True):
        text.set_fontweight("bold" if line.summary else "normal")
    panel.set_ylim(len(lines) - 0.5, -0.5)
    for height in range(1, len(lines)):
        new = lines[height].domain != lines[height - 1].domain
        panel.axhline(height - 0.5, color=GREY if new else "#dddddd", linewidth=0.9 if new else 0.6)


def ticks(low: float, high: float) -> list[float]:
    """At most eight round numbers between two ratios: equally far apart, or powers of two where they lie far apart."""
    if high / low > 4:
        powers = [2.0**power for power in range(-10, 11) if low <= 2.0**power <= high]
        return powers[:: max(1, -(-len(powers) // 8))]
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        inside = [round(k * step, 2) for k in range(round(low / step), round(high / step) + 1)]
        inside = [tick for tick in inside if low <= tick <= high]
        if len(inside) <= 8:
            return inside
    return [1.0, 2.0, 3.0, 4.0]
