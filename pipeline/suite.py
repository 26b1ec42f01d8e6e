"""Run a suite of params.yaml as one experiment: its datasets beside those of `run`, its models, its seeds.

Datasets are added, never taken away: narrowing `run.datasets` would delete the others' metrics from the workspace.
A stage that fails leaves the others to be done; the command then ends with an error, and a second call goes on there.
"""

import shlex
import subprocess
import sys

from _stage import Params, run


def main(params: Params, suite: str, dry_run: bool) -> None:
    """Run, or only print, one `dvc exp run`."""
    command = command_of(params, suite)
    print(shlex.join(command), flush=True)
    if not dry_run:
        sys.exit(subprocess.run(command, check=False).returncode)


def command_of(params: Params, name: str) -> list[str]:
    """The command that builds a suite from these params."""
    suite = params.suite(name)
    command = ["dvc", "exp", "run", "--keep-going", "-m", f"suite {name}"]
    for dataset, item in suite.datasets.items():
        if params.run.datasets.get(dataset) != item:
            new = "" if dataset in params.run.datasets else "+"
            command += ["-S", f"{new}run.datasets.{dataset}={{kind: {item.kind}, modality: {item.modality}}}"]
    command += ["-S", f"run.compare=[{','.join(suite.compare)}]"]
    return [*command, "-S", f"evaluate.seeds=[{','.join(map(str, suite.seeds))}]"]


if __name__ == "__main__":
    run(
        main,
        flags={"dry_run": {"action": "store_true", "help": "print the command and run nothing"}},
        suite="name of a suite in params.yaml",
    )
