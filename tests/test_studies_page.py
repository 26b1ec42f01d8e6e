"""The page of the studies prints what their suites have measured."""

from __future__ import annotations

import re
from pathlib import Path

from neurofmx.params import load_params

ROOT = Path(__file__).parents[1]
SECTIONS = re.split(r"^## ", (ROOT / "docs/studies.md").read_text(), flags=re.MULTILINE)[1:]


def test_its_tables_are_those_of_the_suites() -> None:
    for section in SECTIONS:
        head, body = section.split("\n", 1)
        suites = [ROOT / "metrics" / name / "comparison.md" for name in re.findall(r"`(\w+)`", head)]
        measured = {line for suite in suites if suite.is_file() for line in suite.read_text().splitlines()}
        rows = [line for line in body.splitlines() if line.startswith("|")]
        assert rows, f"{head}: no table"
        assert [row for row in rows if row not in measured] == [], head


def test_its_commands_run_suites_that_there_are() -> None:
    suites = load_params(ROOT / "params.yaml").suites
    named = re.findall(r"SUITE=(\w+)", "".join(SECTIONS))
    assert named
    assert set(named) <= set(suites)
