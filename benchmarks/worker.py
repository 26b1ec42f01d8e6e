"""The process that measures: reads jobs as lines of JSON, and runs each in a fork of its own.

The forks start from a process that has imported torch and numba and run nothing, so no job sees another's caches,
memory or threads, and none pays for the imports again. With `--cold` numba is left to the jobs, as it is for a user who
starts up. `benchmarks.launch` starts it and talks to it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import torch

from benchmarks.agreement import Disagreement, comparable
from benchmarks.case import benchmark
from benchmarks.machine import measure
from benchmarks.memory import rise
from benchmarks.side import NotThere
from benchmarks.timing import alone, clock, interleave

Job = dict[str, Any]


def pair(job: Job) -> Job:
    """Checks that two sides compute the same, or are equally large, and times them in turns."""
    chosen = benchmark(job["benchmark"])
    ours, peer = (chosen.sides[job[side]](job["size"]) for side in ("ours", "peer"))
    deviations = comparable(ours, peer, chosen.tolerance if job["same"] else None)
    times = interleave(ours.step, peer.step, read=clock(job["threads"])[1], seconds=job["seconds"])
    weights = {
        f"{name}_weight_mib": getattr(side, "weight_mib", None) for name, side in (("ours", ours), ("peer", peer))
    }
    return {"ours": times[0], "peer": times[1], "path": ours.path, "deviations": deviations, **weights}


def single(job: Job) -> Job:
    """Times one side alone."""
    side = benchmark(job["benchmark"]).sides[job["side"]](job["size"])
    side.step()
    side.step()
    return {"seconds": alone(side.step, seconds=job["seconds"]), "path": side.path}


def peak(job: Job) -> Job:
    """Measures the memory of one side."""
    chosen = benchmark(job["benchmark"])
    return {"mib": rise(chosen.sides[job["side"]], tiny=chosen.tiny, size=job["size"])}


def start(job: Job) -> Job:
    """Processor time of the first step of one side, less that of the second one: imports and compilation."""
    chosen = benchmark(job["benchmark"])
    began = time.process_time()
    side = chosen.sides[job["side"]](chosen.tiny)
    side.step()
    middle = time.process_time()
    side.step()
    return {"seconds": (middle - began) - (time.process_time() - middle)}


def able(job: Job) -> Job:
    """Measures what the machine can do."""
    return dict(measure(threads=job["threads"]))


JOBS: dict[str, Callable[[Job], Job]] = {"pair": pair, "single": single, "peak": peak, "start": start, "able": able}


def answer(job: Job) -> Job:
    """Runs a job with its number of threads."""
    torch.set_num_threads(job.get("threads", 1))
    return attempt(lambda: JOBS[job["kind"]](job))


def attempt(work: Callable[[], Job]) -> Job:
    """What some work finds; what goes wrong becomes part of it, `skipped` or `failed`."""
    try:
        return work()
    except NotThere as reason:
        return {"skipped": str(reason)}
    except Disagreement as reason:
        return {"failed": f"sides do not agree: {reason}"}
    except Exception as reason:
        return {"failed": f"{type(reason).__name__}: {reason}", "trace": traceback.format_exc()}


def in_a_fork(job: Job) -> Job:
    """Runs a job in a child process and reads its answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.dup2(2, 1)  # peers that print must not disturb the answers
            with os.fdopen(writer, "w") as pipe:
                json.dump(answer(job), pipe)
            os._exit(0)
        finally:
            os._exit(1)  # on an interrupt, which must not unwind into the parent's loop
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        why = "out of memory?" if status == -9 else "see the messages above"
        return {"failed": f"the measuring process ended with {status} ({why})"}
    return json.loads(said)


def main() -> None:
    """Answers one line of standard input after the other until there is no more."""
    if "--cold" not in sys.argv:
        with suppress(ImportError):
            import_module("numba")
    for line in sys.stdin:
        print(json.dumps(in_a_fork(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
