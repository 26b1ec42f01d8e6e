"""Carry out a benchmark: times for every case and number of threads, memory for every side, start-up once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.case import ALLOCATORS, Benchmark, Case, Size, benchmark
from benchmarks.launch import Worker
from benchmarks.report import Results, Row
from benchmarks.timing import clock, summarise


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Args:
        threads: Numbers of threads, each of which gives rows of its own.
        seconds: Time spent on a pair beyond its warm-up, as far as 3 to 51 rounds allow.
        quick: Whether the tiny sizes are taken instead of the real ones.
        memory: Whether peak memory is measured.
        start: Whether cold and warm starts are measured.
        peers: Names of the peers to measure beside; empty for all.
    """

    threads: Sequence[int] = (1, 2)
    seconds: float = 8.0
    quick: bool = False
    memory: bool = True
    start: bool = True
    peers: Sequence[str] = ()


class Bench:
    """The measuring processes of a run, each started when it is first needed. Use it in a `with` block.

    Args:
        effort: How much is measured.
        tick: Called with a few words before every measurement, and with `None` after it.
    """

    def __init__(self, effort: Effort, tick: Callable[[str | None], None]) -> None:
        self.effort, self.tick = effort, tick
        self._stack, self._workers = ExitStack(), dict[str, Worker]()
        self._memory: dict[tuple[str, str, str], float | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """Ends the processes."""
        self._stack.__exit__(*error)

    def able(self) -> dict[str, float]:
        """What the machine can do on one thread."""
        return self._ask("machine", "default", "able", threads=1)

    def run(self, name: str, machine: dict[str, float]) -> Results:
        """Carries out one benchmark.

        Args:
            name: One of `benchmarks.case.NAMES`.
            machine: What `able` returned, or nothing.

        Returns:
            Its rows, and what is said about them.
        """
        chosen, rows, skipped = benchmark(name), [], dict[str, None]()
        for case in cases(chosen, self.effort):
            for threads in self.effort.threads:
                found = self._ask(
                    f"{name} {chosen.label(case.size)}: {case.ours}, {case.peer}",
                    case.allocator,
                    "pair",
                    benchmark=name,
                    size=case.size,
                    ours=case.ours,
                    peer=case.peer,
                    same=case.same,
                    threads=threads,
                    seconds=self.effort.seconds,
                )
                if "skipped" in found:
                    skipped[found["skipped"]] = None
                else:
                    rows.append(self._row(name, chosen, case, threads, found))
        start = self._start(name, chosen) if self.effort.start and rows else {}
        return Results(name, rows, list(skipped), start, machine, chosen.notes(rows, machine))

    def _row(self, name: str, chosen: Benchmark, case: Case, threads: int, found: dict[str, Any]) -> Row:
        """A line of the table from what the measuring process answered."""
        facts: dict[str, Any] = {"failed": found.get("failed", "")}
        if not facts["failed"]:
            facts |= summarise(found["ours"], found["peer"], threads=threads)._asdict()
            facts |= {"rounds": len(found["ours"]), "path": found["path"], "deviations": found["deviations"]}
            facts |= {name: found[name] for name in ("ours_weight_mib", "peer_weight_mib")}
            if self.effort.memory and case.allocator == "default":
                facts["ours_mib"] = self._peak(name, case.ours, case.size)
                facts["peer_mib"] = self._peak(name, case.peer, case.size)
        return Row(
            benchmark=name,
            size=chosen.label(case.size),
            sizes=case.size,
            ours=case.ours,
            peer=case.peer,
            threads=threads,
            clock=clock(threads)[0],
            allocator=case.allocator,
            goal=case.goals.get(threads),
            memory_goal=case.memory_goal,
            tokens=chosen.tokens(case.size) if chosen.tokens else None,
            **facts,
        )

    def _peak(self, name: str, side: str, size: Size) -> float | None:
        """Peak memory of a side on one thread, measured once."""
        key = (name, side, str(size))
        if key not in self._memory:
            words = f"{name} {side}: memory"
            self._memory[key] = self._ask(words, "gives back", "peak", benchmark=name, side=side, size=size).get("mib")
        return self._memory[key]

    def _start(self, name: str, chosen: Benchmark) -> dict[str, float]:
        """Start-up of our first side, with an empty cache of compiled code and then with the filled one."""
        seconds = {}
        with tempfile.TemporaryDirectory() as cache, Worker({"NUMBA_CACHE_DIR": cache}, cold=True) as worker:
            for words in ("cold compile s", "warm start s"):
                self.tick(f"{name}: {words}")
                found = worker.ask("start", benchmark=name, side=chosen.cases[0].ours)
                self.tick(None)
                if "seconds" not in found:
                    return {}
                seconds[words] = found["seconds"]
        return seconds

    def _ask(self, words: str, allocator: str, kind: str, **job: Any) -> dict[str, Any]:
        """Has a job done by the process with an allocator."""
        self.tick(words)
        if allocator not in self._workers:
            self._workers[allocator] = self._stack.enter_context(Worker(ALLOCATORS[allocator]))
        found = self._workers[allocator].ask(kind, **job)
        self.tick(None)
        return found


def cases(chosen: Benchmark, effort: Effort) -> list[Case]:
    """The cases of a benchmark at their real sizes, or every pair once at the tiny one."""
    found = chosen.quick() if effort.quick else chosen.cases
    return [case for case in found if not effort.peers or case.peer in effort.peers]


def steps(names: Sequence[str], effort: Effort, *, machine: bool) -> int:
    """How many measurements a run makes if nothing is skipped, for the progress bar."""
    count = int(machine)
    for name in names:
        chosen = benchmark(name)
        todo = cases(chosen, effort)
        sides = {
            (side, str(case.size)) for case in todo if case.allocator == "default" for side in (case.ours, case.peer)
        }
        count += len(todo) * len(effort.threads) + effort.memory * len(sides) + 2 * (effort.start and bool(todo))
    return count
