"""`python -m benchmarks`: measure ours beside the peers, print a table and write it down."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

RESULTS = Path(__file__).parents[1] / "benchmarks/results"
QUICK = Path(tempfile.gettempdir()) / "neurofmx-benchmarks"  # where quick runs write, whose numbers mean nothing
CLEANING = "preprocessing"  # measured by itself, without peers
EPILOG = """\
examples:
  python -m benchmarks                          everything, on one and on two threads: about an hour
  python -m benchmarks --only scan --threads 1  one benchmark
  python -m benchmarks --quick                  everything at tiny sizes: does it run, do both sides compute the same?
  python -m benchmarks.compare HEAD~1 .         the same kernels at two revisions; the dot is the working tree
  python -m benchmarks.gpu                      the kernels for GPUs
  python -m benchmarks --only preprocessing     how fast each modality is cleaned, and with how much memory
  python -m benchmarks.preprocessing ieeg --mib 10240 --folder DIR  the same for one recording of 10 GiB

What is compared with: `pip install -e '.[bench]'`; what is missing is skipped and named. Every benchmark writes NAME.md
and NAME.json into the results folder; `length` draws length.png as well. Ends with 1 if two sides did not agree.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    from benchmarks.case import NAMES

    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times our kernels and blocks beside what people would use instead, forward and backward.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = (*NAMES, CLEANING)
    made.add_argument("--only", nargs="+", choices=known, default=list(NAMES), metavar="NAME", help=", ".join(known))
    made.add_argument(
        "--threads", nargs="+", type=int, default=[1, 2], metavar="N", help="numbers of threads (default: 1 2)"
    )
    made.add_argument(
        "--peers", nargs="+", default=[], metavar="PEER", help="rows beside these alone, e.g. mambapy (default: all)"
    )
    made.add_argument("--quick", action="store_true", help="tiny sizes and hardly any repeats, without goals")
    made.add_argument("--seconds", type=float, help="time for a pair beyond its warm-up (default: 8, quick: 0.1)")
    made.add_argument(
        "--skip",
        nargs="+",
        choices=("memory", "machine", "start"),
        default=[],
        metavar="PART",
        help="leave out: memory (peaks), machine (bandwidth, exponentials, products), start (cold and warm starts)",
    )
    made.add_argument("--out", type=Path, help=f"results folder (default: benchmarks/results, of a quick run {QUICK})")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        words: Its words; `None` for those of this process.

    Returns:
        The exit code.
    """
    chosen = parser().parse_args(words)
    chosen.out = chosen.out or (QUICK if chosen.quick else RESULTS)
    if CLEANING in chosen.only:
        from benchmarks.preprocessing import run_all
        from benchmarks.preprocessing import table as table_of_cleaning

        print(table_of_cleaning(run_all(quick=chosen.quick, folder=chosen.out)), f"written to {chosen.out}", sep="\n")
        chosen.only = [name for name in chosen.only if name != CLEANING]
        if not chosen.only:
            return 0
    threads = [count for count in dict.fromkeys(chosen.threads) if 0 < count <= (os.cpu_count() or 1)]
    if not threads:
        print(f"--threads {chosen.threads}: this machine has {os.cpu_count()} cores", file=sys.stderr)
        return 2
    from benchmarks.case import ALLOCATORS, benchmark
    from benchmarks.machine import facts
    from benchmarks.measure import Bench, Effort, steps
    from benchmarks.report import below, table, write

    peers = dict.fromkeys(case.peer for name in chosen.only for case in benchmark(name).cases)
    if unknown := [name for name in chosen.peers if name not in peers]:
        print(
            f"--peers {' '.join(unknown)}: no side of these benchmarks; there are {', '.join(peers)}", file=sys.stderr
        )
        return 2
    seconds = chosen.seconds if chosen.seconds is not None else 0.1 if chosen.quick else 8.0
    parts = [part not in chosen.skip for part in ("memory", "start")]
    effort = Effort(threads, seconds, chosen.quick, *parts, peers=chosen.peers)
    machine, rows, said = "machine" not in chosen.skip, [], []
    known = facts() | {"allocators": ALLOCATORS}
    total = steps(chosen.only, effort, machine=machine)
    with tqdm(total=total, unit="measurement", disable=None) as bar, Bench(effort, _ticker(bar)) as bench:
        able = bench.able() if machine else {}
        for name in chosen.only:
            results = bench.run(name, able)
            if results.rows or not chosen.peers:  # nothing beside these peers is no reason to lose the table of all
                write(results, known, chosen.out)
            figure = _figure(name)
            if figure and results.rows:
                figure(results.rows, chosen.out / f"{name}.png")
            rows += results.rows
            said += [f"{name}: {sentence}" for sentence in below(results)]
    print(table(rows), *(f"- {sentence}" for sentence in said), f"\nwritten to {chosen.out}", sep="\n")
    return int(any(row.failed for row in rows))


def _ticker(bar: tqdm[Any]) -> Callable[[str | None], None]:
    """Shows what is being measured, and counts what was."""

    def tick(words: str | None) -> None:
        if words is None:
            bar.update()
        else:
            bar.set_description(words)

    return tick


def _figure(name: str) -> Callable[[Sequence[Any], Path], None] | None:
    """What draws the figure of a benchmark, if it has one."""
    from benchmarks.case import benchmark

    return benchmark(name).figure


if __name__ == "__main__":
    sys.exit(main())
