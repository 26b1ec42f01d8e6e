"""Tokens a second and peak memory against the sequence length, for the three integration modes and the transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.block import PIECE, hybrid, label, tokens, transformer
from benchmarks.case import Benchmark, Case

LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
MODES = ("sequential", "parallel", "bidirectional")
_SHORT, _LONG, _KEPT = 2048, 8192, 0.95


def series(rows: Sequence[Any], threads: int) -> dict[str, list[tuple[int, float, float | None]]]:
    """Points of every model for a number of threads.

    Args:
        rows: Rows of the table.
        threads: Which of them.

    Returns:
        Model to (length, tokens a second, peak MiB or `None`), by length. The transformer, timed once beside every
        mode, gets its fastest time.
    """
    found: dict[str, dict[int, tuple[float, float | None]]] = {}
    for row in rows:
        if row.threads != threads or not row.ratio:
            continue
        for name, ms, mib in ((row.ours, row.ours_ms, row.ours_mib), (row.peer, row.peer_ms, row.peer_mib)):
            point = (1e3 * row.tokens / ms, mib)
            points = found.setdefault(name, {})
            points[row.tokens] = max(point, points.get(row.tokens, point), key=lambda known: known[0])
    return {
        name: [(length, *point) for length, point in sorted(points.items())] for name, points in sorted(found.items())
    }


def _notes(rows: Sequence[Any], machine: Mapping[str, float]) -> list[str]:
    """How much speed is left at four times the length."""
    said = []
    for threads in sorted({row.threads for row in rows}):
        for name, points in series(rows, threads).items():
            speed = {length: rate for length, rate, _ in points}
            if _SHORT in speed and _LONG in speed:
                kept = speed[_LONG] / speed[_SHORT]
                goal = "" if name == "transformer" else f", goal {_KEPT}: {'met' if kept >= _KEPT else 'not met'}"
                said.append(
                    f"{name}, {threads} thread{'s' * (threads > 1)}: tokens a second at {_LONG} are {kept:.2f} of "
                    f"those at {_SHORT}{goal}."
                )
    return said


def _figure(rows: Sequence[Any], path: Path) -> None:
    """Draws the fewest threads, whose times are those of the processor."""
    from benchmarks.figure import length_figure

    length_figure(series(rows, min(row.threads for row in rows)), path)


BENCHMARK = Benchmark(
    sides={
        **{f"hybrid {mode}": hybrid(mode) for mode in MODES},
        "hybrid sequential, recomputing": hybrid("sequential", recompute_tokens=PIECE),
        "transformer": transformer,
    },
    cases=[
        Case({"length": length}, f"hybrid {name}", "transformer", same=False)
        for length in LENGTHS
        for name in (*MODES, "sequential, recomputing")
    ],
    tiny={"length": 24},
    label=label,
    tolerance=None,
    tokens=tokens,
    notes=_notes,
    figure=_figure,
)
