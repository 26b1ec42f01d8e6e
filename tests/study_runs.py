"""Runs of a study with answers drawn at random, for its tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurofmx.recordings.task import Task
from neurofmx.study.entry import Entry, Truth

SIDES = Task("classification", "side", ("left", "right"))
PLACE = Task("regression", "place", ("x", "y"))


def truth_of(task: Task = SIDES, *, n: int = 90, seed: int = 7) -> Truth:
    """Truth in 12 blocks; chance always answers the same."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n) if task is SIDES else rng.normal(size=(n, 2))
    return Truth(y, rng.integers(0, 12, n), task, np.tile([0.1, 0.0] if task is SIDES else [0.0, 0.0], (n, 1)))


def answers(truth: Truth, noise: float, *, seeds: int = 2, seed: int = 0) -> np.ndarray:
    """The truth with noise, `(seeds, n, 2)`."""
    exact = np.eye(2)[truth.y] if truth.task is SIDES else truth.y
    return exact + noise * np.random.default_rng(seed).normal(size=(seeds, *exact.shape))


def entry(name: str, truth: Truth, noise: float = 0.8, **changes: Any) -> Entry:
    """A run whose trainings took 10 to 13 s and 5 MiB; the harder the condition, the more noise."""
    seed = sum(map(ord, name))
    facts: dict[str, Any] = {
        "name": name,
        "variant": True,
        "dataset": "digits",
        "domain": "vision",
        "report": report(truth),
        "outputs": answers(truth, noise, seed=seed),
        "harmed": {f"noise_{level}": answers(truth, noise * (1 + level), seed=seed + level) for level in (1, 2)},
        "jobs": jobs(),
        "truth": truth,
    }
    return Entry(**facts | changes)


def jobs() -> tuple[dict[str, Any], ...]:
    """Four trainings of six epochs of ten steps, of 100 ms and more each."""
    return tuple(
        {"fold": k // 2, "seed": k % 2, "seconds": 10.0 + k, "training_seconds": 6.0 + k, "epochs": 6, "steps": 60}
        | {"step_mib": 5.0}
        for k in range(4)
    )


def report(truth: Truth, *, parameters: int = 1000, silenced: str = "spiking neurons of each block") -> dict[str, Any]:
    """What a study reads of a report."""
    return {
        "headline": truth.task.headline,
        "score": 0.8,
        "interval": {"low": 0.7, "high": 0.9},
        "parameters": parameters,
        "weight_bytes": 4 * parameters,
        "validation_loss": 0.5,
        "train_seconds": 11.5,
        "peak_memory_mib": 500.0,
        "seeds": [1, 2],
        "linear": 0.6,
        "chance": {truth.task.headline: 0.5},
        "robustness": {"silenced": silenced},
    }
