"""A suite without variants: one experiment. What it made is kept, and shown in metrics/SUITE.

params.yaml, dvc.lock and metrics/ are put back at the end, so that no suite reads what another one has set. data/ is
left as the suite made it: checkpoints and scores stay readable until something else runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import _workspace as workspace
from _board import scoreboard_of
from _samples import write_samples
from _stage import Params
from neurofmx.params import read_tree


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
    show_results(name)
    if code:
        sys.exit(code)
    scoreboard_of(params, name)
    write_samples(workspace.params_of(name, params), name)
    print(
        f"metrics/{name} has the results. params.yaml, dvc.lock and the rest of metrics/ are as they were; data/ holds "
        "the suite, `dvc checkout` brings back what was there"
    )


def show_results(name: str) -> None:
    """Copy what its stages beside training and scoring have written into metrics/SUITE, those that a section names."""
    made, tree = workspace.after(name), read_tree(workspace.after(name) / "params.json")
    for written in written_by(YAML(typ="safe").load(Path("dvc.yaml"))["stages"], tree):
        if (made / written).is_file():
            place = Path("metrics") / name / written.relative_to("metrics")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(made / written, place)


def written_by(stages: Mapping[str, Any], tree: Mapping[str, Any]) -> Iterator[Path]:
    """Files in metrics/ of the stages that another section than `run` names, such as one for each of multimodal.sets.

    Args:
        stages: Section `stages` of dvc.yaml.
        tree: params.yaml.
    """
    for stage in stages.values():
        section, _, key = stage.get("foreach", "").removeprefix("${").removesuffix("}").partition(".")
        body = stage.get("do", {})
        outs = [*body.get("metrics", ()), *body.get("plots", ()), *body.get("outs", ())]
        paths = [next(iter(out)) if isinstance(out, Mapping) else out for out in outs]
        for item in tree[section][key] if section not in ("", "run") else ():
            named = (path.replace("${key}", item).replace("${item}", item) for path in paths)
            yield from (Path(path) for path in named if path.startswith("metrics/"))
