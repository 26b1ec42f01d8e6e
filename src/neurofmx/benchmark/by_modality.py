"""Means of the reconstruction over the datasets of each modality, of every model with what stands beside it.

A mean over other datasets could not be held against another model's, so they are those that all ranked models answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurofmx.benchmark.across import GATE, shares
from neurofmx.benchmark.entry import BESIDE

METRICS = ("mse", "mae", "r2", "pearson")  # of hidden channels, those that have a mean


def by_modality(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean numbers of the reconstruction by modality.

    Args:
        results: Lines of all models and datasets.

    Returns:
        By modality: `datasets`, how many; `models`, of each one its `metrics` and those `beside` it, by name.
    """
    table = shares(results, "reconstruction")
    names = [name for name in table["scores"] if name != GATE]
    lines = {(line["model"], line["dataset"]): line["parts"]["reconstruction"] for line in results}
    kinds = {line["dataset"]: line["modality"] for line in results if line["dataset"] in table["datasets"]}
    made: dict[str, Any] = {}
    for kind in sorted(set(kinds.values())):
        inside = [name for name in table["datasets"] if kinds[name] == kind]
        made[kind] = {
            "datasets": len(inside),
            "models": {name: _means([lines[name, each] for each in inside]) for name in names},
        }
    return made


def _means(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over datasets; of what stands beside only where all have it."""
    return {
        "metrics": {name: float(np.mean([line["metrics"][name] for line in lines])) for name in METRICS},
        "beside": {
            which: {
                name: float(np.mean([line["beside"][which][name] for line in lines]))
                for name in METRICS
                if all(name in line["beside"][which] for line in lines)
            }
            for which in BESIDE
        },
    }
