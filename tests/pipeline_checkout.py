"""A copy of this checkout with a small configuration, in which real DVC commands run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
SMALL: dict[str, Any] = {
    "run": {"datasets": {"digits": {"kind": "digits", "modality": "image"}}, "compare": ["pca", "lstm"]},
    "model": {"hidden_dim": 16, "liquid_units": 8, "backbone_units": 8, "spiking_units": 8, "num_layers": 1},
    "models": {
        "lstm": {"hidden_dim": 16, "num_layers": 1},
        "pca": {"components": [10]},
        "linear": {"strengths": [10.0]},
    },
    "train": {"num_epochs": 2, "min_batches": 4, "max_batches": 4, "workers": 1},  # one process loads torch
    "datasets": {
        "digits": {
            "options": {},
            "preprocess": {},
            # one small convolution: three large ones take nearly all of a small training's time
            "tokenize": {
                "anchor": "sample",
                "start": 0.0,
                "stop": 1.0,
                "scale": "global",
                "tokenizer_options": {
                    "conv_channels": [4],
                    "conv_kernel_sizes": [4],
                    "conv_strides": [4],
                    "conv_padding": [0],
                },
            },
        }
    },
    "evaluate": {"draws": 100},
}


@dataclass(frozen=True)
class Checkout:
    """A git repository with the pipeline; commands run in it with this test's Python."""

    root: Path

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command; on failure show what it printed."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(**environment), capture_output=True, text=True
        )
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            )
        return done

    def environment(self, **changes: str) -> dict[str, str]:
        """The environment of a user's shell: this Python first, no variables of a surrounding DVC run."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC", "NEUROFMX", "PYTHONPATH"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return kept | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull} | changes

    def set(self, **sections: dict[str, Any]) -> None:
        """Change values of params.yaml; `run`, `suites` and single models are replaced."""
        yaml, path = YAML(), self.root / "params.yaml"
        tree = yaml.load(path)
        for name, values in sections.items():
            if name == "suites":
                tree[name] = {}
            for key, value in values.items():
                tree[name][key] = value
        yaml.dump(tree, path)

    def forget_others(self) -> None:
        """Drop what the run does not name: nearly all of the file, which DVC reads many times a stage."""
        yaml, path = YAML(), self.root / "params.yaml"
        tree = yaml.load(path)
        tree["suites"] = {}
        tree["datasets"] = {name: block for name, block in tree["datasets"].items() if name in tree["run"]["datasets"]}
        yaml.dump(tree, path)

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "state")

    def ran(self, printed: str) -> list[str]:
        """Stages that DVC ran, by its output."""
        return [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]


def copy_of_checkout(root: Path) -> Checkout:
    """What git tracks or would track of this checkout, in a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    checkout = Checkout(root)
    checkout.run("git", "init", "-q")
    checkout.commit()
    return checkout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A small pipeline that `dvc repro` has built once: processes that share out the tests copy one building."""
    own = tmp_path_factory.mktemp("built")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return build(own)
    shared = tmp_path_factory.getbasetemp().parent / "built"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            with tempfile.TemporaryDirectory(dir=shared.parent) as part:
                build(Path(part) / "built").root.rename(shared)
    shutil.copytree(shared, own, dirs_exist_ok=True, symlinks=True)
    return Checkout(own)


def build(root: Path) -> Checkout:
    """Run the small pipeline in an empty folder."""
    checkout = copy_of_checkout(root)
    for stale in ("dvc.lock", "metrics"):
        path = checkout.root / stale
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    checkout.set(**SMALL)
    checkout.forget_others()
    checkout.commit()
    checkout.run("dvc", "repro")
    checkout.commit()
    return checkout
