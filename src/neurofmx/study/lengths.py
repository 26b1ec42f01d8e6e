"""What each run of a study remembers: its score at every length of a window, and up to which length it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurofmx.evaluation.table import ABSENT, number
from neurofmx.recordings.task import LOWER_IS_BETTER
from neurofmx.study.markdown import table

Score = Mapping[str, float]  # `value`, `low`, `high`


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
        "at the shortest one; one that is no better than chance there has nothing to hold.\n\n"
        + "\n\n".join(
            _of_dataset([row for row in rows if row["dataset"] == dataset])
            for dataset in dict.fromkeys(row["dataset"] for row in rows)
        )
    )


def _of_dataset(rows: Sequence[Mapping[str, Any]]) -> str:
    """Runs below each other, lengths beside each other."""
    lengths = sorted({length for row in rows for length in row["by_length"]}, key=int)
    body = [[row["name"], *(_cell(row["by_length"].get(length)) for length in lengths), holds_to(row)] for row in rows]
    first = rows[0]
    return f"{first['dataset']}, {first['headline']}:\n\n" + table(["run", *lengths, "holds to"], body)


def rising(scores: Mapping[str, Score]) -> dict[str, Score]:
    """Scores by length, shortest first: files of JSON have their keys in the order of letters, 1024 before 256.

    Example:
        >>> list(rising({"1024": {"value": 0.8}, "256": {"value": 0.9}}))
        ['256', '1024']
    """
    return dict(sorted(scores.items(), key=lambda each: int(each[0])))


def holds_to(row: Mapping[str, Any]) -> str:
    """The longest length up to which a run is nowhere beyond doubt worse than at the shortest.

    Args:
        row: Of a study's result: `headline`, `chance` and `by_length`.

    Returns:
        A length, or `-` where not even the shortest is beyond doubt better than chance.

    Example:
        >>> each = {"64": {"value": 0.9, "low": 0.8, "high": 1.0}, "256": {"value": 0.7, "low": 0.6, "high": 0.8}}
        >>> [holds_to({"headline": "accuracy", "chance": chance, "by_length": each}) for chance in (0.5, 0.85)]
        ['64', '-']
    """
    lower = row["headline"] in LOWER_IS_BETTER
    (first, start), *longer = rising(row["by_length"]).items()
    if not _beyond(start, row["chance"], above=not lower):
        return ABSENT
    held = first
    for length, ends in longer:
        if _beyond(ends, start["value"], above=lower):
            break
        held = length
    return held


def _beyond(ends: Score, value: float, *, above: bool) -> bool:
    """Whether a whole interval lies above, or below, a value."""
    return ends["low"] > value if above else ends["high"] < value


def _cell(score: Score | None) -> str:
    return ABSENT if score is None else f"{number(score['value'])} [{number(score['low'])}, {number(score['high'])}]"
