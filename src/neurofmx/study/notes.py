"""What stands under a study's tables: which datasets no ratio is over, what was read, whose sizes differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurofmx.study.cells import HEADS
from neurofmx.study.ratios import FLOOR

NEAR = 0.05  # numbers of parameters that differ by more are named


def left_out_sentences(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each measure whose ratio is not over all datasets, with these and the runs that lack them.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
    """
    said = []
    for measure, lacking in result["left_out"].items():
        asked = {row["name"] for row in result["rows"] if row["ratios"].get(measure)}
        named = [
            f"{dataset} ({'no run has it' if asked <= set(names) else 'not ' + ', '.join(names)})"
            for dataset, names in lacking.items()
        ]
        said.append(f"Left out of `{HEADS[measure]}` for all runs: {', '.join(named)}.")
    return said


def floored_sentence(result: Mapping[str, Any]) -> str:
    """Which ratios are made of a number that counts as `FLOOR`; empty for none."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in result["rows"]:
        for measure, ratio in row["ratios"].items():
            if ratio and ratio.get("floored"):
                found.setdefault((measure, row["name"]), []).append(row["dataset"])
    if not found:
        return ""
    said = "; ".join(
        f"{HEADS[measure]} of {name} on {', '.join(datasets)}" for (measure, name), datasets in found.items()
    )
    return f"Where the run or the baseline counts as {FLOOR:g}: {said}."


def read_markdown(result: Mapping[str, Any]) -> str:
    """What the windows of each dataset hold and which tokenizer read them; empty where no report says so."""
    read: dict[str, dict[str, list[str]]] = {}
    for row in result["rows"]:
        if row["window"]:
            what = "; ".join(part for part in (row["window"], row["tokenizer"]) if part)
            read.setdefault(row["dataset"], {}).setdefault(what, []).append(row["name"])
    if not read:
        return ""
    lines = [
        f"- {dataset}: {what}" + (f" ({', '.join(names)})" if len(ways) > 1 else "")
        for dataset, ways in read.items()
        for what, names in ways.items()
    ]
    return "What was read, and by which tokenizer:\n\n" + "\n".join(lines)


def sizes_sentence(result: Mapping[str, Any]) -> str:
    """Which runs are not of the baseline's size: what they gain or lose may be owed to that."""
    apart: dict[str, list[float]] = {}
    for row in result["rows"]:
        if row["name"] != result["baseline"]:
            ratio = row["parameters"] / _parameters(result, row["dataset"])
            if abs(ratio - 1) > NEAR:
                apart.setdefault(row["name"], []).append(ratio)
    if not apart:
        return f"All runs have the baseline's number of parameters within {100 * NEAR:g} %."
    said = ", ".join(f"{name} {min(all_):.2f} to {max(all_):.2f} times" for name, all_ in apart.items())
    return (
        f"Not within {100 * NEAR:g} % of the baseline's number of parameters: {said}. What these runs gain or lose may "
        "be owed to their size."
    )


def _parameters(result: Mapping[str, Any], dataset: str) -> int:
    """The baseline's number of parameters on a dataset."""
    rows = (row for row in result["rows"] if (row["dataset"], row["name"]) == (dataset, result["baseline"]))
    return next(rows)["parameters"]
