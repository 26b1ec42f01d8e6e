"""The benchmark of NeuroFMx by size: the smallest one from the command line to its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks.foundation import LFP, UNITS, built, config_of, later, main, parser, rise, rows_of, timed, work_of

from neurofmx.models.foundation.config import NeurofmxConfig


def test_the_smallest_size_is_measured_and_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["tiny", "--batch", "2", "--duration", "0.4", "--seconds", "0", "--out", str(tmp_path / "results")])
    known = json.loads((tmp_path / "results/foundation.json").read_text())
    (row,) = known["rows"]
    parts = built(NeurofmxConfig(size="tiny"))
    assert row["parameters"] == sum(p.numel() for part in parts for p in part.parameters()) < 1e6
    assert all(row[f"{what}_s"] > 0 for what in ("training", "pass", "stream_step"))
    assert 0 <= row["pass_mib"] < 500
    assert 0 <= row["training_mib"] < 500
    assert (known["machine"]["device"], known["machine"]["asked"]["batch"]) == ("cpu", 2)
    head, _, line, *_ = capsys.readouterr().out.splitlines()
    assert len(head.split("|")) == len(line.split("|"))
    assert line.startswith(f"| tiny | {row['parameters'] / 1e6:.1f} M | {2 / row['pass_s']:.1f} | ")
    page = (tmp_path / "results/foundation.md").read_text().splitlines()
    assert line in page
    assert head in page


def test_memory_of_training_counts_gradients_and_moments() -> None:
    """Each parameter has a gradient and two moments of 4 bytes, whatever else a step holds."""
    asked = vars(parser().parse_args(["tiny", "--batch", "1", "--duration", "0.1"]))
    work_of(NeurofmxConfig(size="tiny"), asked).train()
    work, device = work_of(NeurofmxConfig(size="tiny", hidden_dim=512), asked), torch.device("cpu")
    least = 12 * work.parameters / 2**20
    first, second = rise(work.train, device), rise(work.train, device)
    assert first > 0.9 * least > 100
    assert second < 0.5 * least, "the second makes no more of them"


@pytest.mark.parametrize(
    ("words", "recompute"),
    [(["large"], True), (["small"], False), (["small", "--recompute"], True), (["large", "--no-recompute"], False)],
)
def test_a_size_is_measured_as_it_is_trained_unless_told_otherwise(words: list[str], recompute: bool) -> None:
    """Only `large` makes its activations anew by itself."""

    assert config_of(words[0], vars(parser().parse_args(words))).sizes.recompute is recompute


def test_a_size_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["huge"])
    assert "choose from" in capsys.readouterr().err


def test_the_stream_goes_on_one_step_behind_the_row() -> None:
    torch.manual_seed(0)
    model, _ = built(NeurofmxConfig(size="tiny"))
    row = rows_of(1, 0.4)
    assert [tuple(row.samples[name].x.shape) for name in (UNITS, LFP)] == [(1, 20, 96), (1, 200, 32)]
    with torch.inference_mode():
        states, state = model.eval()(row)
        step, _ = model(later(row, 0.4), state)
    torch.testing.assert_close(states.time[0], torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    torch.testing.assert_close(step.time[0], torch.tensor([0.5], dtype=torch.float64))


def test_a_call_is_timed_three_times_at_least_after_one_that_warms_up() -> None:
    calls: list[None] = []
    assert timed(lambda: calls.append(None), 0.0, torch.device("cpu")) >= 0
    assert len(calls) == 4
