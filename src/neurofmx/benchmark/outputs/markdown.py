"""The tables in Markdown, padded so that they read well as text too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neurofmx.benchmark.across import GATE
from neurofmx.benchmark.one import PARTS
from neurofmx.benchmark.outputs.number_rows import WHOSE, by_modality_rows, number_rows
from neurofmx.benchmark.outputs.rows import (
    ABSENT,
    ASKED,
    COLUMNS,
    NUMBERS,
    OVER,
    TITLES,
    in_order,
    left_out,
    modality_rows,
    notices,
    over_rows,
    part_rows,
    stream_rows,
    unranked,
)


def markdown(facts: Mapping[str, Any]) -> str:
    """All tables of a benchmark.

    Args:
        facts: `Benchmark.facts`.

    Returns:
        Markdown that ends in a newline.
    """
    return "\n".join(_lines(facts)).rstrip() + "\n"


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    confidence = 100 * facts["options"]["confidence"]
    yield f"# Benchmark {facts['suite']}\n"
    yield from (f"- {said}" for said in notices(facts))
    yield f"\nIntervals hold {confidence:g} % of a bootstrap over blocks and seeds; `share of the way` is from chance"
    yield "to perfect, mean over datasets; `shuffled` is the score where windows have each other's answers."
    yield f"`{GATE}` is the tuned linear model on the same windows, or the windows themselves.\n"
    for part in PARTS:
        rows = in_order(part_rows(facts, part))
        if rows:
            yield f"## {TITLES[part]}\n\n{ASKED[part]}\n"
            yield table(rows, COLUMNS)
            if over := list(over_rows(facts, part)):
                yield table(over, OVER)
            if said := unranked(facts, part):
                yield f"{said}\n"
            if kinds := modality_rows(facts, part):
                yield "Shares of the way by modality:\n"
                yield table(kinds, tuple(kinds[0]))
            if means := by_modality_rows(facts, part):
                yield f"Means over datasets by modality, {' / '.join(WHOSE)}:\n"
                yield table(means, tuple(means[0]))
            for numbers in number_rows(facts, part):
                yield f"Other numbers, {' / '.join(WHOSE)}:\n"
                yield table(numbers, tuple(numbers[0]))
    if rows := stream_rows(facts):
        yield "## Streaming\n\nSamples in, predictions out, one thread.\n"
        yield table(rows, tuple(rows[0]))
    if rows := left_out(facts):
        yield "## Not asked\n"
        yield table(_merged(rows), ("part", "dataset", "why"))


def _merged(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """What no model was asked, once."""
    return [dict(pairs) for pairs in dict.fromkeys(tuple((k, r[k]) for k in ("part", "dataset", "why")) for r in rows)]


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Rows as a Markdown table, columns padded to equal width.

    Example:
        >>> print(table([{"model": "a|b", "score": "0.5"}], ("model", "score")), end="")
        | model | score |
        |-------|------:|
        | a\\|b  |   0.5 |
    """
    body = [[row.get(name, ABSENT).replace("|", "\\|").replace("\n", " ") for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *body, strict=True)]
    rule = [f"{'-' * (w + 1)}{':' if name in NUMBERS else '-'}" for name, w in zip(columns, widths, strict=True)]
    lines = [_line(columns, columns, widths), f"|{'|'.join(rule)}|", *(_line(row, columns, widths) for row in body)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str], columns: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        f"{cell:>{width}}" if name in NUMBERS else f"{cell:<{width}}"
        for cell, name, width in zip(cells, columns, widths, strict=True)
    ]
    return f"| {' | '.join(padded)} |"
