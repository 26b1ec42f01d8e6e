"""A stranger's walk: every block of docs/your_own_data.md, on files never seen before, to a score."""

from __future__ import annotations

import io
import json
import re
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.datasets.own_files import (
    session,
    write_bids,
    write_edf,
    write_fmri,
    write_npz,
    write_nwb,
    write_visit,
)

from pipeline_checkout import ROOT, Checkout, copy_of_checkout

DOC = (ROOT / "docs/your_own_data.md").read_text(encoding="utf-8")


def blocks() -> dict[str, dict[str, Any]]:
    """The params of the page, by the name of their dataset."""
    read = [YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)]
    return {name: block for block in read for name in block["datasets"]}


def people(root: Path) -> None:
    for number in (1, 2, 3):
        write_edf(root / f"recordings/p{number}.edf", session(number), duration=0.0)


def study(root: Path) -> None:
    for number in range(4):
        write_bids(root / "study", session(number), subject=f"0{number % 2 + 1}", run=str(number // 2 + 1))


def scans(root: Path) -> None:
    for number in (1, 2, 3):
        write_fmri(root / "scans", run=str(number), seed=number)


def visits(root: Path) -> None:
    for number in (1, 2):
        write_visit(root / f"films/visit{number}.mkv", session(number))


WRITE: dict[str, Callable[[Path], object]] = {
    "my_eeg": people,
    "my_units": lambda root: write_nwb(root / "sessions/monday.nwb", session(3)),
    "my_field": lambda root: write_nwb(root / "sessions/monday.nwb", session(4)),
    "my_bids": study,
    "my_meg": lambda root: write_bids(root / "study", session(5, trials=40), datatype="meg", form="FIF"),
    "my_fmri": scans,
    "my_arrays": lambda root: write_npz(root / "sessions/monday.npz", session(6)),
    "my_film": visits,
    "my_sound": visits,
}


def params_with(block: dict[str, Any]) -> dict[str, Any]:
    """params.yaml with one block of the page in it."""
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    tree["datasets"], tree["suites"] = block["datasets"], {}
    tree["run"] = {"datasets": block["run"]["datasets"], "compare": []}
    tree["evaluate"] |= {"draws": 100}
    tree["multimodal"] |= block.get("multimodal", {})
    return tree


def commands(name: str, *, beside: str = "") -> list[list[str]]:
    """What DVC runs for the linear model's score: script and arguments; of a pair first what is lent."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    lent = [(stage, beside) for stage in ("download", "preprocess", "tokenize")] + [("lend", name)] if beside else []
    lines: list[str] = []
    for stage, key in [*lent, *((each, name) for each in ("download", "preprocess", "tokenize", "baseline"))]:
        given = stages[stage]["do"]["cmd"]
        lines += [line.replace("${key}", key) for line in ([given] if isinstance(given, str) else given)]
    return [line.split()[1:] for line in lines]


def run_stage(script: str, *arguments: str) -> str:
    """A stage's script as `python script arguments` runs it, without the start of an interpreter."""
    printed, argv = io.StringIO(), sys.argv
    sys.argv = [script, *arguments]
    try:
        with redirect_stdout(printed):
            runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        sys.argv = argv
    return printed.getvalue()


def test_the_page_has_a_walk_for_every_block() -> None:
    assert set(blocks()) == set(WRITE)
    assert {block["run"]["datasets"][name]["kind"] for name, block in blocks().items()} == {
        "nwb",
        "bids",
        "edf",
        "npz",
        "film",
    }


@pytest.mark.parametrize("name", WRITE)
def test_own_files_go_to_a_score_with_params_alone(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    block = blocks()[name]
    WRITE[name](tmp_path)
    YAML(typ="safe").dump(params_with(block), tmp_path / "params.yaml")
    beside = block.get("multimodal", {}).get("beside", {}).get(name, "")
    printed = [run_stage(*command) for command in commands(name, beside=beside)]
    report = json.loads((tmp_path / f"data/scores/{name}/linear/report.json").read_text())
    circular = block["datasets"][name]["options"]["target"]["kind"] == "circular"
    assert report["score"] > (0.6 if circular else 0.85), printed
    assert report["score"] - report["chance"][report["headline"]] > 0.3
    assert report["split"].startswith("own-")


def test_the_page_s_commands_run_under_dvc(tmp_path: Path) -> None:
    checkout: Checkout = copy_of_checkout(tmp_path)
    name = "my_arrays"
    (checkout.root / "dvc.lock").unlink(missing_ok=True)
    WRITE[name](tmp_path)
    YAML().dump(params_with(blocks()[name]), checkout.root / "params.yaml")
    shown = re.search(r"```bash\n(.*?)```", DOC, re.DOTALL)
    assert shown
    first, second, _ = shown[1].replace("my_eeg", name).splitlines()
    done = checkout.run(*first.split("#")[0].split())
    ran = [f"{stage}@{name}" for stage in ("download", "preprocess", "tokenize", "baseline")]
    assert [stage for stage in checkout.ran(done.stdout) if "@" in stage] == ran
    assert "accuracy" in checkout.run(*second.split()).stdout
