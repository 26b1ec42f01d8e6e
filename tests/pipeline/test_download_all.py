"""`make download` and `make suite` for real: in parallel, resumed, with one failure, and DVC does not fetch again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.datasets.server import Fault, Server

from pipeline_checkout import Checkout, copy_of_checkout

PARTS = "abc"
FILES = {part: np.random.default_rng(i).bytes(400_000) for i, part in enumerate(PARTS)}
SUMS = {part: hashlib.sha256(body).hexdigest() for part, body in FILES.items()}
KIND = """
from typing import ClassVar, Literal, final
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.task import Task

SUMS = {sums}

@final
class Toy(Dataset):
    name: ClassVar[str] = "toy"
    modalities: ClassVar[tuple[Modality, ...]] = ("eeg",)
    species: ClassVar[str] = "none"
    licence: ClassVar[str] = "CC0"
    citation: ClassVar[str] = "none"
    homepage: ClassVar[str] = "none"
    source: ClassVar[str] = "a test"
    part: Literal["a", "b", "c"]
    task = property(lambda self: Task("classification", "label", ("x", "y")))
    split = property(lambda self: Split("toy-v1", "groups", 2, "tail"))
    expected = property(lambda self: Expected("eeg", 1, 1, 1.0))

    def checksums(self):
        return {{f"{{self.part}}.bin": SUMS[self.part]}}

    def retrieve(self, names, *, folder, cache):
        raise ConnectionError(f"cannot download {{names[0]}}")

    def parse(self, folder, sources):
        return []
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with a kind `toy` of three datasets, one file each."""
    checkout = copy_of_checkout(tmp_path_factory.mktemp("toys"))
    package = checkout.root / "src/neurofmx/datasets"
    (package / "toy.py").write_text(KIND.format(sums=SUMS))
    table = package / "__init__.py"
    table.write_text(
        table.read_text()
        .replace(
            "from neurofmx.datasets.simulated",
            "from neurofmx.datasets.toy import Toy\nfrom neurofmx.datasets.simulated",
        )
        .replace("    Simulated,\n", "    Simulated,\n    Toy,\n")
    )
    path = checkout.root / "params.yaml"
    tree = YAML(typ="safe").load(path)
    window = {"anchor": "trial", "start": 0, "stop": 1}
    item = {"kind": "toy", "modality": "eeg"}
    for part in PARTS:
        tree["datasets"][f"toy_{part}"] = {"options": {"part": part}, "preprocess": {}, "tokenize": window}
    tree["run"] = {"datasets": {"toy_a": item, "toy_b": item}, "compare": ["pca"]}
    tree["suites"] = {"small": {"datasets": {"toy_b": item, "toy_c": item}, "compare": ["lstm"], "seeds": [1, 2]}}
    tree["suites"]["small"]["common"] = {"train.num_epochs": 3}
    tree["suites"]["taught"] = {"datasets": {"toy_b": item}, "compare": [], "seeds": [1]}
    tree["suites"]["taught"]["common"] = {f"pretrain.datasets.toy_c.{key}": value for key, value in item.items()}
    tree["suites"]["taught"]["common"]["pretrain.names.c.datasets"] = ["toy_c"]
    YAML().dump(tree, path)
    (checkout.root / "dvc.lock").unlink(missing_ok=True)
    (checkout.root / ".venv/bin").mkdir(parents=True)
    (checkout.root / ".venv/.complete").touch()  # `make` takes the environment for made
    checkout.commit()
    return checkout


@pytest.fixture
def toys(template: Checkout) -> Iterator[Checkout]:
    """The checkout with nothing fetched."""
    yield template
    template.run("git", "checkout", "-q", ".")
    template.run("git", "clean", "-qfdx", "-e", ".venv", "-e", ".dvc")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.files = {f"/toy/{part}.bin": body for part, body in FILES.items()}
        yield running


def asked(server: Server) -> list[str]:
    return sorted(answer.path for answer in server.answers)


def manifest(checkout: Checkout) -> list[dict[str, str]]:
    return json.loads((checkout.root / "data/raw/MANIFEST.json").read_text())


def wait_for(condition: Callable[[], object], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)


def test_all_at_once(toys: Checkout, server: Server) -> None:
    """One failure leaves the others done, a second call fetches what is missing, and DVC nothing."""
    server.faults["/toy/a.bin"] = [Fault(status=403)]
    done = toys.run("make", "download", "SUITE=small", check=False, NEUROFMX_MIRROR=server.url)
    assert done.returncode != 0
    assert "1 of 3 datasets could not be fetched, the others are done" in done.stderr
    assert re.search(r"toy_a: ConnectionError: .*/toy/a.bin: the server refuses \(status 403\)", done.stderr)
    assert re.search(r"toy_b: 1 files, 400kB", done.stdout), done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert asked(server) == ["/toy/a.bin", "/toy/b.bin", "/toy/c.bin"]
    early = manifest(toys)
    assert [row["dataset"] for row in early] == ["toy_b", "toy_c"]

    server.answers.clear()
    (toys.root / ".downloads/ready/toy_c/c.bin").write_bytes(FILES["c"][:-1])  # damaged since
    (toys.root / ".downloads" / SUMS["c"]).unlink()
    again = toys.run("make", "download", "SUITE=small", NEUROFMX_MIRROR=server.url)
    assert asked(server) == ["/toy/a.bin", "/toy/c.bin"]
    assert "toy_b: there already" in again.stdout
    rows = manifest(toys)
    facts = [(row["dataset"], row["file"], row["bytes"], row["sha256"], row["licence"], row["source"]) for row in rows]
    assert facts == [(f"toy_{p}", f"{p}.bin", 400_000, SUMS[p], "CC0", "a test") for p in PARTS]
    assert rows[1:] == early, "files keep the time they came"

    for name in SUMS.values():
        (toys.root / ".downloads" / name).unlink(missing_ok=True)
    server.answers.clear()
    toys.set(run={"datasets": {f"toy_{p}": {"kind": "toy", "modality": "eeg"} for p in PARTS}})  # as the suite does
    toys.run("dvc", "repro", "-s", "download@toy_a", "download@toy_c", NEUROFMX_MIRROR=server.url)
    assert [(toys.root / f"data/raw/toy_{p}/{p}.bin").read_bytes() == FILES[p] for p in "ac"] == [True, True]
    assert not server.answers, "DVC takes what is there"


def test_datasets_come_at_the_same_time(toys: Checkout, server: Server) -> None:
    """Each answer lasts 3 s, far longer than a process takes to begin later than another."""
    server.faults = {f"/toy/{part}.bin": [Fault(pause=0.5)] for part in "ab"}
    toys.run("python", "pipeline/download_all.py", NEUROFMX_MIRROR=server.url)
    first, second = sorted(server.answers, key=lambda answer: answer.begun)
    assert second.begun - first.begun < 2


def test_what_a_suite_is_pretrained_on_is_fetched_and_taken(toys: Checkout, server: Server) -> None:
    toys.run("make", "download", "SUITE=taught", NEUROFMX_MIRROR=server.url)
    assert asked(server) == ["/toy/a.bin", "/toy/b.bin", "/toy/c.bin"]
    (toys.root / ".downloads" / SUMS["c"]).unlink(missing_ok=True)
    server.answers.clear()
    toys.set(pretrain={"names": {"c": {}}, "datasets": {"toy_c": {"kind": "toy", "modality": "eeg"}}})
    done = toys.run("python", "pipeline/pretrain_tokens.py", "toy_c", check=False, NEUROFMX_MIRROR=server.url)
    assert done.stderr == "ValueError: toy: no recording in .downloads/ready/toy_c; its options choose none\n"
    assert not server.answers


def test_a_killed_call_is_gone_on_with(toys: Checkout, server: Server) -> None:
    server.faults["/toy/a.bin"] = [Fault(pause=0.5)]
    toys.set(run={"datasets": {"toy_a": {"kind": "toy", "modality": "eeg"}}})
    process = subprocess.Popen(
        ["python", "pipeline/download_all.py"],
        cwd=toys.root,
        env=toys.environment(NEUROFMX_MIRROR=server.url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    part = toys.root / ".downloads" / f"{SUMS['a']}.part"
    wait_for(lambda: part.is_file() and part.stat().st_size > 100_000)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    assert 100_000 < have < 400_000
    assert not (toys.root / ".downloads/ready/toy_a/MANIFEST.json").exists()
    server.answers.clear()
    toys.run("python", "pipeline/download_all.py", NEUROFMX_MIRROR=server.url)
    first = next(answer for answer in server.answers if answer.path == "/toy/a.bin")
    assert first.range == f"bytes={have}-"
    assert first.sent == 400_000 - have
    assert (toys.root / ".downloads/ready/toy_a/a.bin").read_bytes() == FILES["a"]


def test_a_suite_is_one_command_that_dvc_understands(toys: Checkout) -> None:
    from dvc.utils.hydra import apply_overrides

    shown = toys.run("make", "-s", "suite", "SUITE=small", "DRY=1").stdout.strip()
    assert shown == (
        "dvc exp run --keep-going -m 'suite small' -S '+run.datasets.toy_c={kind: toy, modality: eeg}' "
        "-S 'run.compare=[lstm]' -S 'evaluate.seeds=[1,2]' -S ++train.num_epochs=3"
    )
    words = shlex.split(shown)
    apply_overrides(toys.root / "params.yaml", [after for word, after in pairwise(words) if word == "-S"])
    tree = YAML(typ="safe").load(toys.root / "params.yaml")
    assert list(tree["run"]["datasets"]) == ["toy_a", "toy_b", "toy_c"]
    assert (tree["run"]["compare"], tree["evaluate"]["seeds"]) == (["lstm"], [1, 2])
    assert tree["train"]["num_epochs"] == 3
    done = toys.run("make", "-s", "suite", "SUITE=smal", "DRY=1", check=False)
    assert done.returncode != 0
    assert "unknown suite in params.yaml 'smal'; did you mean 'small'" in done.stderr


def test_a_suite_is_run(built: Checkout) -> None:
    digits = {"digits": {"kind": "digits", "modality": "image"}}
    suite = {"small": {"datasets": digits, "compare": ["lstm", "pca"], "seeds": [42]}}
    path = built.root / "params.yaml"
    tree = YAML(typ="safe").load(path)
    YAML().dump(tree | {"suites": suite}, path)
    given = path.read_bytes()
    try:
        done = built.run("python", "pipeline/suite.py", "small")
        assert built.ran(done.stdout) == ["check", "compare"], "nothing but the order of the models is new"
        assert "suite small" in built.run("git", "log", "--all", "-1", "--format=%s").stdout
        assert path.read_bytes() == given
        results = [f"?? metrics/small/comparison.{ending}" for ending in ("json", "md", "png")]
        status = built.run("git", "status", "--short", "-uall").stdout.splitlines()
        assert status == [" M params.yaml", *results], "params.yaml as the test has made it"
        table = re.sub(" +", " ", (built.root / "metrics/small/comparison.md").read_text())
        assert table.startswith("| dataset | modality | metric | chance | reference | linear | lstm | pca | model |")
        assert "| digits | image | accuracy |" in table
        assert "haxby" not in table, "the table is of the suite's datasets alone"
        shutil.rmtree(built.root / "metrics/small")
        built.run("python", "pipeline/suite.py", "small", "--table")
        assert re.sub(" +", " ", (built.root / "metrics/small/comparison.md").read_text()) == table
    finally:
        built.run("git", "checkout", "-q", ".")
        built.run("git", "clean", "-qfd", "metrics")
        shutil.rmtree(built.root / "data/suites", ignore_errors=True)
        built.run("dvc", "checkout", "-q")
