"""Ratios of one run of a study to its baseline on the same windows, each with the draws that its interval is made of.

Every ratio is of the run to the baseline:

- `score`: headline scores; of perplexities the baseline's to the run's, so that above 1 is better for all;
- `noise`, `silenced`, `silenced_share`: shares of the score above chance that are kept, means over the conditions both
  went through; a number of silent neurons is less harm to who has more of them, a share of them the same to all;
- `time`: of all training steps, for as many epochs as early stopping let each have; of the processor (on a GPU by the
  clock), which other work on the machine hardly changes, without validation;
- `step`: the same time of one step;
- `memory`: of a training step, counted (`training/footprint.py`);
- `parameters`: trained numbers;
- `bytes`: of the weights in the precision that answered;
- `inference`: time of an answer, held against that of the same weights in float32 which was timed in turns with it
  (`evaluation/inference_time.py`): runs that were timed on other days can be compared so.

Scores and shares are on the same draws of blocks and seeds for both (`evaluation/gate.py`). Times are drawn over the
trainings, one of each fold and seed, in pairs; memory, parameters and bytes are exact.

A score or a share below `FLOOR` counts as `FLOOR`, and so does a share of what is not above chance: a run that falls
to an R2 below 0 on a dataset would else have no ratio there and lose its worst dataset. `floored` says where. A ratio
is None only where there is nothing to divide: no conditions, no trainings, neurons silenced in one and channels in the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.evaluation.gate import drawn_scores
from neurofmx.evaluation.robustness import kept, kind_of
from neurofmx.study.entry import Entry, Truth

COSTS = ("time", "step", "memory", "parameters", "bytes", "inference")
KEPT = ("noise", "silenced", "silenced_share")
FLOOR = 0.05
# a study of what is trained once has no costs of training; the others answer in one precision
PRECISION = ("score", *KEPT, "bytes", "inference")
TRAINED = ("score", *KEPT, "time", "step", "memory", "parameters")


class Ratio(NamedTuple):
    """A ratio on all windows, and on each draw `(draws,)`.

    Args:
        value: On all windows.
        drawn: On each draw.
        floored: Whether one of the two numbers counts as `FLOOR` on all windows.
    """

    value: float
    drawn: np.ndarray
    floored: bool = False


def measures_of(study: str | None) -> tuple[str, ...]:
    """What a study is measured by, in the order of its table."""
    return PRECISION if study == "precision" else TRAINED


def ratios(entry: Entry, baseline: Entry, *, draws: int, seed: int) -> dict[str, Ratio | None]:
    """All ratios of a run to the baseline.

    Args:
        entry: The run.
        baseline: The baseline on the same dataset.
        draws: Bootstrap draws.
        seed: Of the draws.

    Returns:
        One for the score, and for each of `KEPT` and `COSTS`.

    Raises:
        ValueError: If the two did not answer the same windows.
    """
    _same_windows(entry, baseline)
    scores, bootstrap = _Scores(entry, baseline, draws, seed), {"draws": draws, "seed": seed}
    jobs, answers = (entry.jobs, baseline.jobs), (entry.inference, baseline.inference)
    return {
        "score": scores.gain(),
        **{kind: scores.kept(kind) for kind in KEPT},
        "time": _cost(*jobs, lambda job: job["training_seconds"], **bootstrap),
        "step": _cost(*jobs, lambda job: job["training_seconds"] / job["steps"], **bootstrap),
        "memory": _cost(*jobs, lambda job: job["step_mib"], **bootstrap),
        "parameters": _exact(entry, baseline, "parameters"),
        "bytes": _exact(entry, baseline, "weight_bytes"),
        "inference": _cost(*answers, lambda job: job["ms"] / job["float32_ms"], **bootstrap),
    }


def kept_shares(entry: Entry, kind: str, *, draws: int, seed: int) -> Ratio | None:
    """Share of the score above chance that a run keeps, mean over its conditions of a kind, one of `KEPT`."""
    names = sorted(name for name in entry.harmed if kind_of(name) == kind)
    return _shares(entry, names, draws, seed) if names else None


class _Scores:
    """Scores of a run and the baseline on the same draws."""

    def __init__(self, entry: Entry, baseline: Entry, draws: int, seed: int) -> None:
        self._pair, self._draws, self._seed = (entry, baseline), draws, seed

    def gain(self) -> Ratio:
        """Ratio of the headline scores."""
        truth = self._pair[0].truth
        whole, drawn = _drawn([each.outputs for each in self._pair], truth, self._draws, self._seed)
        if truth.task.lower_is_better:
            whole, drawn = whole[::-1], drawn[::-1]
        return _floored(whole, drawn)

    def kept(self, kind: str) -> Ratio | None:
        """Ratio of the shares kept, over the conditions of a kind that both went through."""
        both = set(self._pair[0].harmed) & set(self._pair[1].harmed)
        names = sorted(name for name in both if kind_of(name) == kind)
        what = {each.report["robustness"]["silenced"] for each in self._pair} if names else set()
        if not names or (kind != "noise" and len(what) > 1):
            return None
        shares = [_shares(each, names, self._draws, self._seed) for each in self._pair]
        return _floored(np.array([share.value for share in shares]), np.stack([share.drawn for share in shares]))


def _shares(entry: Entry, names: Sequence[str], draws: int, seed: int) -> Ratio:
    """Share kept, mean over some conditions; NaN where the run is not above chance."""
    truth = entry.truth
    answers = [entry.outputs, truth.chance, *(entry.harmed[name] for name in names)]
    whole, drawn = _drawn(answers, truth, draws, seed)
    values = [kept(scores[2:], scores[0], scores[1], truth.task).mean(axis=0) for scores in (whole, drawn)]
    return Ratio(float(values[0]), np.asarray(values[1]))


def _drawn(answers: Sequence[np.ndarray], truth: Truth, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on all windows and on draws."""
    return drawn_scores(answers, truth.y, truth.block, truth.task, draws=draws, seed=seed)


def _floored(whole: np.ndarray, drawn: np.ndarray) -> Ratio:
    """The first row to the second, of what counts as `FLOOR` where it is lower or no number."""
    below = bool(np.any(~(whole >= FLOOR)))
    whole, drawn = np.fmax(whole, FLOOR), np.fmax(drawn, FLOOR)  # of NaN and a number fmax is the number
    return Ratio(float(whole[0] / whole[1]), drawn[0] / drawn[1], below)


def _cost(
    ours: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
    cost: Callable[[Mapping[str, Any]], float],
    *,
    draws: int,
    seed: int,
) -> Ratio | None:
    """Ratio of the mean costs over the trainings of the same fold and seed; None for fewer than two."""
    found = [{(job["fold"], job["seed"]): float(cost(job)) for job in jobs} for jobs in (ours, theirs)]
    both = sorted(set(found[0]) & set(found[1]))
    if len(both) < 2:
        return None
    pair = np.array([[each[key] for key in both] for each in found])
    generator = np.random.default_rng(seed)
    drawn = pair @ generator.multinomial(len(both), np.full(len(both), 1 / len(both)), size=draws).T
    return Ratio(float(pair[0].sum() / pair[1].sum()), drawn[0] / drawn[1])


def _exact(entry: Entry, baseline: Entry, name: str) -> Ratio | None:
    """Ratio of a number of the reports that nothing is drawn of; None for a model that has no such number."""
    ours, theirs = entry.report[name], baseline.report[name]
    if ours is None or theirs is None:
        return None
    return Ratio(ours / theirs, np.full(1, ours / theirs))


def _same_windows(entry: Entry, baseline: Entry) -> None:
    """Refuse to compare answers to different questions."""
    ours, theirs = entry.truth, baseline.truth
    if ours.task != theirs.task or not (np.array_equal(ours.y, theirs.y) and np.array_equal(ours.block, theirs.block)):
        raise ValueError(
            f"{entry.dataset}: {entry.name} and {baseline.name} answered different windows and cannot be compared; "
            "run the suite again, and leave what cuts windows out of its variants"
        )


def as_interval(found: Ratio | None, ends: Any) -> dict[str, Any] | None:
    """A ratio as `value`, `low`, `high`, and `floored` if it is; `ends` takes draws to the ends of an interval."""
    if found is None:
        return None
    low, high = ends(found.drawn)
    return {"value": found.value, "low": low, "high": high} | ({"floored": True} if found.floored else {})
