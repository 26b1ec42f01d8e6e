"""The table and the figure of a suite without variants, from the scores that it made."""

from __future__ import annotations

import json
from pathlib import Path

from _stage import Params, write_json
from _workspace import after
from neurofmx.atomic import atomic
from neurofmx.study.forest import forest
from neurofmx.study.scoreboard import rows_of, scoreboard


def scoreboard_of(params: Params, name: str) -> None:
    """Write metrics/SUITE/comparison.{json,md,png}; what else was scored is left out.

    Raises:
        FileNotFoundError: If nothing was scored yet.
        ValueError: If a dataset of the suite was not scored by all its models.
    """
    reports = after(name) / "metrics/comparison.json"
    if not reports.is_file():
        raise FileNotFoundError(f"{reports}: no such file; run `make suite SUITE={name}` first")
    suite, out = params.suite(name), Path("metrics") / name
    datasets = {dataset: item.modality for dataset, item in sorted(suite.datasets.items())}
    asked = {"datasets": datasets, "models": (*suite.compare, "model")}
    found = rows_of(json.loads(reports.read_text()), **asked)
    kept = [report for row in found.values() for report in row.values()]
    text = scoreboard(kept, **asked, references=suite.references)
    write_json(out / "comparison.json", kept)
    with atomic(out / "comparison.md") as part:
        part.write_text(text)
    forest(kept, out / "comparison.png", **asked)
    print(text)
