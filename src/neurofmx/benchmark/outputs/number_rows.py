"""Rows of numbers without an interval: the model's, and beside them the gate's, those of chance and of shuffling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurofmx.benchmark.across import GATE
from neurofmx.benchmark.outputs.rows import OWN, number, probability

# whose numbers are shown, and where they stand in a line
WHOSE = {"model": "metrics", GATE: "linear", "chance": "chance", "shuffled": "shuffled"}
# numbers that have no row of their own among the scores
COMPACT = {
    "reconstruction": ("mse", "mae", "pearson", "pearson_p"),
    "decoding": (
        *("mse", "mae", "pearson", "pearson_p", "spearman", "spearman_p"),
        *("accuracy", "balanced_accuracy", "auc", "bits_per_byte"),
    ),
    "latent": ("participation_ratio", "dimensions_95", "explained_variance_3"),
}


def other_rows(facts: Mapping[str, Any], part: str) -> list[dict[str, str]]:
    """Every number of a part under its name, a row for the model and one for each that stands beside it.

    The columns are those that any of the rows has.
    """
    return [
        {"dataset": line["dataset"], "model": line["model"], "of": who}
        | {name: _shown(name, value) for name, value in numbers.items()}
        for line in facts["results"]
        if not line["parts"][part]["absent"]
        for who, numbers in _beside(line["parts"][part]).items()
    ]


def _beside(line: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The numbers of a line by whose they are: the model's, then those beside it; spikes and own ones among them."""
    found = _numbers(line)
    own = line.get("own", {"absent": "not asked"})
    for more, mark in ((line, ""), (own, f" {OWN}")):
        spikes = more.get("co_smoothing", {"absent": "not asked"})
        for each in [part for part in (more if mark else None, spikes) if part is not None and not part["absent"]]:
            for who, numbers in _numbers(each).items():
                found[who] |= {f"{name}{mark}": value for name, value in numbers.items()}
    return {who: numbers for who, numbers in found.items() if numbers}


def variable_rows(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every variable of a dataset that asks for several, a row for the model and one for each that stands beside it."""
    rows = []
    for line in facts["results"]:
        part = line["parts"]["decoding"]
        if part["absent"]:
            continue
        for name in part["variables"]:
            for who, key in WHOSE.items():
                each = (part["variables"] if who == "model" else part["variables_beside"].get(key, {})).get(name, {})
                if each:
                    named = {"dataset": line["dataset"], "model": line["model"], "variable": name, "of": who}
                    rows.append(named | {metric: _shown(metric, value) for metric, value in each.items()})
    return rows


def number_rows(facts: Mapping[str, Any], part: str) -> list[list[dict[str, str]]]:
    """The numbers of `COMPACT`, a row for each model and dataset: the model's and, in one cell, those beside it.

    Rows with the same numbers, as those of one kind of task, are one table.
    """
    tables: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for line in facts["results"]:
        each = line["parts"][part]
        names = () if each["absent"] else tuple(name for name in COMPACT.get(part, ()) if name in each["metrics"])
        if names:
            row = {"dataset": line["dataset"], "model": line["model"]}
            tables.setdefault(names, []).append(row | {name: _cell(each, name) for name in names})
    return [sorted(rows, key=lambda row: row["dataset"]) for rows in tables.values()]


def by_modality_rows(facts: Mapping[str, Any], part: str) -> list[dict[str, str]]:
    """Mean numbers of a part by modality, a row for each model, cells as of `number_rows`."""
    return [
        {"modality": modality, "datasets": str(each["datasets"]), "model": model}
        | {name: _cell(means, name) for name in means["metrics"]}
        for modality, each in facts["by_modality"].get(part, {}).items()
        for model, means in each["models"].items()
    ]


def _cell(line: Mapping[str, Any], name: str) -> str:
    """A number of a model with those beside it, in the order of `WHOSE`."""
    return " / ".join(_shown(name, numbers.get(name)) for numbers in _numbers(line).values())


def _numbers(line: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The model's numbers and those beside them, in the order of `WHOSE`."""
    return {who: dict(line["metrics"] if who == "model" else line["beside"][key]) for who, key in WHOSE.items()}


def _shown(metric: str, value: float | None) -> str:
    """A number, or a probability where the metric is one."""
    return probability(value) if metric.endswith("_p") and value is not None else number(value)
