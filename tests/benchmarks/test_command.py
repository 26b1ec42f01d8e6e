"""The commands from end to end, at tiny sizes, and what they rest on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from benchmarks.__main__ import QUICK, RESULTS, main
from benchmarks.case import ALLOCATORS
from benchmarks.compare import checkout
from benchmarks.compare import main as compare
from benchmarks.launch import Worker
from benchmarks.machine import ROOT
from benchmarks.memory import RESET


def test_a_quick_run_prints_the_table_and_writes_it_down(tmp_path, capsys):
    words = ["--quick", "--only", "lif", "--peers", "snntorch", "--threads", "1", "--skip", "machine", "start"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    known = json.loads((tmp_path / "lif.json").read_text())
    (row,) = known["rows"]
    assert not row["failed"]
    assert row["ours_ms"] > 0
    assert row["low"] <= row["ratio"] <= row["high"]
    assert row["deviations"]["outputs"] < 1e-6
    assert "| B3 T40 N21 | snntorch | 1 |" in printed
    assert (tmp_path / "lif.md").read_text().startswith("# lif\n")


def test_a_peer_that_is_not_installed_is_skipped_and_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "mambapy.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = ["--quick", "--only", "scan", "--peers", "mambapy", "--threads", "1", "--skip", "machine", "start"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert "- scan: Skipped: mambapy.mamba can't be imported" in capsys.readouterr().out


def test_help_and_wrong_words(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "python -m benchmarks.compare" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "scam"])
    assert main(["--threads", "0"]) == 2
    capsys.readouterr()
    assert main(["--only", "scan", "--peers", "mambapi"]) == 2
    assert "--peers mambapi: no side of these benchmarks; there are mambapy" in capsys.readouterr().err


def test_a_quick_run_leaves_the_results_alone(capsys):
    before = {path: path.read_bytes() for path in RESULTS.iterdir()}
    assert main(["--quick", "--only", "lif", "--peers", "snntorch", "--threads", "1", "--skip", "memory", "start"]) == 0
    assert {path: path.read_bytes() for path in RESULTS.iterdir()} == before
    assert f"written to {QUICK}" in capsys.readouterr().out


def test_comparing_the_working_tree_with_itself(capsys):
    assert compare([".", ".", "--only", "lif", "--quick", "--rounds", "1", "--seconds", "0.01"]) == 0
    assert "| lif | B3 T40 N21 |" in capsys.readouterr().out


def test_a_worker_reports_what_goes_wrong_and_goes_on(tmp_path):
    job = {"benchmark": "lif", "side": "neurofmx", "seconds": 0.0}
    with Worker() as worker:
        assert worker.ask("single", size={}, **job)["failed"] == "KeyError: 'batch'"
        assert worker.ask("single", size={"batch": 1, "time": 2, "neurons": 3}, **job)["seconds"] > 0
    (tmp_path / "neurofmx").mkdir()
    (tmp_path / "neurofmx/__init__.py").write_text("")
    (tmp_path / "neurofmx/tables.py").write_text("raise ImportError('a broken revision')")
    with Worker(source=tmp_path) as worker, pytest.raises(RuntimeError, match="a broken revision"):
        worker.ask("single", **job)


def test_a_revision_is_checked_out_and_cleared_away(tmp_path, monkeypatch):
    def git(*words):
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True, capture_output=True
        ).stdout.decode()

    git("init")
    for text in ("old", "new"):
        (tmp_path / "file").write_text(text)
        git("add", "file")
        git("commit", "-m", text)
    monkeypatch.setattr("benchmarks.compare.ROOT", tmp_path)
    with checkout("HEAD~1") as old, checkout(".") as new:
        assert [(folder / "file").read_text() for folder in (old, new)] == ["old", "new"]
    assert len(git("worktree", "list").splitlines()) == 1
    assert not old.exists()
    with pytest.raises(ValueError, match="can't check out 'nothing'"), checkout("nothing"):
        pass


HOLDING = """
import torch
from benchmarks.memory import rise

class Holding:
    def __init__(self, size):
        self.mib = size["mib"]

    def step(self):
        torch.ones(2**18 * self.mib)
        torch.ones(2**18 * (self.mib // 2))

print(rise(Holding, tiny={"mib": 1}, size={"mib": 64}))
"""  # a side whose step holds a known number of MiB at once


@pytest.mark.skipif(not RESET.exists(), reason="the peak can be forgotten on Linux only")
def test_peak_memory_is_that_of_the_step():
    found = subprocess.run(  # a fresh process, as `rise` wants: this one's allocator may keep what is freed
        [sys.executable, "-c", HOLDING],
        cwd=ROOT,
        env=os.environ | ALLOCATORS["gives back"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(found.stdout) == pytest.approx(64, abs=2)


def test_the_parent_never_waits_actively():
    words = "import benchmarks, os; print(os.environ['OMP_WAIT_POLICY'])"
    found = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "PASSIVE"


def test_cleaning_is_measured_for_every_modality_that_has_a_case(tmp_path):
    from benchmarks.preprocessing import CASES, run, table, write

    from neurofmx.preprocessing import PREPROCESS

    row = run("lfp", mib=1, folder=tmp_path, options={"low": 10.0})
    assert row.recorded_s == 60  # the least that is made
    assert row.mib == pytest.approx(60 * 1250 * 64 * 4 / 2**20, rel=0.01)
    assert row.clean_mib == pytest.approx(row.mib, rel=0.01)  # float32 at the same rate
    assert 0 < row.peak_mib < 2000
    assert row.seconds > 0
    write([row], tmp_path)
    assert "| lfp | 64 channels, 1250 Hz | low 10.0 | 18 |" in (tmp_path / "preprocessing.md").read_text()
    assert json.loads((tmp_path / "preprocessing.json").read_text())["rows"][0]["modality"] == "lfp"
    assert table([row]).count("\n") == 3
    assert set(PREPROCESS) - set(CASES) == {"image", "text", "trajectory"}  # which are handed on as they are
    with pytest.raises(
        RuntimeError, match=r"(?s)emg: cleaning ended with 1: .*preprocess\.high must be below half the rate"
    ):
        run("emg", mib=1, folder=tmp_path, options={"high": 1000.0})
    film = run("video", mib=1, folder=tmp_path)
    assert film.recorded_s >= 1  # s, the least that is made
    assert film.mib > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preprocessing.json", "preprocessing.md"]


def test_large_recordings_have_a_table_of_their_own(tmp_path, capsys):
    from benchmarks.preprocessing import main

    assert main(["calcium", "audio", "--mib", "1", "--folder", str(tmp_path), "--out", str(tmp_path)]) == 0
    text = (tmp_path / "large_recordings.md").read_text()
    assert text.startswith("# large recordings\n")
    assert "| calcium | 300 cells, 30 Hz | defaults | 2 |" in text  # 60 s, the least that is made
    assert "| audio | 1 channel, 16000 Hz | defaults | 4 |" in text
    assert capsys.readouterr().out.strip() in text
    rows = json.loads((tmp_path / "large_recordings.json").read_text())["rows"]
    assert [row["modality"] for row in rows] == ["calcium", "audio"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large_recordings.json", "large_recordings.md"]
