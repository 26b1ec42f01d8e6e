"""What a script of pipeline/ says when it fails: a sentence that a user can act on, or where the code is at fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def said(*arguments: str, path: str = "pipeline") -> str:
    """The standard error of a script that fails, run in the root."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--only", "digts"],
            "ValueError: unknown dataset (run.datasets and pretrain.datasets; --suite adds a suite's) 'digts'; did you "
            "mean 'digits'? known: digits, haxby2001, peyrache_a2929\n",
        ),
        (["--suite", "memory_v1", "--only", "nonsense"], "with suite memory_v1) 'nonsense'; known: associative_recall"),
        (["--jobs", "0"], "ValueError: --jobs 0: must be 1 or more, the datasets that are fetched at a time\n"),
    ],
)
def test_a_wrong_option_of_the_download_says_what_is_allowed(arguments: list[str], message: str) -> None:
    assert message in said("pipeline/download_all.py", *arguments)


@pytest.mark.parametrize(
    ("error", "traced"),
    [("ValueError('name a set')", False), ("RuntimeError('no memory')", False), ("KeyError('loss')", True)],
)
def test_a_fault_of_the_code_is_shown_with_its_place(error: str, traced: bool, tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(f"from _stage import run\ndef main(params):\n    raise {error}\nrun(main)\n")
    shown = said(str(script))
    kind, _, text = error.rstrip(")").partition("(")
    assert shown.splitlines()[-1] == f"{kind}: {text if traced else text.strip(chr(39))}"
    assert ("Traceback" in shown) == traced == (f"line 3, in main\n    raise {error}" in shown)
    assert "Traceback" in said(str(script), "--debug")
