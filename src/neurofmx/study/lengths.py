"""What each run of a study remembers: its score at every length of a window, and up to which length it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurofmx.evaluation.table import number
from neurofmx.study.markdown import table

LOWER_IS_BETTER = ("perplexity",)


def lengths_markdown(result: Mapping[str, Any]) -> str:
    """A table for each dataset that has scores by length; empty where none has.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
    """
    rows = [row for row in result["rows"] if row["by_length"]]
    if not rows:
        return ""
    return (
        "By length of the window, shortest first; windows of a text stand alone, and every length answers the same "
        "tokens. A run holds to the longest length up to which no interval lies wholly on the worse side of its score "
        "at the shortest one.\n\n"
        + "\n\n".join(
            _of_dataset([row for row in rows if row["dataset"] == dataset])
            for dataset in dict.fromkeys(row["dataset"] for row in rows)
        )
    )


def _of_dataset(rows: Sequence[Mapping[str, Any]]) -> str:
    """Runs below each other, lengths beside each other."""
    lengths = list(dict.fromkeys(length for row in rows for length in row["by_length"]))
    body = [[row["name"], *(_cell(row["by_length"].get(length)) for length in lengths), holds_to(row)] for row in rows]
    first = rows[0]
    return f"{first['dataset']}, {first['headline']}:\n\n" + table(["run", *lengths, "holds to"], body)


def holds_to(row: Mapping[str, Any]) -> str:
    """The longest length up to which a run is nowhere beyond doubt worse than at the shortest.

    Example:
        >>> each = {"64": {"value": 0.9, "low": 0.8, "high": 1.0}, "256": {"value": 0.7, "low": 0.6, "high": 0.8}}
        >>> [holds_to({"headline": metric, "by_length": each}) for metric in ("accuracy", "perplexity")]
        ['64', '256']
    """
    lengths = list(row["by_length"])
    start, held = row["by_length"][lengths[0]]["value"], lengths[0]
    for length in lengths[1:]:
        ends = row["by_length"][length]
        if ends["low"] > start if row["headline"] in LOWER_IS_BETTER else ends["high"] < start:
            break
        held = length
    return held


def _cell(score: Mapping[str, float] | None) -> str:
    return "-" if score is None else f"{number(score['value'])} [{number(score['low'])}, {number(score['high'])}]"
