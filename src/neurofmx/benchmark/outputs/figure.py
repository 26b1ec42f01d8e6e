"""The four panels: decoding against the linear model, reconstruction by modality, latent space, learning from few.

The same results draw the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofmx.benchmark.across import GATE, LINEAR
from neurofmx.benchmark.outputs.rows import notices
from neurofmx.evaluation.canvas import COLOURS, GREY, MARKS, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 12.5


def figure(facts: Mapping[str, Any]) -> bytes:
    """Draw a benchmark.

    Args:
        facts: `Benchmark.facts`.

    Returns:
        A PNG.
    """
    from matplotlib.lines import Line2D

    datasets = [name for name in facts["datasets"] if any(_of(facts, name, "decoding").values())]
    models = list(facts["models"])
    looks = {name: (COLOURS[k % len(COLOURS)], MARKS[k % len(MARKS)]) for k, name in enumerate(models)}
    tall = max(3.4, 0.9 + 0.105 * (len(models) + 1) * max(len(datasets), 1))
    page = BytesIO()
    with canvas(page, size=(WIDTH, tall + 4.4)) as drawn:
        panels = drawn.subplots(2, 2, height_ratios=[tall, 4.0])
        _decoding(panels[0, 0], facts, datasets, looks)
        _reconstruction(panels[0, 1], facts, looks)
        _latent(panels[1, 0], facts, looks)
        _few_labels(panels[1, 1], facts, looks)
        handles = [Line2D([], [], color=c, marker=m, linewidth=1.8, label=plain(n)) for n, (c, m) in looks.items()]
        handles.append(Line2D([], [], color=GREY, linestyle="--", linewidth=1.2, label=f"{GATE}, or the windows"))
        drawn.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 7), frameon=False)
        drawn.supxlabel(plain(notices(facts)[0]), fontsize=8.5, color=GREY)
    return page.getvalue()


Looks = Mapping[str, tuple[str, str]]


def plain(name: str) -> str:
    """A name as matplotlib shows it letter by letter: no formula between dollars, no leading _ that hides it.

    Example:
        >>> plain("_a$b")
        ' _a\\\\$b'
    """
    return re.sub(r"^_", " _", name.replace("$", r"\$"))


def _of(facts: Mapping[str, Any], dataset: str, part: str) -> dict[str, Mapping[str, Any]]:
    """Lines of a part on a dataset by model; those that could not be asked are left out."""
    return {
        line["model"]: line["parts"][part]
        for line in facts["results"]
        if line["dataset"] == dataset and not line["parts"][part]["absent"]
    }


def _decoding(panel: Axes, facts: Mapping[str, Any], datasets: Sequence[str], looks: Looks) -> None:
    """Each dataset's differences to the gate, as shares of the way from chance to perfect."""
    rows = []
    for name in datasets:
        lines = {m: line for m, line in _of(facts, name, "decoding").items() if line["difference"]}
        if LINEAR in lines and not any(lines[LINEAR]["difference"].values()):  # the gate against itself
            del lines[LINEAR]
        rows += [(name, lines)] if lines else []
    for height, (_, lines) in enumerate(rows):
        for place, name in enumerate(looks):
            if name not in lines:
                continue
            line, y = lines[name], height + (place + 1) / (len(looks) + 1) - 0.5
            low, high = _share_ends(line)
            panel.plot([low, high], [y, y], color=looks[name][0], linewidth=1.5, solid_capstyle="butt")
            panel.plot(line["share"] - line["linear_share"], y, looks[name][1], color=looks[name][0], markersize=4)
    panel.axvline(0, color=GREY, linestyle="--", linewidth=1.2)
    panel.set_yticks(range(len(rows)), [plain(name) for name, _ in rows], fontsize=8)
    panel.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    panel.set_xlim(*_middle(panel.get_xlim()))
    for height in range(1, len(rows)):
        panel.axhline(height - 0.5, color="#dddddd", linewidth=0.6)
    _name(
        panel,
        "A  Behaviour decoding",
        "share of the way to perfect, less the gate's (right is better)",
        axis="x",
    )
    _empty(panel, rows)


def _middle(ends: tuple[float, float]) -> tuple[float, float]:
    """No wider than from -1.2 to 1.2: one score far below chance would flatten all others."""
    return max(ends[0], -1.2), min(ends[1], 1.2)


def _share_ends(line: Mapping[str, Any]) -> tuple[float, float]:
    """The ends of a difference as shares: scaled as its value is."""
    value, share = line["difference"]["value"], line["share"] - line["linear_share"]
    way = share / value if value else 0.0
    low, high = sorted(way * line["difference"][end] for end in ("low", "high"))
    return low, high


def _reconstruction(panel: Axes, facts: Mapping[str, Any], looks: Looks) -> None:
    """R2 of hidden channels, by modality: datasets as marks, means as bars, the gate dashed."""
    modality = {name: each["modality"] for name, each in facts["datasets"].items()}
    found = {name: _of(facts, name, "reconstruction") for name in modality}
    kinds = sorted({modality[name] for name, lines in found.items() if lines})
    for place, kind in enumerate(kinds):
        inside = [lines for name, lines in found.items() if modality[name] == kind and lines]
        for k, (name, (colour, mark)) in enumerate(looks.items()):
            scores = [max(lines[name]["score"], -0.5) for lines in inside if name in lines]
            x = place + (k + 1) / (len(looks) + 1) - 0.5
            if scores:
                panel.plot([x] * len(scores), scores, mark, color=colour, markersize=4, alpha=0.75)
                panel.plot([x - 0.05, x + 0.05], [np.mean(scores)] * 2, color=colour, linewidth=2.4)
        linear = [max(next(iter(lines.values()))["linear"], -0.5) for lines in inside]
        panel.plot([place - 0.45, place + 0.45], [np.mean(linear)] * 2, color=GREY, linestyle="--", linewidth=1.2)
    panel.axhline(0, color=GREY, linewidth=0.8)
    panel.set_xticks(range(len(kinds)), kinds)
    _name(panel, "B  Neural reconstruction", "marks: datasets, bars: their means", axis="y")
    panel.set_ylabel("R2 of hidden channels")
    _empty(panel, kinds)


def _latent(panel: Axes, facts: Mapping[str, Any], looks: Looks) -> None:
    """Explained variance against the number of components, mean over datasets."""
    some = False
    for name, (colour, mark) in looks.items():
        lines = [line["parts"]["latent"] for line in facts["results"] if line["model"] == name]
        curves = [line["explained"] for line in lines if not line["absent"]]
        if curves:
            mean, some = np.mean(curves, axis=0), True
            ratio = np.mean([line["metrics"]["participation_ratio"] for line in lines if not line["absent"]])
            panel.plot(np.arange(1, len(mean) + 1), mean, color=colour, marker=mark, markersize=3.5, linewidth=1.8)
            said = f"{plain(name)}: participation ratio {ratio:.1f}"
            panel.annotate(said, *_place(looks, name), color=colour, fontsize=8.5)
    panel.axhline(0.95, color=GREY, linestyle=":", linewidth=1.0)
    panel.set_xticks([1, 5, 10, 15, 20])
    panel.set_ylim(0, 1.03)
    _name(panel, "C  Latent space", "principal components (dotted: 95 %)", axis="both")
    panel.set_ylabel("explained variance, mean over datasets")
    _empty(panel, [1] if some else [])


def _place(looks: Looks, name: str) -> tuple[tuple[float, float], None, str]:
    """Where a model's note stands: in the lower right corner, below each other."""
    return (0.45, 0.05 + 0.065 * (len(looks) - 1 - list(looks).index(name))), None, "axes fraction"


def _few_labels(panel: Axes, facts: Mapping[str, Any], looks: Looks) -> None:
    """Probes (lines) and nearest class means (marks) against the number of labelled windows, means over datasets."""
    from matplotlib.ticker import FixedLocator, NullLocator

    some = False
    linear: dict[int, list[float]] = {}
    for name, (colour, mark) in looks.items():
        probes, means = _points(facts, name)
        for number, (_, reference) in probes:
            linear.setdefault(number, []).extend([] if reference is None else [reference])
        if probes:
            x = sorted({number for number, _ in probes})
            y = [np.mean([share for number, (share, _) in probes if number == each]) for each in x]
            panel.plot(x, y, color=colour, marker=mark, markersize=4, linewidth=1.8)
            some = True
        for number in sorted({number for number, _ in means}):
            share = np.mean([each for n, each in means if n == number])
            panel.plot(number, share, mark, color=colour, markersize=7, markerfacecolor="none", markeredgewidth=1.4)
            some = True
    x = sorted(number for number, each in linear.items() if each)
    panel.plot(x, [np.mean(linear[number]) for number in x], color=GREY, linestyle="--", linewidth=1.4)
    low = panel.get_ylim()[0]
    panel.set_ylim(max(low - 0.03, -0.6), 1.03)
    panel.set_xscale("log")
    panel.margins(x=0.08)
    panel.xaxis.set_major_locator(FixedLocator(_apart(panel.get_xlim())))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    _name(
        panel,
        "D  Transfer and few-shot",
        "labelled windows (lines: linear probe; open marks: nearest class mean)",
        axis="both",
    )
    panel.set_ylabel("share of the way from chance to perfect")
    _empty(panel, [1] if some else [])


def _apart(ends: tuple[float, float]) -> list[float]:
    """Round numbers on a logarithmic axis."""
    return [m * 10.0**e for e in range(-1, 7) for m in (1, 2, 5) if ends[0] <= m * 10.0**e <= ends[1]]


def _points(
    facts: Mapping[str, Any], model: str
) -> tuple[list[tuple[int, tuple[float, float | None]]], list[tuple[int, float]]]:
    """Shares of a model's probes and class means by the number of labelled windows.

    Where some datasets have all numbers that were asked, the others are left out: a mean over other datasets at each
    number would be no curve.
    """
    lines = [line["parts"] for line in facts["results"] if line["model"] == model]
    curves = [parts["transfer"]["curve"] for parts in lines if not parts["transfer"]["absent"]]
    asked = set(facts["options"]["n_train"])
    whole = [curve for curve in curves if asked <= {point["n_train"] for point in curve}]
    kept = [point for curve in whole or curves for point in curve if not whole or point["n_train"] in asked]
    probes = [
        (
            each["n_train"],
            (max(each["share"], -1.0), None if each["linear"] is None else max(each["linear_share"], -1.0)),
        )
        for each in kept
    ]
    shots = [each for parts in lines if not parts["few_shot"]["absent"] for each in parts["few_shot"]["by_shots"]]
    ways = max((each["ways"] for each in shots), default=1)
    return probes, [(each["shots"] * ways, each["share"]) for each in shots]


def _name(panel: Axes, title: str, below: str, *, axis: str) -> None:
    panel.set_title(title, loc="left", fontweight="bold", fontsize=11)
    panel.set_xlabel(below)
    panel.grid(axis=axis, color="#e5e5e5", linewidth=0.8)  # type: ignore[arg-type]
    panel.set_axisbelow(True)


def _empty(panel: Axes, there: Sequence[Any]) -> None:
    """A sentence where there is nothing to draw."""
    if not len(there):
        panel.text(
            0.5, 0.5, "not asked of any dataset", ha="center", va="center", color=GREY, transform=panel.transAxes
        )
