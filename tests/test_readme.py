"""What the README prints is what commands of this repository have made."""

from __future__ import annotations

import json
import re
from pathlib import Path

from neurofmx.params import load_params
from neurofmx.study.scoreboard import scoreboard

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CORE = ROOT / "metrics/core_v1"


def test_the_table_of_results_is_the_suites() -> None:
    assert (CORE / "comparison.md").read_text() in README
    assert "](metrics/core_v1/comparison.png)" in README


def test_the_suites_table_says_what_its_reports_say() -> None:
    suite = load_params(ROOT / "params.yaml").suite("core_v1")
    datasets = {name: item.modality for name, item in sorted(suite.datasets.items())}
    reports = json.loads((CORE / "comparison.json").read_text())
    text = scoreboard(reports, datasets=datasets, models=(*suite.compare, "model"), references=suite.references)
    assert text == (CORE / "comparison.md").read_text()


def test_files_and_folders_that_it_names_are_there() -> None:
    named = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(named) > 10
    assert [name for name in named if "://" not in name and not (ROOT / name).exists()] == []
