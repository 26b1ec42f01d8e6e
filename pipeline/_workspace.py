"""What a suite changes in the workspace and puts back: params.yaml, dvc.lock and metrics/.

A copy stands in data/suites/before while a suite runs, so that a call that was cut off is put right by the next one.
What a suite without variants has made of them stands in data/suites/SUITE/after, with the params it ran with: its next
call goes on there, and what reads it afterwards needs nothing of the workspace but data/.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _stage import Params, write_json
from neurofmx.params import load_params, read_tree
from neurofmx.variants import variant_tree

BEFORE = Path("data/suites/before")
FILES = (Path("params.yaml"), Path("dvc.lock"))
METRICS = Path("metrics")


def after(suite: str) -> Path:
    """Folder of what a suite without variants has made."""
    return BEFORE.with_name(suite) / "after"


def params_of(suite: str, params: Params) -> Params:
    """The params that a suite without variants ran with, for what reads its tokens, checkpoints and scores.

    Args:
        suite: Its name.
        params: Those of params.yaml. They are returned where the suite has not run, and within a stage, which belongs
            to the run that params.yaml names.

    Raises:
        ValueError: With the nearest name if there is no such suite.
    """
    params.suite(suite)
    path = after(suite) / "params.json"
    return load_params(path) if path.is_file() and "DVC_STAGE" not in os.environ else params


def keep(suites: Iterable[str]) -> None:
    """Copy what a suite changes, once; results of suites, which stand in metrics/SUITE, are none of it."""
    _copied(BEFORE, suites).replace(BEFORE)


def leave(suite: str, suites: Iterable[str]) -> None:
    """Copy what a suite without variants has made of it so far, while the copy of before is there."""
    before = read_tree(BEFORE / "params.yaml")
    part = _copied(after(suite), suites)
    write_json(part / "params.json", _as_run(before, suite, None, read_tree()))
    if after(suite).is_dir():
        _drop(after(suite))
    part.replace(after(suite))


def lay_out(suite: str, suites: Iterable[str]) -> None:
    """dvc.lock and metrics/ as the last call of a suite without variants left them, if there was one."""
    if after(suite).is_dir():
        _bring(after(suite), FILES[1:], suites)


def put_back_params() -> None:
    """params.yaml as it was."""
    shutil.copy2(BEFORE / "params.yaml", "params.yaml")


def put_back_files(suites: Iterable[str]) -> None:
    """All of it as it was, and data/ left alone; the copy is gone afterwards."""
    _bring(BEFORE, FILES, suites)
    _drop(BEFORE)


def put_back(suites: Iterable[str]) -> None:
    """All of it as it was, then what DVC holds of it; the copy is gone afterwards."""
    put_back_files(suites)
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
        ValueError: If params.yaml is neither as it was nor as one of the suites or their variants runs with it: it was
            edited since.
    """
    before, now = read_tree(BEFORE / "params.yaml"), read_tree()
    untouched = _same(now, before)
    ran = next((run for run, tree in _runs(before, now) if _same(now, tree)), None)
    if not untouched and ran is None:
        raise ValueError(
            f"a suite was cut off and params.yaml was edited since: {BEFORE} holds it as it was, with dvc.lock and "
            f"metrics/. Copy back what you want of it, delete {BEFORE}, and run again"
        )
    print("a suite was cut off before: params.yaml, dvc.lock and metrics/ are put back first", flush=True)
    _unstage()
    if untouched or ran is None or ran[1] is not None:
        return put_back(suites)
    leave(ran[0], suites)
    return put_back_files(suites)


def _unstage() -> None:
    """Take what an experiment that was killed had added out of git's index: DVC starts none beside that."""
    paths = [str(path) for path in (*FILES, METRICS)]
    subprocess.run(["git", "reset", "--quiet", "--", *paths], capture_output=True, check=False)


def _runs(before: dict[str, Any], now: dict[str, Any]) -> Iterable[tuple[tuple[str, str | None], dict[str, Any]]]:
    """Every suite with each of its variants, or none, and what `dvc exp run` makes of params.yaml for it."""
    for suite, section in (before.get("suites") or {}).items():
        for variant in section.get("variants") or (None,):
            yield (suite, variant), _as_run(before, suite, variant, now)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two trees hold the same, lists and tuples alike."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _as_run(before: dict[str, Any], suite: str, variant: str | None, now: dict[str, Any]) -> dict[str, Any]:
    """params.yaml of a suite, or of a variant, with the models named beside its own (`suite.py --also`)."""
    tree = variant_tree(before, suite, variant) | {"suites": before["suites"]}
    own, there = list(tree["run"]["compare"]), list(now["run"]["compare"])
    if variant is None and there[: len(own)] == own:
        tree["run"] = {**tree["run"], "compare": there}
    return tree


def _copied(folder: Path, suites: Iterable[str]) -> Path:
    """Copy of the workspace's files beside a folder, which it is to become."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for path in (*(file for file in FILES if file.is_file()), *_metrics(suites)):
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, part / path)
    return part


def _drop(folder: Path) -> None:
    """Delete a copy: at once by its name, so that no call that is cut off leaves half of it to be brought back."""
    gone = folder.with_name(f"{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone)


def _bring(folder: Path, files: Iterable[Path], suites: Iterable[str]) -> None:
    """Make files and metrics/ what a copy holds of them."""
    for path in files:
        if (folder / path).is_file():
            shutil.copy2(folder / path, path)
        else:
            path.unlink(missing_ok=True)
    for path in _metrics(suites):
        if not (folder / path).is_file():
            path.unlink()
    for file in [file for file in (folder / METRICS).rglob("*") if file.is_file()]:
        path = file.relative_to(folder)
        if not path.is_file() or path.read_bytes() != file.read_bytes():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, path)
    for empty in sorted((path for path in METRICS.rglob("*") if path.is_dir()), reverse=True):
        if not any(empty.iterdir()):
            empty.rmdir()


def _metrics(suites: Iterable[str]) -> list[Path]:
    """Files of metrics/ that stages write."""
    own = {METRICS / suite for suite in suites}
    return [path for path in METRICS.rglob("*") if path.is_file() and not own & set(path.parents)]
