"""The comparison table: every model on every dataset, the best first, with what it is worth and what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurofmx.recordings.task import LOWER_IS_BETTER

COLUMNS = (
    ("dataset", "---"),
    ("model", "---"),
    ("seeds", "--:"),
    ("metric", "---"),
    ("score", "--:"),
    ("95 % interval", ":-:"),
    ("chance", "--:"),
    ("linear", "--:"),
    ("difference", "--:"),
    ("beats linear", "---"),
    ("parameters", "--:"),
    ("train s", "--:"),
    ("MiB", "--:"),
    ("spikes", "--:"),
)
ABSENT = "-"


def comparison_markdown(reports: Sequence[Mapping[str, Any]]) -> str:
    """One Markdown table over all datasets and models.

    Args:
        reports: What `report` returned, in any order, at least one.

    Returns:
        Table with columns padded to equal width, so that it reads well as text too. Rows are sorted by dataset, then
        the best score first; `spikes` are spikes of a neuron in a time step.

    Raises:
        ValueError: If there is no report, or the intervals do not share one confidence.
    """
    confidence = _confidence(reports)
    names = [name.replace("95 %", f"{100 * confidence:g} %") for name, _ in COLUMNS]
    body = [_row(report) for report in _sorted(reports)]
    widths = [max(map(len, column)) for column in zip(names, *body, strict=True)]
    rule = [_rule(mark, width) for (_, mark), width in zip(COLUMNS, widths, strict=True)]
    lines = [_line(names, widths), "|" + "|".join(rule) + "|", *(_line(row, widths) for row in body)]
    return "\n".join(lines) + "\n"


def _sorted(reports: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By dataset, then best first, then by name."""
    return sorted(reports, key=lambda r: (r["dataset"], best_first(r), r["model"]))


def best_first(report: Mapping[str, Any]) -> float:
    """The score as a number that is lower for the better model."""
    return report["score"] if report["headline"] in LOWER_IS_BETTER else -report["score"]


def _confidence(reports: Sequence[Mapping[str, Any]]) -> float:
    """The one confidence of all intervals."""
    if not reports:
        raise ValueError("reports is empty: give at least one. Make them with `dvc repro evaluate`.")
    levels = sorted({report["interval"]["confidence"] for report in reports})
    if len(levels) != 1:
        raise ValueError(
            f"reports have intervals of confidence {levels}: a table needs one. Run `dvc repro` so that all are "
            "evaluated alike."
        )
    return levels[0]


def _row(report: Mapping[str, Any]) -> list[str]:
    """Cells of one report, in the order of `COLUMNS`."""
    ends, metric, spikes = report["interval"], report["headline"], report["spikes_per_neuron_per_step"]
    return [
        report["dataset"],
        _model(report),
        str(len(report["seeds"])),
        metric,
        number(report["score"]),
        f"{number(ends['low'])} to {number(ends['high'])}",
        number(report["chance"][metric]),
        number(report["linear"]),
        *_against_linear(report),
        f"{report['parameters']:,}",
        f"{report['train_seconds']:.1f}",
        f"{report['peak_memory_mib']:.0f}",
        ABSENT if spikes is None else f"{spikes:.3f}",
    ]


def _model(report: Mapping[str, Any]) -> str:
    """Name of the model, with its precision where that is not the usual one."""
    precision = report.get("precision") or "float32"
    return report["model"] if precision == "float32" else f"{report['model']} ({precision})"


def _against_linear(report: Mapping[str, Any]) -> tuple[str, str]:
    """Difference with its interval, and the verdict; the linear model is the reference itself."""
    if report["model"] == "linear":
        return ABSENT, "reference"
    d = report["difference"]
    value, low, high = (number(d[name], sign="+") for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]", report["verdict"]


def number(value: float, *, sign: str = "-") -> str:
    """Three digits behind the point; perplexities in the hundreds and above have fewer to show.

    Example:
        >>> number(0.12345), number(0.5, sign="+"), number(12345.6)
        ('0.123', '+0.500', '12,346')
    """
    return f"{value:{sign},.{3 if abs(value) < 100 else 1 if abs(value) < 10_000 else 0}f}"


def _rule(mark: str, width: int) -> str:
    """The line under a column's name; colons align it."""
    left, right = mark[0], mark[-1]
    return f"{left}{'-' * width}{right}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells padded as their column is aligned."""
    padded = [
        f"{cell:>{width}}" if mark == "--:" else f"{cell:<{width}}"
        for cell, width, (_, mark) in zip(cells, widths, COLUMNS, strict=True)
    ]
    return "| " + " | ".join(padded) + " |"
