"""A suite without variants: one experiment. What it made is kept, and shown in metrics/SUITE.

params.yaml, dvc.lock and metrics/ are put back at the end, so that no suite reads what another one has set. data/ is
left as the suite made it: checkpoints and scores stay readable until something else runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import _workspace as workspace
from _board import scoreboard_of
from _samples import write_samples
from _stage import Params


def run_single(params: Params, name: str, command: Sequence[str]) -> None:
    """Run a suite, then make its table, figure and samples; ends the process with DVC's code if a stage failed.

    Args:
        params: All sections.
        name: Name of the suite.
        command: Its `dvc exp run`.
    """
    workspace.keep(params.suites)
    try:
        workspace.lay_out(name, params.suites)
        code = subprocess.run(command, check=False).returncode
    finally:
        workspace.leave(name, params.suites)
        workspace.put_back_files(params.suites)
    show_results(params, name)
    if code:
        sys.exit(code)
    scoreboard_of(params, name)
    write_samples(workspace.params_of(name, params), name)
    print(
        f"metrics/{name} has the results. params.yaml, dvc.lock and the rest of metrics/ are as they were; data/ holds "
        "the suite, `dvc checkout` brings back what was there"
    )


def show_results(params: Params, name: str) -> None:
    """Copy what its stages beside training and scoring have written into metrics/SUITE."""
    made = workspace.params_of(name, params)
    written = {
        "closed_loop": made.simulate.datasets,
        "multimodal": made.multimodal.sets,
        "pretrain": made.pretrain.names,
        "transfer": made.transfer.datasets,
    }
    for folder, items in written.items():
        for item in items:
            for file in sorted((workspace.after(name) / "metrics" / folder).glob(f"{item}.*")):
                place = Path("metrics") / name / folder
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
