"""One run of a study on one dataset, as its table has it: scores, what is kept, costs, spikes, and the ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurofmx.evaluation.gate import paired_difference
from neurofmx.study.entry import Entry
from neurofmx.study.ratios import KEPT, Ratio, as_interval, kept_shares
from neurofmx.study.spikes import spiking

COPIED = ("headline", "score", "interval", "parameters", "train_seconds", "peak_memory_mib", "seeds", "linear")
# reports of models without a network, and of those without spikes or texts, lack some
IF_THERE = ("validation_loss", "weight_bytes", "precision", "window", "tokenizer", "robustness", "by_length")


def row_of(
    entry: Entry,
    base: Entry,
    found: Mapping[str, Ratio | None],
    measures: Sequence[str],
    ends: Any,
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Sum a run up.

    Args:
        entry: The run.
        base: The baseline on the same dataset, which may be the run itself.
        found: Ratios of the run to it.
        measures: Those that the study is about.
        ends: Takes draws to the ends of an interval.
        draws: Bootstrap draws.
        confidence: Share of the draws inside the intervals.
        seed: Of the draws.

    Returns:
        JSON-able.
    """
    report = entry.report
    row: dict[str, Any] = {name: report[name] for name in COPIED} | {name: report.get(name) for name in IF_THERE}
    row |= {"dataset": entry.dataset, "domain": entry.domain, "name": entry.name, "variant": entry.variant}
    row["chance"] = report["chance"][report["headline"]]
    row["epochs"] = _mean([job["epochs"] for job in entry.jobs])
    row["step_ms"] = _mean([1e3 * job["training_seconds"] / job["steps"] for job in entry.jobs])
    row["answer_ms"] = _mean([job["ms"] for job in entry.inference])
    row["spikes"] = spiking(report)
    row["kept"] = {kind: as_interval(_finite(kept_shares(entry, kind, draws=draws, seed=seed)), ends) for kind in KEPT}
    if entry is base:
        return row | {"ratios": {}, "difference": None, "verdict": "baseline"}
    truth = entry.truth
    difference = paired_difference(
        entry.outputs, base.outputs, truth.y, truth.block, truth.task, draws=draws, confidence=confidence, seed=seed
    )
    row["difference"] = {name: getattr(difference, name) for name in ("value", "low", "high")}
    row["verdict"] = difference.verdict
    row["ratios"] = {measure: as_interval(found[measure], ends) for measure in measures}
    return row


def _finite(share: Ratio | None) -> Ratio | None:
    """A share that is defined on all windows and in all draws, or None."""
    return share if share and np.isfinite(share.value) and np.all(np.isfinite(share.drawn)) else None


def _mean(values: Sequence[float]) -> float | None:
    """Mean over the trainings; None where there were none."""
    return float(np.mean(values)) if values else None
