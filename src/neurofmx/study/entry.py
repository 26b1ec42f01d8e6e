"""One run of a study: what a variant, or a model to compare with, answered on one dataset and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurofmx.recordings.hdf5 import read_trees, write_trees
from neurofmx.recordings.task import Task


class Truth(NamedTuple):
    """What answers are scored against.

    Args:
        y: Truth of the tested windows, `n` long.
        block: Exchangeable stretch of each `(n,)`.
        task: What was asked.
        chance: Answers of chance `(n, width)`.
    """

    y: np.ndarray
    block: np.ndarray
    task: Task
    chance: np.ndarray


@dataclass(frozen=True, eq=False)
class Entry:
    """One row of a study on one dataset.

    Args:
        name: Variant, or model to compare with.
        variant: Whether it is a variant of the model under study.
        dataset: Name of the dataset.
        domain: What it is about, such as `brain`.
        report: The report of its scores.
        outputs: Answers `(seeds, n, width)`.
        harmed: Answers under noise or with silent neurons, by condition, same shape.
        jobs: What training each fold with each seed took: `fold`, `seed`, `seconds` in all, `training_seconds` without
            validation, `epochs`, `steps`, and `step_mib`, the memory of a step.
        truth: What the answers are scored against.
        inference: What answering took, by `fold` and `seed`: `ms` a window, and `float32_ms` of the same weights in
            float32.
    """

    name: str
    variant: bool
    dataset: str
    domain: str
    report: Mapping[str, Any]
    outputs: np.ndarray
    harmed: Mapping[str, np.ndarray]
    jobs: tuple[Mapping[str, Any], ...]
    truth: Truth
    inference: tuple[Mapping[str, Any], ...] = ()


def save_truth(path: Path, truth: Truth) -> None:
    """Write it as one HDF5 file."""
    task = {name: value for name, value in vars(truth.task).items() if value is not None}
    write_trees(
        path,
        [
            {
                "y": truth.y,
                "block": truth.block,
                "chance": truth.chance,
                "task": task | {"names": np.array(truth.task.names)},
            }
        ],
    )


def load_truth(path: Path) -> Truth:
    """Read what `save_truth` wrote; raises FileNotFoundError or ValueError where that cannot be."""
    (tree,) = read_trees(path)
    task = tree["task"]
    asked = Task(**task | {"names": tuple(task["names"].tolist())})
    return Truth(tree["y"], tree["block"], asked, tree["chance"])
