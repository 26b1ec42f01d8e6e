"""Over datasets: where each model stands, and whether it is better than the linear one on datasets in general.

A score is taken as the share of the way from chance to perfect, so that datasets with different metrics can stand in
one test. Each dataset is one observation: the mean share has an interval from drawing datasets, the test against the
gate and between models is Wilcoxon's, corrected by Holm's method for all models of a part.

The *gate* is what stands beside every score: the tuned linear model, or the windows themselves. A model that is asked
under the name `linear` is another thing wherever it is read by its states, so the gate has a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurofmx.benchmark.metrics.holm import holm
from neurofmx.benchmark.metrics.over_datasets import compare_over_datasets, mean_ranks, signed_rank
from neurofmx.evaluation.gate import percentiles

GATE = "linear (gate)"  # the tuned linear model on the same windows, or the windows themselves; no model may have it
LINEAR = "linear"  # the pipeline's model, whose kept answers are those of the gate
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
        `datasets` that all ranked models answered, `models` (and the gate, as `GATE`) with mean share, interval, mean
        rank and test against the gate, `pairs` of models, mean shares by modality, `left_out`: models that are not
        ranked, with the reason, and `gate_is`: the model `linear` where its answers are the gate's own, which has no
        row beside it then; `absent` says why there is nothing.
    """
    table = shares(results, part)
    if len(table["datasets"]) < LEAST:
        why = f"fewer than {LEAST} datasets were answered by all models on the same windows"
        return {"absent": why, "left_out": table["left_out"], "gate_is": ""}
    scores: dict[str, np.ndarray] = dict(table["scores"])
    # an answer has one rank: twice in the table it would move all ranks below it, and be tested against itself
    gate_is = LINEAR if LINEAR in scores and np.array_equal(scores[LINEAR], scores[GATE]) else ""
    scores.pop(gate_is, None)
    ranks, tests = mean_ranks(scores), compare_over_datasets(scores, reference=GATE)
    return {
        "absent": "",
        "gate_is": gate_is,
        "left_out": table["left_out"],
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


def shares(results: Sequence[Mapping[str, Any]], part: str) -> dict[str, Any]:
    """Datasets that all ranked models answered in a part, and each model's shares there, with those of the gate.

    Kept answers are scored on more windows than are read; where only some models have them a dataset is left out, as
    shares of other windows can be neither ranked nor paired. A model that was not trained, or reads some datasets
    alone, would leave nothing to rank the others by: `left_out` has such models with the reason.
    """
    names = list(dict.fromkeys(line["model"] for line in results))
    found = {(line["model"], line["dataset"]): line["parts"][part] for line in results if _usable(line["parts"][part])}
    ranked, left_out = _ranked(names, found)
    datasets = _shared(ranked, found)
    scores = {model: _held([found[model, dataset]["share"] for dataset in datasets]) for model in ranked}
    # the gate's share is the same beside every model
    scores[GATE] = _held([found[ranked[0], dataset]["linear_share"] for dataset in datasets])
    return {"datasets": datasets, "scores": scores, "left_out": left_out}


Found = Mapping[tuple[str, str], Mapping[str, Any]]  # (model, dataset) to the line of a part


def _ranked(names: Sequence[str], found: Found) -> tuple[list[str], dict[str, str]]:
    """Models that share half of the datasets that any model answered, and why the others are left out.

    As long as fewer are shared, the model goes without which most are; of equals the one that answered least.
    """
    ranked, left_out = list(names), dict[str, str]()
    asked = len({dataset for _, dataset in found})
    answered = {name: sum(model == name for model, _ in found) for name in names}

    def kept(name: str) -> tuple[int, int]:
        return len(_shared([other for other in ranked if other != name], found)), -answered[name]

    while len(ranked) > 1 and 2 * (alike := len(_shared(ranked, found))) < asked:
        name = max(reversed(ranked), key=kept)
        ranked.remove(name)
        left_out[name] = (
            f"answered {answered[name]} of {asked} datasets, {alike} of them together with all other models"
        )
    return ranked, left_out


def _shared(names: Sequence[str], found: Found) -> list[str]:
    """Datasets that all models answered on the same windows, in order."""
    datasets = dict.fromkeys(dataset for _, dataset in found)
    return [each for each in datasets if _all_alike([found.get((name, each)) for name in names])]


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
    names = [name for name in scores if name != GATE]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    tests = [signed_rank(scores[a], scores[b]) for a, b in pairs]
    corrected = holm(np.array([test.p for test in tests])) if tests else []
    return [
        {"first": a, "second": b, **test._replace(corrected=float(p))._asdict()}
        for (a, b), test, p in zip(pairs, tests, corrected, strict=True)
    ]
