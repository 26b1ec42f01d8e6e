"""Over datasets: where each model stands, and whether it is better than the linear one on datasets in general.

A score is taken as the share of the way from chance to perfect, so that datasets with different metrics can stand in
one test. Each dataset is one observation: the mean share has an interval from drawing datasets, the test against the
linear model and between models is Wilcoxon's, corrected by Holm's method for all models of a part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurofmx.benchmark.metrics.holm import holm
from neurofmx.benchmark.metrics.over_datasets import compare_over_datasets, mean_ranks, signed_rank
from neurofmx.evaluation.gate import percentiles

LINEAR = "linear"  # the tuned linear model on the same windows, or the windows themselves
LOWEST = -1.0  # share that counts: how far below chance a score lies would else outweigh all other datasets
LEAST = 2  # datasets, below which nothing is said over them


def across(results: Sequence[Mapping[str, Any]], part: str, *, draws: int, confidence: float) -> dict[str, Any]:
    """Sum one part up.

    Args:
        results: Lines of all models and datasets.
        part: Which part.
        draws: Of datasets.
        confidence: Share of the draws inside the intervals.

    Returns:
        `datasets` that all models answered, `models` with mean share, interval, mean rank and test against the linear
        model, `pairs` of models, and mean shares by modality; `absent` says why there is nothing.
    """
    table = shares(results, part)
    if table is None or len(table["datasets"]) < LEAST:
        return {"absent": f"fewer than {LEAST} datasets were answered by all models on the same windows"}
    scores: dict[str, np.ndarray] = table["scores"]
    ranks, tests = mean_ranks(scores), compare_over_datasets(scores, reference=LINEAR)
    return {
        "absent": "",
        "datasets": table["datasets"],
        "models": {
            name: {
                **_mean(values, draws, confidence),
                "rank": ranks[name],
                "against_linear": tests[name]._asdict() if name in tests else None,
            }
            for name, values in scores.items()
        },
        "pairs": _pairs(scores),
        "modalities": _by_modality(results, table["datasets"], scores),
    }


def _by_modality(
    results: Sequence[Mapping[str, Any]], datasets: Sequence[str], scores: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Mean share of each model over the datasets of each modality."""
    kind = {line["dataset"]: line["modality"] for line in results}
    inside = {
        name: [k for k, dataset in enumerate(datasets) if kind[dataset] == name] for name in sorted(set(kind.values()))
    }
    return {
        name: {"datasets": len(each), "shares": {model: float(values[each].mean()) for model, values in scores.items()}}
        for name, each in inside.items()
        if each
    }


def shares(results: Sequence[Mapping[str, Any]], part: str) -> dict[str, Any] | None:
    """Datasets that all models answered in a part, and each model's shares there, the linear one's among them.

    Kept answers are scored on more windows than are read; where only some models have them a dataset is left out, as
    shares of other windows can be neither ranked nor paired.
    """
    names = list(dict.fromkeys(line["model"] for line in results))
    found = {(line["model"], line["dataset"]): line["parts"][part] for line in results if _usable(line["parts"][part])}
    datasets = [
        name for name in dict.fromkeys(d for _, d in found) if _all_alike([found.get((m, name)) for m in names])
    ]
    if not datasets or not names:
        return None
    scores = {model: _held([found[model, dataset]["share"] for dataset in datasets]) for model in names}
    # the linear model's share is the same beside every model
    linear = _held([found[names[0], dataset]["linear_share"] for dataset in datasets])
    return {"datasets": datasets, "scores": scores if LINEAR in scores else {**scores, LINEAR: linear}}


def _all_alike(lines: Sequence[Mapping[str, Any] | None]) -> bool:
    """Whether all models have a line, of as many windows."""
    return None not in lines and len({line.get("windows") for line in lines if line}) == 1


def _held(values: Sequence[float]) -> np.ndarray:
    """Shares, no lower than `LOWEST`."""
    return np.maximum(np.array(values, np.float64), LOWEST)


def _usable(line: Mapping[str, Any]) -> bool:
    return not line["absent"] and all(line.get(key) is not None for key in ("share", "linear_share"))


def _mean(values: np.ndarray, draws: int, confidence: float) -> dict[str, float]:
    """Mean over datasets with its bootstrap interval."""
    generator = np.random.default_rng(0)
    drawn = values[generator.integers(len(values), size=(draws, len(values)))].mean(1)
    low, high = percentiles(drawn, confidence)
    return {"share": float(values.mean()), "low": low, "high": high}


def _pairs(scores: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Every two models against each other, corrected together."""
    names = [name for name in scores if name != LINEAR]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    tests = [signed_rank(scores[a], scores[b]) for a, b in pairs]
    corrected = holm(np.array([test.p for test in tests])) if tests else []
    return [
        {"first": a, "second": b, **test._replace(corrected=float(p))._asdict()}
        for (a, b), test, p in zip(pairs, tests, corrected, strict=True)
    ]
