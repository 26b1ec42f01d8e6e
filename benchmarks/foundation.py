"""NeuroFMx by size: time and memory of a pass, of a step of training and of a step of a stream.

    python -m benchmarks.foundation tiny small --threads 2
    python -m benchmarks.foundation small medium large --device cuda --precision bfloat16 --batch 32
    python -m benchmarks.foundation large --device cuda --precision bfloat16 --no-recompute

Rows hold two streams of made-up numbers: 96 units in bins of 20 ms (tokens of 100 ms) and 32 channels of LFP at 500 Hz
(tokens of 50 ms). A row lasts `--duration` seconds in steps of 100 ms. Training answers a task of two values and
reconstructs the units. `s` are medians of wall time after a warm-up; memory is the rise of the peak over weights and
batch, during the first step of training, which makes gradients and the moments of AdamW, and during one pass; each size
runs in a process of its own. Writes `foundation.md` and `foundation.json` into the results folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from benchmarks import machine, memory
from neurofmx.atomic import atomic
from neurofmx.models.configs import HeadConfig
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.heads import NeuroFMxHeads
from neurofmx.models.foundation.targets import sample_times
from neurofmx.models.neurofmx import NeuroFMx
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.table import build_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample

STEP = 0.1  # s
UNITS, LFP = "made_up/spikes", "made_up/lfp"
RATES = {UNITS: (50.0, 96, 5), LFP: (500.0, 32, 25)}  # Hz, channels, samples a token


HEADS = (
    "size",
    "parameters",
    "pass, rows/s",
    "training, rows/s",
    "stream step, ms",
    "pass, MiB",
    "training, MiB",
    "recompute",
)
RULES = ("---", *["---:"] * (len(HEADS) - 2), "---")
METHOD = """\
Rows a second and milliseconds are of medians of wall time after a warm-up; a pass is without gradients, training is
forward, backward and a step of AdamW, a stream step reads 100 ms more of one row. MiB are the rise of the peak of
memory over weights and batch, of training with gradients and the moments of AdamW. `recompute` says whether activations
were made anew in the backward pass.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("sizes", nargs="+", choices=["tiny", "small", "medium", "large"])
    made.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--batch", type=int, default=8, help="rows (default: 8)")
    made.add_argument("--duration", type=float, default=2.0, help="of a row, s, whole steps (default: 2)")
    made.add_argument("--seconds", type=float, default=5.0, help="time for a measurement (default: 5)")
    made.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    made.add_argument(
        "--recompute",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="make activations anew in the backward pass (default: that of the size, yes for large)",
    )
    made.add_argument(
        "--out", type=Path, help="results folder (default: benchmarks/results, of a GPU benchmarks/results/gpu)"
    )
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Print one row a size, as Markdown, and write table and numbers down.

    Args:
        words: Of the command line; `None` for those of this process.
    """
    asked = parser().parse_args(words)
    folder = asked.out or machine.ROOT / "benchmarks/results" / ("gpu" if asked.device == "cuda" else "")
    asked.out = str(folder)
    print(line(HEADS), line(RULES), sep="\n")
    rows, spawn = [], multiprocessing.get_context("spawn")
    for size in asked.sizes:
        with spawn.Pool(1) as pool:
            rows.append(pool.apply(measured, (size, vars(asked))))
        print(line(cells(rows[-1], asked.batch)), flush=True)
    device = torch.cuda.get_device_name() if asked.device == "cuda" else "cpu"
    write(rows, machine.facts() | {"device": device, "asked": vars(asked)}, folder)
    print(f"\nwritten to {folder}")


def cells(row: dict[str, Any], batch: int) -> list[str]:
    """The numbers of a size in the order of `HEADS`."""
    return [
        row["size"],
        f"{row['parameters'] / 1e6:.1f} M",
        f"{batch / row['pass_s']:.1f}",
        f"{batch / row['training_s']:.1f}",
        f"{1e3 * row['stream_step_s']:.2f}",
        f"{row['pass_mib']:.0f}",
        f"{row['training_mib']:.0f}",
        "yes" if row["recompute"] else "no",
    ]


def line(words: Sequence[str]) -> str:
    """Cells as a line of a Markdown table."""
    return f"| {' | '.join(words)} |"


def write(rows: Sequence[dict[str, Any]], facts: dict[str, Any], folder: Path) -> None:
    """Write `foundation.md` and `foundation.json`, neither of them half.

    Args:
        rows: What `measured` found, a row a size.
        facts: Of the machine, with `device` and what was `asked`.
        folder: Where to; it is made if it is missing.
    """
    asked = facts["asked"]
    how = f"{asked['batch']} rows of {asked['duration']:g} s, {asked['precision']}, threads: {asked['threads']}"
    text = [
        "# foundation\n",
        f"{machine.where(facts)}; device {facts['device']}; {how}.\n",
        line(HEADS),
        line(RULES),
        *(line(cells(row, asked["batch"])) for row in rows),
        "",
        METHOD,
    ]
    with atomic(folder / "foundation.md") as part:
        part.write_text("\n".join(text))
    with atomic(folder / "foundation.json") as part:
        part.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n")


class Work(NamedTuple):
    """What is measured of one size.

    Args:
        train: A step of training; the first one makes gradients and the moments of AdamW.
        whole: A pass over the batch.
        step: A step of a stream.
        parameters: How many there are.
    """

    train: Callable[[], None]
    whole: Callable[[], None]
    step: Callable[[], None]
    parameters: int


def measured(size: str, asked: dict[str, Any]) -> dict[str, Any]:
    """All numbers of one size, in a fresh process."""
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    device, config = torch.device(asked["device"]), config_of(size, asked)
    work_of(config_of("tiny", asked), asked).train()  # loads and compiles what any size needs
    work = work_of(config, asked)
    return {
        "size": size,
        "recompute": config.sizes.recompute,
        "parameters": work.parameters,
        "training_mib": rise(work.train, device),
        "training_s": timed(work.train, asked["seconds"], device),
        "pass_s": timed(work.whole, asked["seconds"], device),
        "pass_mib": rise(work.whole, device),
        "stream_step_s": timed(work.step, asked["seconds"], device),
    }


def work_of(config: NeurofmxConfig, asked: dict[str, Any]) -> Work:
    """Model, heads and batch of a size, and what they do; nothing has run but the pass that the stream goes on from."""
    device = torch.device(asked["device"])
    model, heads = (part.to(device) for part in built(config))
    batch = rows_of(asked["batch"], asked["duration"]).to(device)
    parameters = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    target = torch.randn(len(batch), 2, device=device)

    def train() -> None:
        optimizer.zero_grad()
        states = model.train()(batch)[0]
        loss = heads.behaviour["task"].loss(heads.behaviour["task"](states.states, states.mask), target)
        found = heads.readout.reconstruct(states, UNITS, sample_times(batch, UNITS, rate=RATES[UNITS][0]))
        (loss + (found - batch.samples[UNITS].x).square().mean()).backward()
        optimizer.step()

    @torch.inference_mode()
    def whole() -> None:
        model.eval()(batch)

    one = rows_of(1, asked["duration"]).to(device)
    with torch.inference_mode():
        _, state = model.eval()(one)

    @torch.inference_mode()
    def step() -> None:
        model(later(one, asked["duration"]), state)

    return Work(train, whole, step, sum(p.numel() for p in parameters))


def config_of(size: str, asked: dict[str, Any]) -> NeurofmxConfig:
    """A size as the command line has it; what that leaves open is the size's own."""
    return NeurofmxConfig(size=size, precision=asked["precision"], recompute=asked["recompute"])  # type: ignore[arg-type]


def built(config: NeurofmxConfig) -> tuple[NeuroFMx, NeuroFMxHeads]:
    """The model and its heads for the two streams."""
    model, heads = NeuroFMx(config, step_s=STEP), NeuroFMxHeads(config, step_s=STEP)
    for stream, (rate, channels, patch) in RATES.items():
        kind, layout = stream.split("/")[1], Layout((round(2 * rate), channels), rate, patch, varied=stream == UNITS)
        tokenizer = build_tokenizer("spikes" if stream == UNITS else "linear", layout, model.dim)
        model.streams.add(stream, tokenizer, layout, modality=kind)
        heads.readout.add(stream, channels=channels)
    model.add_session("one")
    heads.add_task("task", Task("regression", "xy", ("x", "y")), HeadConfig(pool="mean"))
    return model, heads


def rows_of(number: int, duration: float) -> MultiSample:
    """Rows of both streams."""
    samples = {
        stream: Sample(torch.randn(number, round(duration * rate), channels))
        for stream, (rate, channels, _) in RATES.items()
    }
    nobody = torch.zeros(number, dtype=torch.int64)
    return MultiSample(
        samples,
        here={stream: torch.ones(number, dtype=torch.bool) for stream in samples},
        offset={stream: torch.zeros(number, dtype=torch.float64) for stream in samples},
        session=nobody,
        subject=nobody - 1,
        species=nobody,
    )


def later(batch: MultiSample, time_s: float) -> MultiSample:
    """The first step's samples of a row, as if they came at another time."""
    samples = {
        stream: batch.samples[stream].with_x(batch.samples[stream].x[:, : round(STEP * rate)])
        for stream, (rate, _, _) in RATES.items()
    }
    offset = {stream: torch.full_like(batch.offset[stream], time_s) for stream in samples}
    return MultiSample(samples, batch.here, offset, batch.session, batch.subject, batch.species)


def timed(call: Callable[[], None], seconds: float, device: torch.device) -> float:
    """Median wall time of a call, s, after one that warms up; three calls at least."""
    found: list[float] = []
    waited(call, device)
    began = time.perf_counter()
    while len(found) < 3 or time.perf_counter() - began < seconds:
        found.append(waited(call, device))
    return median(found)


def waited(call: Callable[[], None], device: torch.device) -> float:
    """Wall time of one call until its result is there, s."""
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def rise(call: Callable[[], None], device: torch.device) -> float:
    """How far a call raises the peak of memory over what is held before it, MiB."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    memory.give_back()
    before = memory.peak()
    call()
    return memory.peak() - before


if __name__ == "__main__":
    main()
