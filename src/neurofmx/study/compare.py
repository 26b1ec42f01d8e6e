"""A study's numbers: every run beside the baseline on each dataset, over each domain and over all datasets.

Over datasets the ratio is the geometric mean of theirs, and its interval comes from the draws inside each dataset: it
speaks of these datasets. They are those on which all runs have the ratio, so that no run is better for lacking a
dataset; a run that has it nowhere is not asked. Whether a difference is there on datasets in general is asked by
Wilcoxon's signed-rank test of the logarithms of the ratios, one value a dataset, where there are at least `LEAST` of
them; the probabilities of all runs under one measure are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from neurofmx.benchmark.metrics.holm import holm
from neurofmx.evaluation.gate import percentiles
from neurofmx.evaluation.report import rounded
from neurofmx.study.claims import CLAIMS
from neurofmx.study.entry import Entry
from neurofmx.study.ratios import Ratio, measures_of, ratios
from neurofmx.study.row import row_of

LEAST = 6  # datasets; with fewer no two-sided probability below 0.05 exists
ALL = "all"

Found = Mapping[tuple[str, str], Mapping[str, Ratio | None]]  # by run and dataset


def compare(
    entries: Sequence[Entry], *, baseline: str, study: str | None = None, draws: int = 2000, confidence: float = 0.95
) -> dict[str, Any]:
    """Hold every run of a study against its baseline.

    Args:
        entries: Runs, in the order of the table; datasets of which the baseline is missing are left out.
        baseline: Name of the baseline.
        study: What it is about, a key of `CLAIMS` or another name; None for neither.
        draws: Bootstrap draws.
        confidence: Share of the draws inside the intervals.

    Returns:
        JSON-able: `rows` (a run on a dataset), `overall` (a run over a domain or `all`), `left_out` (by measure the
        datasets that are in no ratio over datasets, each with the runs that lack it), `claims`, `measures`, and the
        arguments.

    Raises:
        ValueError: If the baseline is nowhere, or a run answered other windows than the baseline.

    Source:
        Wilcoxon 1945; Holm 1979, "A simple sequentially rejective multiple test procedure"; Demsar 2006, JMLR 7,
        section 3.1.3 (the signed-rank test over datasets).
    """
    bases = {entry.dataset: entry for entry in entries if entry.name == baseline}
    if not bases:
        raise ValueError(f"baseline {baseline!r} has no result yet: run the suite, which begins with it")
    usable = [entry for entry in entries if entry.dataset in bases]
    ends, measures = partial(percentiles, confidence=confidence), measures_of(study)
    seeds = {dataset: number for number, dataset in enumerate(bases)}  # draws of datasets do not depend on each other
    found = {
        (entry.name, entry.dataset): ratios(entry, bases[entry.dataset], draws=draws, seed=seeds[entry.dataset])
        for entry in usable
        if entry.name != baseline
    }
    bootstrap = {"draws": draws, "confidence": confidence}
    rows = [
        row_of(
            entry,
            bases[entry.dataset],
            found.get((entry.name, entry.dataset), {}),
            measures,
            ends,
            seed=seeds[entry.dataset],
            **bootstrap,
        )
        for entry in usable
    ]
    missing = {measure: _missing(found, measure, tuple(bases)) for measure in measures}
    overall = _overall(found, {dataset: base.domain for dataset, base in bases.items()}, missing, ends)
    result = {"study": study, "baseline": baseline, "measures": list(measures), **bootstrap, "rows": rows}
    result |= {"overall": overall, "left_out": {measure: each for measure, each in missing.items() if each}}
    return rounded(result | {"claims": _claims(study, rows, overall)})  # type: ignore[return-value]


def _missing(found: Found, measure: str, datasets: Sequence[str]) -> dict[str, list[str]]:
    """Datasets on which some runs lack a ratio that they have elsewhere, each with these runs."""
    having: dict[str, set[str]] = {}
    for (name, dataset), each in found.items():
        if each[measure] is not None:
            having.setdefault(name, set()).add(dataset)
    lacking = {dataset: [name for name, own in having.items() if dataset not in own] for dataset in datasets}
    return {dataset: names for dataset, names in lacking.items() if names}


def _overall(
    found: Found, domains: Mapping[str, str], missing: Mapping[str, Mapping[str, list[str]]], ends: Any
) -> list[dict[str, Any]]:
    """Every run over all datasets, then over each domain."""
    names = list(dict.fromkeys(name for name, _ in found))
    rows = []
    for domain in (ALL, *dict.fromkeys(domains.values())):
        for name in names:
            inside = {
                dataset: each
                for (run, dataset), each in found.items()
                if run == name and domain in (ALL, domains[dataset])
            }
            measured = {
                measure: _together([each[measure] for dataset, each in inside.items() if dataset not in without], ends)
                for measure, without in missing.items()
            }
            for exact in ("parameters", "bytes"):  # they were chosen, not measured
                if measured.get(exact):
                    measured[exact]["p"] = None  # type: ignore[index]
            rows.append({"name": name, "domain": domain, "datasets": len(inside), "ratios": measured})
    _correct([row for row in rows if row["domain"] == ALL], tuple(missing))
    return rows


def _together(each: Sequence[Ratio | None], ends: Any) -> dict[str, Any] | None:
    """The geometric mean of the datasets' ratios with its interval, and the signed-rank test's probability."""
    there = [one for one in each if one is not None]
    if not there:
        return None
    logs = np.log([one.value for one in there])
    length = min(len(one.drawn) for one in there)
    drawn = np.exp(np.mean([np.log(one.drawn[:length]) for one in there], axis=0))
    low, high = ends(drawn)
    return {"value": float(np.exp(logs.mean())), "low": low, "high": high, "n": len(there), "p": _signed_rank(logs)}


def _signed_rank(logs: np.ndarray) -> float | None:
    """Two-sided probability of such signs and ranks if runs and baseline were alike; None for too few datasets."""
    from neurofmx.benchmark.metrics.over_datasets import signed_rank

    return signed_rank(logs, np.zeros_like(logs)).p if np.count_nonzero(logs) >= LEAST else None


def _correct(rows: Sequence[dict[str, Any]], measures: Sequence[str]) -> None:
    """Add Holm's correction over the runs, measure by measure."""
    for measure in measures:
        asked = [row["ratios"][measure] for row in rows]
        asked = [each for each in asked if each is not None and each["p"] is not None]
        for each, corrected in zip(asked, holm([each["p"] for each in asked]), strict=True):
            each["p_holm"] = float(corrected)


def _claims(study: str | None, rows: Sequence[Mapping[str, Any]], overall: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Each claim with what was measured, over all datasets and on each."""
    said = []
    for claim in CLAIMS.get(study or "", ()):
        whole = next((row for row in overall if (row["name"], row["domain"]) == (claim.variant, ALL)), None)
        if whole is None:
            continue
        own = {row["dataset"]: row["ratios"][claim.measure] for row in rows if row["name"] == claim.variant}
        measured = whole["ratios"][claim.measure]
        each = {dataset: claim.verdict(ratio) for dataset, ratio in own.items() if ratio is not None}
        said.append(claim._asdict() | {"measured": measured, "verdict": claim.verdict(measured), "datasets": each})
    return said
