"""The GPU benchmark without a GPU: its command line, its clock and memory, and every side on the CPU at tiny sizes."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from itertools import count
from types import ModuleType

import pytest
import torch
from benchmarks.agreement import agree
from benchmarks.gpu_cases import BENCHMARKS, TILES
from tests.benchmarks.test_agreement import needed

from benchmarks import gpu
from neurofmx.kernels.selective_scan import selective_scan

LARGE = 2.0**30


def ticking():
    """A clock that goes on by a second whenever it is read."""
    return count().__next__


CPU = gpu.Device("cpu", "ticks, median", ticking, lambda step: step() and 3.0)


def run(tmp_path, *names, words=()):
    """Everything between the command line and the exit code, on the CPU."""
    chosen = gpu.parser().parse_args(["--quick", "--seconds", "0", "--out", str(tmp_path), *words])
    return gpu.run(names, CPU, gpu.facts("triton"), chosen)


@pytest.fixture
def mamba_ssm(monkeypatch):
    """Stands in for mamba-ssm: the reference behind its function, with the channels before the steps."""

    def selective_scan_fn(u, dt, A, B, C, D, z, delta_softplus):
        assert all(x.is_contiguous() for x in (u, dt, B, C, z))
        u, dt, B, C, z = (x.transpose(1, 2) for x in (u, dt, B, C, z))
        y, _ = selective_scan(u, dt, A, B, C, D, gate=z, softplus=delta_softplus, path="reference")
        return y.transpose(1, 2).contiguous()

    module = ModuleType("selective_scan_interface")
    monkeypatch.setattr(module, "selective_scan_fn", selective_scan_fn, raising=False)
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", module)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_what_it_needs(capsys):
    assert gpu.main(["--quick"]) == 2
    assert capsys.readouterr().err.startswith(f"benchmarks.gpu needs a CUDA device, and torch {torch.__version__} ")


def test_help_and_wrong_words(capsys):
    with pytest.raises(SystemExit, match="0"):
        gpu.main(["--help"])
    assert "scan, lif, readout, cfc, tf32, block" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        gpu.main(["--only", "scam"])


def test_a_run_prints_the_table_and_writes_it_down(tmp_path, capsys, mamba_ssm):
    assert run(tmp_path, "scan") == 0
    printed, known = capsys.readouterr().out, json.loads((tmp_path / "scan.json").read_text())
    assert len(known["rows"]) == 6  # two passes beside three peers
    assert {row["peer"] for row in known["rows"]} == set(BENCHMARKS["scan"].sides) - {"neurofmx"}
    assert all(row["ours_ms"] == row["peer_ms"] == 1000 for row in known["rows"])
    assert all(row["ours_mib"] == 3.0 for row in known["rows"])
    assert "| B2 L9 D4 N2 | mamba-ssm with transposes | 1 | ticks, median | 1000 | 1000 |" in printed
    assert "scan forward + backward" in printed
    assert gpu.METHOD in (tmp_path / "scan.md").read_text()


def test_mamba_ssm_is_skipped_and_named_where_it_is_not_installed(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    assert run(tmp_path, "scan") == 0
    assert "Skipped: mamba_ssm.ops.selective_scan_interface can't be imported" in capsys.readouterr().out


def test_what_fails_is_named_and_does_not_stop_the_rest(tmp_path, capsys, monkeypatch, mamba_ssm):
    def out_of_memory(size):
        raise torch.OutOfMemoryError("too large")

    monkeypatch.setitem(BENCHMARKS["scan"].sides, "mamba-ssm", out_of_memory)
    assert run(tmp_path, "scan") == 1
    captured = capsys.readouterr()
    assert "OutOfMemoryError: too large" in captured.out
    assert "Traceback" in captured.err
    assert "mamba-ssm with transposes" in captured.out


@pytest.mark.parametrize("name", ["tf32", "readout", "block"])
def test_the_other_benchmarks_run(name, tmp_path):
    assert run(tmp_path, name) == 0


def test_tiles_are_those_in_use_again_after_a_step():
    from neurofmx.kernels.gpu import selective_scan_op as op

    before, sides = (op.FORWARD, op.BACKWARD), BENCHMARKS["tune"].sides
    assert len(sides) == 1 + sum(map(len, TILES.values()))
    side = sides["forward 64 x 32"](BENCHMARKS["tune"].tiny)
    agree(side, sides["neurofmx"](BENCHMARKS["tune"].tiny), BENCHMARKS["tune"].tolerance)
    seen, forward = [], side.wanted[0].register_hook(lambda _: seen.append(op.FORWARD))
    side.step()
    forward.remove()
    assert seen == [op.Cut(64, 32)]
    assert (op.FORWARD, op.BACKWARD) == before


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != "tune"])
def test_sides_compute_on_the_device_they_are_built_on(name, mamba_ssm, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which knows no tensors without numbers
    chosen = BENCHMARKS[name]
    sides = {side for case in chosen.quick() for side in (case.ours, case.peer)}
    for side in sorted(sides - {"snntorch", "snntorch unbind"}):  # which looks at numbers when it is made
        needed(side)
        with torch.device("meta"):
            built = chosen.sides[side](chosen.tiny)
        outputs, gradients = built.step()
        assert {x.device.type for x in (*outputs, *gradients)} == {"meta"}


class Event:
    """An event on a GPU whose time goes on by two milliseconds from event to event."""

    times = count(0.0, 2.0)

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.ms = next(self.times)

    def synchronize(self):
        self.done = True

    def elapsed_time(self, later):
        assert later.done
        return later.ms - self.ms


def test_the_clock_of_a_gpu_reads_seconds(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    read = gpu.cuda_clock()
    assert [read(), read()] == pytest.approx([0.002, 0.004])


def test_memory_on_a_gpu_is_the_rise_of_its_peak(monkeypatch):
    memory = {"now": LARGE, "peak": 5 * LARGE}
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: memory["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: memory["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: memory.update(peak=memory["now"]))
    assert gpu.cuda_rise(lambda: memory.update(peak=memory["now"] + 2**21)) == 2.0
