"""A sweep's table: settings ranked by the validation loss, by which alone settings are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from neurofmx.study.compare import ALL
from neurofmx.study.markdown import table


class Ranked(NamedTuple):
    """One setting over all datasets on which every setting has a loss.

    Args:
        name: Name of the run.
        ratio: Geometric mean over datasets of its validation loss to the baseline's.
        lower: Datasets on which its loss is the lower one.
        datasets: Datasets that were counted.
        each: Ratio by dataset, also on those that were not counted.
    """

    name: str
    ratio: float
    lower: int
    datasets: int
    each: Mapping[str, float]


def rank_by_loss(result: Mapping[str, Any]) -> list[Ranked]:
    """Settings from the lowest validation loss to the highest, the baseline among them.

    Args:
        result: What `neurofmx.study.compare.compare` returned.

    Returns:
        The variants; models to compare with are no settings, and runs without a validation loss are left out. Empty if
        there is no dataset on which all have one.
    """
    losses: dict[str, dict[str, float]] = {}
    for row in result["rows"]:
        if row["variant"] and row["validation_loss"] is not None:
            losses.setdefault(row["name"], {})[row["dataset"]] = row["validation_loss"]
    base = losses.get(result["baseline"], {})
    shared = [dataset for dataset in base if all(dataset in own for own in losses.values())]
    ranked = []
    for name, own in losses.items():
        each = {dataset: loss / base[dataset] for dataset, loss in own.items() if dataset in base}
        counted = [each[dataset] for dataset in shared]
        if counted:
            ratio = float(np.exp(np.mean(np.log(counted))))
            ranked.append(Ranked(name, ratio, sum(value < 1 for value in counted), len(counted), each))
    return sorted(ranked, key=lambda one: one.ratio)


def sweep_markdown(result: Mapping[str, Any]) -> str:
    """The ranking as a table, with what each setting costs and what its test scores then were.

    Args:
        result: What `neurofmx.study.compare.compare` returned.

    Returns:
        Markdown, with a sentence that says how to read it.
    """
    overall = {row["name"]: row["ratios"] for row in result["overall"] if row["domain"] == ALL}
    datasets = list(dict.fromkeys(row["dataset"] for row in result["rows"]))
    body = []
    for one in rank_by_loss(result):
        found = overall.get(one.name, {})
        beside = [_value(found.get(measure)) for measure in ("step", "parameters", "score")]
        losses = [f"{one.each[dataset]:.3f}" if dataset in one.each else "-" for dataset in datasets]
        body.append([one.name, f"{one.ratio:.3f}", f"{one.lower} of {one.datasets}", *beside, *losses])
    return (
        f"Settings by validation loss, as a ratio to that of `{result['baseline']}`: geometric mean over the datasets "
        "on which all have one, below 1 is better. The choice is made by that column and by the time of a step; the "
        "score ratio, of test data, was read after it. Then the ratio on each dataset.\n\n"
        + table(["settings", "loss", "lower on", "time of a step", "parameters", "score", *datasets], body)
    )


def _value(found: Mapping[str, Any] | None) -> str:
    """A ratio without its interval."""
    return "-" if found is None else f"{found['value']:.2f}"
