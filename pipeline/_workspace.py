"""What a suite changes in the workspace and puts back: params.yaml, dvc.lock and metrics/.

A copy stands in data/suites/before while variants run, so that a call that was cut off is put right by the next one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import _stage  # noqa: F401  # this checkout's code comes first
from neurofmx.params import read_tree
from neurofmx.variants import variant_tree

BEFORE = Path("data/suites/before")
FILES = (Path("params.yaml"), Path("dvc.lock"))
METRICS = Path("metrics")


def keep(suites: Iterable[str]) -> None:
    """Copy what a suite changes, once; results of suites, which stand in metrics/SUITE, are none of it."""
    part = BEFORE.with_name("before.part")
    shutil.rmtree(part, ignore_errors=True)
    for path in (*(file for file in FILES if file.is_file()), *_metrics(suites)):
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, part / path)
    part.replace(BEFORE)


def put_back_params() -> None:
    """params.yaml as it was."""
    shutil.copy2(BEFORE / "params.yaml", "params.yaml")


def put_back(suites: Iterable[str]) -> None:
    """All of it as it was, then what DVC holds of it; the copy is gone afterwards."""
    for path in FILES:
        if (BEFORE / path).is_file():
            shutil.copy2(BEFORE / path, path)
        else:
            path.unlink(missing_ok=True)
    for path in _metrics(suites):
        if not (BEFORE / path).is_file():
            path.unlink()
    for file in [file for file in (BEFORE / METRICS).rglob("*") if file.is_file()]:
        path = file.relative_to(BEFORE)
        if not path.is_file() or path.read_bytes() != file.read_bytes():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, path)
    for folder in sorted((path for path in METRICS.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    shutil.rmtree(BEFORE)
    done = subprocess.run(
        ["dvc", "checkout", "--quiet", "--allow-missing"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"`dvc checkout` could not bring data/ back, `dvc repro` will: {done.stderr.strip()}")


def recover(suites: Iterable[str]) -> None:
    """Put back what a call that was cut off has left, whichever suite it ran.

    Args:
        suites: Names of all suites.

    Raises:
        ValueError: If params.yaml is neither as it was nor as one of the variants runs with it: it was edited since.
    """
    before = read_tree(BEFORE / "params.yaml")
    left = [before, *_variants(before)]
    now = json.dumps(read_tree(), sort_keys=True)
    if all(now != json.dumps(tree, sort_keys=True) for tree in left):
        raise ValueError(
            f"a suite was cut off and params.yaml was edited since: {BEFORE} holds it as it was, with dvc.lock and "
            f"metrics/. Copy back what you want of it, delete {BEFORE}, and run again"
        )
    print("a suite was cut off before: params.yaml, dvc.lock and metrics/ are put back first", flush=True)
    put_back(suites)


def _variants(before: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """What `dvc exp run` makes of params.yaml for each variant of each suite."""
    for suite, section in (before.get("suites") or {}).items():
        for variant in section.get("variants") or {}:
            yield variant_tree(before, suite, variant) | {"suites": before["suites"]}


def _metrics(suites: Iterable[str]) -> list[Path]:
    """Files of metrics/ that stages write."""
    own = {METRICS / suite for suite in suites}
    return [path for path in METRICS.rglob("*") if path.is_file() and not own & set(path.parents)]
