"""Run a suite of params.yaml as one experiment: its datasets beside those of `run`, its models, its seeds.

Datasets are added, never taken away: narrowing `run.datasets` would delete the others' metrics from the workspace.
A stage that fails leaves the others to be done; the command then ends with an error, and a second call goes on there.
When all is done, metrics/SUITE gets the table, the figure and the reports of the suite's datasets alone.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from _stage import Params, run, write_json
from neurofmx.atomic import atomic
from neurofmx.study.forest import forest
from neurofmx.study.scoreboard import rows_of, scoreboard


def main(params: Params, suite: str, dry_run: bool, table: bool) -> None:
    """Run one `dvc exp run`, or only print it, and make the table."""
    command = command_of(params, suite)
    if not table:
        print(shlex.join(command), flush=True)
    if dry_run:
        return
    if not table and (code := subprocess.run(command, check=False).returncode):
        sys.exit(code)
    summarise(params, suite, reports=Path("metrics/comparison.json"))


def command_of(params: Params, name: str) -> list[str]:
    """The command that builds a suite from these params."""
    suite = params.suite(name)
    command = ["dvc", "exp", "run", "--keep-going", "-m", f"suite {name}"]
    for dataset, item in suite.datasets.items():
        if params.run.datasets.get(dataset) != item:
            new = "" if dataset in params.run.datasets else "+"
            command += ["-S", f"{new}run.datasets.{dataset}={{kind: {item.kind}, modality: {item.modality}}}"]
    command += ["-S", f"run.compare=[{','.join(suite.compare)}]"]
    command += ["-S", f"evaluate.seeds=[{','.join(map(str, suite.seeds))}]"]
    for key, value in suite.common.items():
        command += ["-S", f"{key}={value}"]
    return command


def summarise(params: Params, name: str, *, reports: Path) -> None:
    """Write metrics/SUITE/comparison.{json,md,png}."""
    if not reports.is_file():
        raise FileNotFoundError(f"{reports}: no such file; run `make suite SUITE={name}` first")
    suite, out = params.suite(name), Path("metrics") / name
    asked = {
        "datasets": {dataset: item.modality for dataset, item in sorted(suite.datasets.items())},
        "models": (*suite.compare, "model"),
    }
    found = rows_of(json.loads(reports.read_text()), **asked)
    kept = [report for row in found.values() for report in row.values()]
    text = scoreboard(kept, **asked, references=suite.references)
    write_json(out / "comparison.json", kept)
    with atomic(out / "comparison.md") as part:
        part.write_text(text)
    forest(kept, out / "comparison.png", **asked)
    print(text)


if __name__ == "__main__":
    run(
        main,
        flags={
            "dry_run": {"action": "store_true", "help": "print the command and run nothing"},
            "table": {"action": "store_true", "help": "make table and figure of the workspace's scores, run nothing"},
        },
        suite="name of a suite in params.yaml",
    )
