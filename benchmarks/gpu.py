"""`python -m benchmarks.gpu`: measure our kernels for GPUs beside the peers, print a table and write it down."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from benchmarks.agreement import comparable
from benchmarks.case import Benchmark, Case
from benchmarks.gpu_cases import BENCHMARKS
from benchmarks.machine import ROOT, facts
from benchmarks.report import Results, Row, below, table, write
from benchmarks.side import Side
from benchmarks.timing import Step, interleave, summarise
from benchmarks.worker import attempt

NAMES = tuple(name for name in BENCHMARKS if name != "tune")
METHOD = """\
`forward` is without gradients; the other rows are forward and backward, all in float32 and, but for TF32, with torch's
default precision of matrix products. Both sides were checked to compute the same before they were timed (`deviations`
in the JSON), or are different models with equally many parameters. Sides ran in turns after a warm-up. Times are
medians over stretches of 20 ms or more between two CUDA events, the ratio is the median over the rounds, with its
quartiles in brackets. Peak MiB is the rise of what torch has allocated on the GPU during one step, on top of weights
and inputs.
"""
_PASSES: dict[str, Callable[[Side], Step]] = {
    "forward": lambda side: torch.no_grad()(side.forward),
    "forward + backward": lambda side: side.step,
}


class Device(NamedTuple):
    """Where sides compute, and how they are measured there.

    Args:
        name: Its name in torch.
        timed: Words for its clock in the table.
        clock: Makes a clock, which reads seconds.
        rise: Runs a step and returns the rise of the peak of its memory, MiB.
    """

    name: str
    timed: str
    clock: Callable[[], Callable[[], float]]
    rise: Callable[[Step], float | None]


def cuda_clock() -> Callable[[], float]:
    """A clock that waits until the GPU has done all it was told, and reads the GPU's own time.

    Returns:
        What reads the seconds since now. Read it for minutes at most: the time is kept in 32 bits.
    """
    began = _mark()

    def read() -> float:
        now = _mark()
        now.synchronize()
        return began.elapsed_time(now) / 1e3

    return read


def _mark() -> torch.cuda.Event:
    """The moment at which the GPU gets to here."""
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def cuda_rise(step: Step) -> float:
    """The rise of the peak of torch's memory on the GPU during a step, MiB."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


CUDA = Device("cuda", "CUDA events, median", cuda_clock, cuda_rise)


def pair(chosen: Benchmark, case: Case, device: Device, seconds: float) -> dict[str, Any]:
    """Checks that two sides may be compared and measures them in turns.

    Args:
        chosen: Their benchmark.
        case: The sides and their size.
        device: Where they compute.
        seconds: Time for every pass beyond its warm-up, as far as 3 to 51 rounds allow.

    Returns:
        The path of ours, deviations, and what was measured by pass.
    """
    with torch.device(device.name):
        ours, peer = (chosen.sides[name](case.size) for name in (case.ours, case.peer))
    found: dict[str, Any] = {"path": ours.path}
    found["deviations"] = comparable(ours, peer, chosen.tolerance if case.same else None)
    found["passes"] = {words: _measured(of(ours), of(peer), device, seconds) for words, of in _PASSES.items()}
    return found


def _measured(ours: Step, peer: Step, device: Device, seconds: float) -> dict[str, Any]:
    """Times and memory of two steps, under the names that `Row` gives them."""
    peaks = {"ours_mib": device.rise(ours), "peer_mib": device.rise(peer)}
    times = interleave(ours, peer, read=device.clock(), seconds=seconds)
    return {**summarise(*times, threads=1)._asdict(), "rounds": len(times[0]), **peaks}


def measure(name: str, device: Device, *, seconds: float, quick: bool, tick: Callable[[str], object]) -> Results:
    """Carries out one benchmark.

    Args:
        name: A key of `BENCHMARKS`.
        device: Where.
        seconds: Time for a pass of a pair.
        quick: Whether the tiny size is taken.
        tick: Called with a few words before every pair.

    Returns:
        Its rows, and what is said about them.
    """
    from neurofmx.kernels.cuda import decisions

    chosen, rows, skipped = BENCHMARKS[name], list[Row](), dict[str, None]()
    for case in chosen.quick() if quick else chosen.cases:
        tick(f"{name} {chosen.label(case.size)}: {case.ours}, {case.peer}")
        found = attempt(lambda case=case: pair(chosen, case, device, seconds))
        if "skipped" in found:
            skipped[found["skipped"]] = None
        else:
            rows += _rows(name, chosen, case, device, found)
            print(found.get("trace", ""), end="", file=sys.stderr)
    said = [f"{kernel} was computed by {', and by '.join(lines)}." for kernel, lines in decisions().items()]
    return Results(name, rows, list(skipped), {}, {}, said)


def _rows(name: str, chosen: Benchmark, case: Case, device: Device, found: dict[str, Any]) -> list[Row]:
    """Lines of the table: one a pass, or one that says what failed."""
    common: dict[str, Any] = {
        "size": chosen.label(case.size),
        "sizes": case.size,
        "ours": case.ours,
        "peer": case.peer,
        "threads": 1,
        "clock": device.timed,
        "tokens": chosen.tokens(case.size) if chosen.tokens else None,
    }
    if "failed" in found:
        return [Row(name, **common, failed=found["failed"])]
    known = {"path": found["path"], "deviations": found["deviations"]}
    return [Row(f"{name} {words}", **common, **known, **numbers) for words, numbers in found["passes"].items()]


def run(names: Sequence[str], device: Device, known: dict[str, Any], chosen: argparse.Namespace) -> int:
    """Measures, prints and writes benchmarks.

    Args:
        names: Keys of `BENCHMARKS`.
        device: Where.
        known: What `benchmarks.machine.facts` returned.
        chosen: The command line.

    Returns:
        The exit code: 1 if something failed.
    """
    rows, said = list[Row](), list[str]()
    seconds = chosen.seconds if chosen.seconds is not None else 0.1 if chosen.quick else 1.0
    with tqdm(names, unit="benchmark", disable=None) as bar:
        for name in bar:
            results = measure(name, device, seconds=seconds, quick=chosen.quick, tick=bar.set_description)
            write(results, known, chosen.out, METHOD)
            rows += results.rows
            said += [sentence for sentence in below(results) if sentence not in said]
    print(table(rows), *(f"- {sentence}" for sentence in said), f"\nwritten to {chosen.out}", sep="\n")
    return int(any(row.failed for row in rows))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Times our kernels for GPUs and a block beside what people would use instead. Needs a CUDA device.",
        epilog="What can't be imported is skipped and named. Ends with 1 if two sides did not agree or one failed.",
    )
    made.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME", help=", ".join(NAMES))
    made.add_argument("--tune", action="store_true", help="in place of these, tiles of the scan beside those in use")
    made.add_argument("--quick", action="store_true", help="tiny sizes and hardly any repeats: does it run?")
    made.add_argument("--seconds", type=float, help="time for a pass of a pair (default: 1, quick: 0.1)")
    made.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks/results/gpu", help="folder (default: benchmarks/results/gpu)"
    )
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        words: Its words; `None` for those of this process.

    Returns:
        The exit code: 2 without a GPU.
    """
    chosen = parser().parse_args(words)
    if not torch.cuda.is_available():
        why = "finds none: see what nvidia-smi says" if torch.version.cuda else "is built without CUDA: install another"
        print(f"benchmarks.gpu needs a CUDA device, and torch {torch.__version__} {why}", file=sys.stderr)
        return 2
    known = facts("triton", "mamba-ssm")
    gpu = f"{torch.cuda.get_device_name()} with CUDA {torch.version.cuda}, beside {known['processor']}"
    return run(["tune"] if chosen.tune else chosen.only, CUDA, known | {"processor": gpu}, chosen)


if __name__ == "__main__":
    sys.exit(main())
