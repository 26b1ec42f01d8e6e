"""`python -m benchmarks.compare REV1 REV2`: what a change did to the speed of the kernels.

Both revisions are checked out into temporary worktrees and run the benchmarks of this working tree, in processes that
take turns. The dot stands for the working tree as it is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tqdm import tqdm

from benchmarks.case import Size, benchmark
from benchmarks.launch import Worker
from benchmarks.machine import ROOT, facts
from benchmarks.report import number

COMPARED: dict[str, tuple[str, Size]] = {
    "scan": ("neurofmx", {"batch": 2, "length": 2048}),
    "lif": ("neurofmx", {"batch": 32, "time": 128, "neurons": 256}),
    "cfc": ("neurofmx", {"batch": 2, "length": 512}),
    "ltc": ("neurofmx", {"batch": 2, "length": 128}),
    "block": ("hybrid sequential", {"length": 2048}),
    "train": ("neurofmx", {"batch": 128, "length": 8}),
}


class Line(NamedTuple):
    """One kernel at both revisions.

    Args:
        name: The benchmark.
        size: Words for its size.
        seconds: Processor time of a step, for each revision one number a round; empty where it could not run.
        mib: Peak memory of a step for each revision.
        why: Why a revision could not run, empty where it could.
    """

    name: str
    size: str
    seconds: tuple[list[float], list[float]]
    mib: tuple[float | None, float | None] = (None, None)
    why: tuple[str, str] = ("", "")


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The files of a revision in a temporary worktree, or the working tree itself for a dot.

    Args:
        revision: Anything that git can resolve to a commit, or a dot.

    Yields:
        Their folder.

    Raises:
        ValueError: If git knows no such revision.
    """
    if revision == ".":
        yield ROOT
        return
    with tempfile.TemporaryDirectory(prefix="neurofmx-compare-") as folder:
        place = Path(folder) / "tree"
        try:
            _git("worktree", "add", "--detach", str(place), revision)
        except subprocess.CalledProcessError as error:
            raise ValueError(f"git can't check out {revision!r}: {error.stderr.strip()}") from error
        try:
            yield place
        finally:
            _git("worktree", "remove", "--force", str(place))


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)


def compare(
    name: str, workers: Sequence[Worker], *, size: Size, rounds: int, seconds: float, memory: bool = True
) -> Line:
    """Times one kernel at both revisions in turns.

    Args:
        name: A key of `COMPARED`.
        workers: The measuring process of each revision.
        size: Its size.
        rounds: Times each revision has its turn.
        seconds: Time for a turn.
        memory: Whether peak memory is measured as well.

    Returns:
        What was found.
    """
    chosen, side = benchmark(name), COMPARED[name][0]
    found: tuple[list[float], list[float]] = ([], [])
    why = ["", ""]
    job: dict[str, Any] = {"benchmark": name, "side": side, "size": size}
    for count in range(rounds):
        for which in (0, 1) if count % 2 == 0 else (1, 0):
            if not why[which]:
                said = workers[which].ask("single", seconds=seconds, threads=1, **job)
                why[which] = said.get("skipped") or said.get("failed") or ""
                found[which].extend([said["seconds"]] if "seconds" in said else [])
    peaks = [worker.ask("peak", threads=1, **job).get("mib") if memory else None for worker in workers]
    return Line(name, chosen.label(size), found, (peaks[0], peaks[1]), (why[0], why[1]))


def table(lines: Sequence[Line], names: Sequence[str]) -> str:
    """The comparison as Markdown.

    Args:
        lines: What was found.
        names: Words for both revisions.

    Returns:
        A table: medians in milliseconds, how many times faster the second revision is, with least and most over the
        rounds, and peaks of memory.
    """
    first, second = names
    columns = [
        "kernel",
        "size",
        f"{first} ms",
        f"{second} ms",
        "speed-up",
        "least-most",
        f"{first} MiB",
        f"{second} MiB",
    ]
    rows = [columns, ["---", "---", *["---:"] * 6]]
    for line in lines:
        times = [number(1e3 * median(seconds)) if seconds else "" for seconds in line.seconds]
        rows.append([line.name, line.size, *times, *_ratio(line, names), *map(number, line.mib)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _ratio(line: Line, names: Sequence[str]) -> tuple[str, str]:
    """Cells for the ratio and its spread, or for why there is none."""
    missing = [f"{name}: {why.splitlines()[0]}" for name, why in zip(names, line.why, strict=True) if why]
    if missing:
        return "; ".join(missing).replace("|", "/"), ""
    ratios = [old / new for old, new in zip(*line.seconds, strict=True)]
    return f"{number(median(ratios))}x", f"{number(min(ratios))}-{number(max(ratios))}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Times our kernels at two revisions, in turns, on one thread in processor time.",
        epilog="example: python -m benchmarks.compare HEAD~1 . --only scan block",
    )
    made.add_argument("revisions", nargs=2, metavar="REV", help="anything git resolves, or a dot for the working tree")
    made.add_argument(
        "--only", nargs="+", choices=COMPARED, default=list(COMPARED), metavar="NAME", help=", ".join(COMPARED)
    )
    made.add_argument("--rounds", type=int, default=5, help="turns of each revision (default: 5)")
    made.add_argument("--seconds", type=float, default=1.0, help="time for a turn (default: 1)")
    made.add_argument("--quick", action="store_true", help="tiny sizes and no memory: does it run?")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        words: Its words; `None` for those of this process.

    Returns:
        The exit code.
    """
    chosen = parser().parse_args(words)
    with ExitStack() as stack:
        try:
            trees = [stack.enter_context(checkout(revision)) for revision in chosen.revisions]
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        workers = [stack.enter_context(Worker(source=tree / "src")) for tree in trees]
        lines = []
        for name in tqdm(chosen.only, unit="kernel", disable=None):
            size = benchmark(name).tiny if chosen.quick else COMPARED[name][1]
            effort: dict[str, Any] = {"rounds": chosen.rounds, "seconds": chosen.seconds, "memory": not chosen.quick}
            lines.append(compare(name, workers, size=size, **effort))
        if "train" in chosen.only and len({(tree / "params.yaml").read_text() for tree in trees}) > 1:
            print("train: params.yaml differs between the revisions, so the models may too")
    known = facts()
    print(f"{known['processor']}, load {known['load']}\n\n{table(lines, chosen.revisions)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
