"""Measured rows as a Markdown table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import where
from neurofmx.atomic import atomic


@dataclass(frozen=True)
class Row:
    """One line of the table: two sides at one size, number of threads and allocator.

    Times are milliseconds of a step forward and backward, of inference forward alone. `failed` says why there are none.
    """

    benchmark: str
    size: str
    sizes: dict[str, int]
    ours: str
    peer: str
    threads: int
    clock: str
    allocator: str = "default"
    path: str = ""
    ours_ms: float = 0.0
    peer_ms: float = 0.0
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    rounds: int = 0
    goal: float | None = None
    ours_mib: float | None = None
    peer_mib: float | None = None
    memory_goal: float | None = None
    ours_weight_mib: float | None = None
    peer_weight_mib: float | None = None
    tokens: int | None = None
    deviations: dict[str, float] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True)
class Results:
    """All that one benchmark found.

    Args:
        name: The benchmark.
        rows: The lines of its table.
        skipped: What could not run, each with what to do about it.
        start: Seconds of processor time that the first step took in a new process, with an empty and with a filled
            cache of compiled code.
        machine: What the machine can do.
        notes: Sentences below the table.
    """

    name: str
    rows: list[Row]
    skipped: list[str]
    start: dict[str, float]
    machine: dict[str, float]
    notes: list[str]


def number(value: float | None) -> str:
    """Three digits or a little more, without an exponent.

    Example:
        >>> number(1534.2), number(43.21), number(1.5), number(0.0123), number(None)
        ('1534', '43.2', '1.50', '0.012', '')
    """
    if value is None:
        return ""
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def verdict(row: Row) -> str:
    """Whether the goals were reached, and how much of each if not."""
    said = []
    if row.goal is not None:
        said.append("met" if row.ratio >= row.goal else f"{row.ratio / row.goal:.0%} of the goal")
    if row.memory_goal is not None and row.ours_mib is not None and row.peer_mib:
        share = row.ours_mib / row.peer_mib
        said.append("memory met" if share <= row.memory_goal else f"memory {share / row.memory_goal:.1f} x the goal")
    return ", ".join(said)


def _goal(row: Row) -> str:
    speed = [] if row.goal is None else [f"{row.goal:g}x"]
    return ", ".join(speed + ([] if row.memory_goal is None else [f"memory {row.memory_goal:g}x"]))


def _cells(row: Row) -> dict[str, str]:
    """The cells of a row by column."""
    peer = row.peer if row.allocator == "default" else f"{row.peer}, {row.allocator}"
    ours = f"{row.ours} ({row.path})" if row.path and row.path not in row.ours else row.ours
    cells = {"benchmark": row.benchmark, "ours": ours, "size": row.size, "peer": peer}
    cells |= {"threads": str(row.threads), "clock": row.clock}
    if row.failed:
        return cells | {"ratio": row.failed.replace("|", "/").splitlines()[0]}
    spread = f" ({number(row.low)}-{number(row.high)})" if row.threads == 1 else ""
    cells |= {"ours ms": number(row.ours_ms), "peer ms": number(row.peer_ms), "ratio": number(row.ratio) + spread}
    if row.tokens:
        speeds = [f"{1e3 * row.tokens / ms:,.0f}" for ms in (row.ours_ms, row.peer_ms)]
        cells |= dict(zip(("ours tokens/s", "peer tokens/s"), speeds, strict=True))
    cells |= {"goal": _goal(row), "reached": verdict(row)}
    cells |= {"ours weights MiB": number(row.ours_weight_mib), "peer weights MiB": number(row.peer_weight_mib)}
    return cells | {"ours peak MiB": number(row.ours_mib), "peer peak MiB": number(row.peer_mib)}


_BOTH = [f"{side} {what}" for what in ("ms", "tokens/s", "weights MiB", "peak MiB") for side in ("ours", "peer")]
_RIGHT = ("threads", "ratio", *_BOTH)


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, without the columns that are empty in all of them.

    Args:
        rows: The rows, in order.

    Returns:
        The table, ending in a line break; nothing if there are no rows.
    """
    lines = [_cells(row) for row in rows]
    order = ["benchmark", "ours", "size", "peer", "threads", "clock", "ours ms", "peer ms", "ratio"]
    order += ["ours tokens/s", "peer tokens/s", "goal", "reached", "ours weights MiB", "peer weights MiB"]
    order += ["ours peak MiB", "peer peak MiB"]
    columns = [name for name in order if any(line.get(name) for line in lines)]
    if not columns:
        return ""
    rules = ["---:" if name in _RIGHT else "---" for name in columns]
    body = [[line.get(name, "") for name in columns] for line in lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, rules, *body))


def below(results: Results) -> list[str]:
    """The sentences that belong below a benchmark's table."""
    said = list(results.notes)
    if results.start:
        cold, warm = results.start["cold compile s"], results.start["warm start s"]
        said.append(
            f"First step in a new process, less the step itself: {cold:.1f} s CPU with nothing compiled yet, "
            f"{warm:.1f} s CPU with the compiled code of an earlier process."
        )
    return said + [f"Skipped: {reason}" for reason in results.skipped]


METHOD = """\
A step is forward and backward in float32 from the same weights and inputs, of `inference` forward alone; both sides
were checked to compute the same before they were timed (`deviations` in the JSON), or are different models with equally
many parameters. Sides ran in turns after a warm-up. On one thread times are medians of processor time, the ratio is the
median over the rounds, with its quartiles in brackets; on several threads they are the best of wall time. Peak MiB is
the rise of resident memory during one step, on top of weights and inputs, with what is freed given back at once. `no
page faults`: the allocator never gives memory back to the system.
"""


def write(results: Results, facts: dict[str, Any], folder: Path, method: str = METHOD) -> None:
    """Writes `<name>.md` and `<name>.json` of one benchmark.

    Args:
        results: What it found.
        facts: What `benchmarks.machine.facts` returned.
        folder: Where to write; it is made if it is missing.
        method: How it was measured.
    """
    versions = ", ".join(f"{name} {found}" for name, found in facts["versions"].items())
    able = ", ".join(f"{name} {number(value)}" for name, value in results.machine.items())
    text = [
        f"# {results.name}\n",
        f"{where(facts)}; Python {facts['python']}, {versions}.\n",
        table(results.rows),
        *(f"- {sentence}" for sentence in below(results)),
        *([f"- This machine on one thread: {able}."] if able else []),
        "",
        method,
    ]
    with atomic(folder / f"{results.name}.md") as part:
        part.write_text("\n".join(text))
    with atomic(folder / f"{results.name}.json") as part:
        part.write_text(json.dumps({"facts": facts, **asdict(results)}, indent=1) + "\n")
