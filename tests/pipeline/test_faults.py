"""Stages killed, data missing, two at once: a clear error or a clean resume, and nothing half-written trusted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_checkout import Checkout

LONG = {
    "num_epochs": 12,
    "patience": 12,
    "workers": 2,
    "min_batches": 20,
    "max_batches": 20,
}  # long enough to be killed


@pytest.fixture
def sandbox(built: Checkout, tmp_path: Path) -> Checkout:
    """The built pipeline's code and tokens, to be harmed."""
    import shutil

    for name in ("pipeline", "src", "data/tokens", "data/clean", "data/raw"):
        shutil.copytree(built.root / name, tmp_path / name)
    shutil.copy(built.root / "params.yaml", tmp_path)
    checkout = Checkout(tmp_path)
    checkout.set(train=LONG)
    return checkout


def start(checkout: Checkout, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["python", *arguments],
        cwd=checkout.root,
        env=checkout.environment(**environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


def alive(session: int) -> list[str]:
    """Processes of a session that still run."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if " Z" not in line]


def checkpoints(checkout: Checkout) -> dict[str, bytes]:
    folder = checkout.root / "data/checkpoints/digits/lstm"
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.name != "cost.json"}


def test_a_killed_training_resumes_to_the_same_bytes(sandbox: Checkout) -> None:
    sandbox.run("python", "pipeline/04_train.py", "digits", "lstm")
    whole = checkpoints(sandbox)
    assert len(whole) == 12, "best and last weights of five folds, the curve and the settings"
    assert not list((sandbox.root / ".resume").glob("*/fold*")), "what is kept is forgotten at the end"

    process = start(sandbox, "pipeline/04_train.py", "digits", "lstm")
    wait_for(lambda: list((sandbox.root / ".resume").glob("*/fold*/state.safetensors")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not checkpoints(sandbox), "a cut-off training leaves no checkpoint to trust"
    wait_for(lambda: not alive(process.pid), seconds=20)

    sandbox.run("python", "pipeline/04_train.py", "digits", "lstm")
    assert checkpoints(sandbox) == whole


def test_another_setting_does_not_resume_from_the_first(sandbox: Checkout) -> None:
    process = start(sandbox, "pipeline/04_train.py", "digits", "lstm")
    wait_for(lambda: list((sandbox.root / ".resume").glob("*/fold*/state.safetensors")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    sandbox.set(train={"learning_rate": 0.01, "num_epochs": 2})
    sandbox.run("python", "pipeline/04_train.py", "digits", "lstm")
    kept = list((sandbox.root / ".resume").glob("*/fold*/state.safetensors"))
    assert kept, "the first training can still be resumed"


def test_a_second_trainer_is_refused_while_the_first_works(sandbox: Checkout) -> None:
    process = start(sandbox, "pipeline/04_train.py", "digits", "lstm")
    try:
        wait_for(lambda: list((sandbox.root / ".resume").glob("*.lock")))
        second = sandbox.run("python", "pipeline/04_train.py", "digits", "lstm", check=False)
        assert second.returncode == 1
        assert f"process {process.pid} is at work" in second.stderr
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    "moment",
    ["os.fsync = lambda file: (os.ftruncate(file, 1000), end())", "os.replace = lambda *paths: end()"],
    ids=["half written", "whole but not in its place"],
)
def test_a_killed_tokenize_leaves_nothing_to_trust(sandbox: Checkout, moment: str) -> None:
    target = sandbox.root / "data/tokens/digits.h5"
    whole = target.read_bytes()
    target.unlink()
    killed = (
        "import os, runpy, signal, sys; end = lambda: os.kill(os.getpid(), signal.SIGKILL); "
        f"{moment}; sys.path.insert(0, 'pipeline'); sys.argv = ['tokenize', 'digits']; "
        "runpy.run_path('pipeline/03_tokenize.py', run_name='__main__')"
    )
    done = sandbox.run("python", "-c", killed, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(target.parent.glob(".digits.h5.*.part"))
    assert not target.exists()
    sandbox.run("python", "pipeline/03_tokenize.py", "digits")
    assert target.read_bytes() == whole


@pytest.mark.parametrize(
    ("stage", "missing", "message"),
    [
        ("02_preprocess.py", "data/raw/digits", "data/raw/digits"),
        ("03_tokenize.py", "data/clean/digits/recordings.h5", "data/clean/digits/recordings.h5"),
        ("04_train.py", "data/tokens/digits.h5", "dvc repro tokenize@digits"),
        ("05_evaluate.py", "data/checkpoints/digits/lstm", "train first"),
    ],
)
def test_what_is_missing_is_named(sandbox: Checkout, stage: str, missing: str, message: str) -> None:
    import shutil

    path = sandbox.root / missing
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    model = [] if stage < "04" else ["lstm"]
    done = sandbox.run("python", f"pipeline/{stage}", "digits", *model, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_truncated_file_is_not_trusted(sandbox: Checkout) -> None:
    path = sandbox.root / "data/tokens/digits.h5"
    path.write_bytes(path.read_bytes()[:-5000])
    done = sandbox.run("python", "pipeline/04_train.py", "digits", "linear", check=False)
    assert done.returncode == 1
    assert "truncated" in done.stderr


def test_an_unknown_dataset_and_model_are_named(sandbox: Checkout) -> None:
    done = sandbox.run("python", "pipeline/01_download.py", "digts", check=False)
    assert "did you mean 'digits'" in done.stderr
    done = sandbox.run("python", "pipeline/04_train.py", "digits", "lstmm", check=False)
    assert "did you mean 'lstm'" in done.stderr


def test_every_stage_explains_itself(sandbox: Checkout) -> None:
    asked = (
        "import contextlib, runpy, sys\n"
        "for path in sys.argv[1:]:\n"
        "    sys.argv = [path, '--help']\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        runpy.run_path(path, run_name='__main__')\n"
    )
    stages = sorted(path.relative_to(sandbox.root).as_posix() for path in sandbox.root.glob("pipeline/0*.py"))
    shown = sandbox.run("python", "-c", asked, *stages, PYTHONPATH="pipeline").stdout.split("usage: ")[1:]
    assert [each.partition(" ")[0] for each in shown] == [Path(stage).name for stage in stages]
    assert all(len(each.splitlines()) > 4 for each in shown)
