"""`make download` and `make suite` for real: in parallel, resumed, with one failure, and DVC does not fetch again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.datasets.server import Fault, Server

from pipeline_checkout import Checkout, copy_of_checkout

PARTS = "abc"
FILES = {part: np.random.default_rng(i).bytes(400_000) for i, part in enumerate(PARTS)}
KIND = """
from typing import ClassVar, Literal, final
from neurofmx.datasets.base import Dataset, Expected, Modality, Split
from neurofmx.task import Task

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
    sums = {part: hashlib.sha256(body).hexdigest() for part, body in FILES.items()}
    (package / "toy.py").write_text(KIND.format(sums=sums))
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


def wait_for(condition: Callable[[], object], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)


def test_all_is_fetched_once_and_dvc_takes_it_from_there(toys: Checkout, server: Server) -> None:
    done = toys.run("make", "download", "SUITE=small", NEUROFMX_MIRROR=server.url)
    assert asked(server) == ["/toy/a.bin", "/toy/b.bin", "/toy/c.bin"]
    assert re.search(r"toy_a: 1 files, 400kB", done.stdout), done.stdout
    rows = json.loads((toys.root / "data/raw/MANIFEST.json").read_text())
    assert [(row["dataset"], row["file"], row["bytes"]) for row in rows] == [
        (f"toy_{part}", f"{part}.bin", 400_000) for part in PARTS
    ]
    for row, part in zip(rows, PARTS, strict=True):
        assert row["sha256"] == hashlib.sha256(FILES[part]).hexdigest()
        assert (row["licence"], row["source"]) == ("CC0", "a test")
        assert row["when"].startswith("20")

    toys.run("dvc", "repro", "-s", "download@toy_a", "download@toy_b", NEUROFMX_MIRROR=server.url)
    assert (toys.root / "data/raw/toy_a/a.bin").read_bytes() == FILES["a"]
    assert not toys.run("dvc", "status", "download@toy_a", "--json").stdout.strip(" {}\n")
    again = toys.run("make", "download", "SUITE=small", NEUROFMX_MIRROR=server.url)
    assert len(re.findall("there already", again.stdout)) == 3
    assert len(server.answers) == 3, "what is there is not asked for again"
    assert json.loads((toys.root / "data/raw/MANIFEST.json").read_text()) == rows, "files keep the time they came"


def test_a_suite_s_data_need_no_second_fetch_and_no_cache(toys: Checkout, server: Server) -> None:
    """Fetched under other options of `run`, as `dvc exp run` will have them."""
    toys.run("make", "download", "SUITE=small", NEUROFMX_MIRROR=server.url)
    for left in (toys.root / ".downloads").glob("*"):
        left.unlink() if left.is_file() else None
    toys.set(run={"datasets": {"toy_c": {"kind": "toy", "modality": "eeg"}}})
    toys.run("dvc", "repro", "-s", "download@toy_c", NEUROFMX_MIRROR=server.url)
    assert (toys.root / "data/raw/toy_c/c.bin").read_bytes() == FILES["c"]
    assert len(server.answers) == 3


def test_one_failure_leaves_the_others_done(toys: Checkout, server: Server) -> None:
    server.faults["/toy/a.bin"] = [Fault(status=403)]
    done = toys.run("make", "download", check=False, NEUROFMX_MIRROR=server.url)
    assert done.returncode != 0
    assert "1 of 2 datasets could not be fetched, the others are done" in done.stderr
    assert re.search(r"toy_a: ConnectionError: .*/toy/a.bin: the server refuses \(status 403\)", done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert [row["dataset"] for row in json.loads((toys.root / "data/raw/MANIFEST.json").read_text())] == ["toy_b"]
    server.answers.clear()
    toys.run("make", "download", NEUROFMX_MIRROR=server.url)
    assert asked(server) == ["/toy/a.bin"], "the second call fetches what is missing"


def test_a_killed_call_is_gone_on_with(toys: Checkout, server: Server) -> None:
    server.faults["/toy/a.bin"] = [Fault(pause=0.5)]
    process = subprocess.Popen(
        ["python", "pipeline/download_all.py"],
        cwd=toys.root,
        env=toys.environment(NEUROFMX_MIRROR=server.url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    part = toys.root / ".downloads" / f"{hashlib.sha256(FILES['a']).hexdigest()}.part"
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


def test_a_damaged_file_is_fetched_again(toys: Checkout, server: Server) -> None:
    toys.run("python", "pipeline/download_all.py", NEUROFMX_MIRROR=server.url)
    ready = toys.root / ".downloads/ready/toy_a/a.bin"
    ready.write_bytes(FILES["a"][:-1])
    (toys.root / ".downloads" / hashlib.sha256(FILES["a"]).hexdigest()).unlink()
    done = toys.run("python", "pipeline/download_all.py", NEUROFMX_MIRROR=server.url)
    assert "toy_b: there already" in done.stdout
    assert ready.read_bytes() == FILES["a"]
    assert asked(server) == ["/toy/a.bin", "/toy/a.bin", "/toy/b.bin"]


def test_a_suite_is_one_command_that_dvc_understands(toys: Checkout) -> None:
    shown = toys.run("make", "-s", "suite", "SUITE=small", "DRY=1").stdout.strip()
    assert shown == (
        "dvc exp run -m 'suite small' -S '+run.datasets.toy_c={kind: toy, modality: eeg}' "
        "-S 'run.compare=[lstm]' -S 'evaluate.seeds=[1,2]'"
    )
    done = toys.run("bash", "-c", f"{shown} --dry")
    for stage in ("train@toy_a", "train@toy_c", "compare_train@toy_c-lstm"):
        assert f"'{stage}'" in done.stdout, done.stdout


def test_an_unknown_suite_is_named(toys: Checkout) -> None:
    done = toys.run("make", "-s", "suite", "SUITE=smal", "DRY=1", check=False)
    assert done.returncode != 0
    assert "unknown suite in params.yaml 'smal'; did you mean 'small'" in done.stderr
    done = toys.run("make", "-s", "suite", check=False)
    assert "make suite SUITE=core_v1" in done.stderr
