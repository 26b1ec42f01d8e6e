"""Ratios of one run of a study to its baseline on the same windows, each with the draws that its interval is made of.

Every ratio is of the run to the baseline:

- `score`: headline scores; of perplexities the baseline's to the run's, so that above 1 is better for all;
- `noise`, `silenced`: shares of the score above chance that are kept, means over the conditions both went through;
- `time`: seconds of training;
- `memory`: of a training step, counted (`training/footprint.py`);
- `parameters`: trained numbers.

Scores and shares are on the same draws of blocks and seeds for both (`evaluation/gate.py`). Times are drawn over the
trainings, one of each fold and seed, in pairs; memory and parameters are exact. A ratio is None where it is undefined,
as when a score below 0 would stand in it, or where neurons were silenced in one and channels in the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.evaluation.gate import drawn_scores
from neurofmx.evaluation.robustness import kept
from neurofmx.study.entry import Entry, Truth

MEASURES = ("score", "noise", "silenced", "time", "memory", "parameters")


class Ratio(NamedTuple):
    """A ratio on all windows, and on each draw `(draws,)`."""

    value: float
    drawn: np.ndarray


def ratios(entry: Entry, baseline: Entry, *, draws: int, seed: int) -> dict[str, Ratio | None]:
    """All ratios of a run to the baseline.

    Args:
        entry: The run.
        baseline: The baseline on the same dataset.
        draws: Bootstrap draws.
        seed: Of the draws.

    Returns:
        One for each of `MEASURES`.

    Raises:
        ValueError: If the two did not answer the same windows.
    """
    _same_windows(entry, baseline)
    scores = _Scores(entry, baseline, draws, seed)
    return {
        "score": scores.gain(),
        "noise": scores.kept("noise_"),
        "silenced": scores.kept("silenced_"),
        "time": _cost(entry, baseline, lambda job: job["seconds"], draws, seed),
        "memory": _cost(entry, baseline, lambda job: job["step_mib"], draws, seed),
        "parameters": _parameters(entry, baseline),
    }


def kept_shares(entry: Entry, prefix: str, *, draws: int, seed: int) -> Ratio | None:
    """Share of the score above chance that a run keeps, mean over its conditions that begin with `prefix`."""
    names = sorted(name for name in entry.harmed if name.startswith(prefix))
    return _shares(entry, names, draws, seed) if names else None


class _Scores:
    """Scores of a run and the baseline on the same draws."""

    def __init__(self, entry: Entry, baseline: Entry, draws: int, seed: int) -> None:
        self._pair, self._draws, self._seed = (entry, baseline), draws, seed

    def gain(self) -> Ratio | None:
        """Ratio of the headline scores."""
        truth = self._pair[0].truth
        whole, drawn = _drawn([each.outputs for each in self._pair], truth, self._draws, self._seed)
        if truth.task.lower_is_better:
            whole, drawn = whole[::-1], drawn[::-1]
        return _ratio(whole, drawn)

    def kept(self, prefix: str) -> Ratio | None:
        """Ratio of the shares kept, over the conditions that both went through."""
        names = sorted(
            name for name in self._pair[0].harmed if name.startswith(prefix) and name in self._pair[1].harmed
        )
        what = {each.report["robustness"]["silenced"] for each in self._pair} if names else set()
        if not names or (prefix == "silenced_" and len(what) > 1):
            return None
        shares = [_shares(each, names, self._draws, self._seed) for each in self._pair]
        return _ratio(np.array([share.value for share in shares]), np.stack([share.drawn for share in shares]))


def _shares(entry: Entry, names: Sequence[str], draws: int, seed: int) -> Ratio:
    """Share kept, mean over some conditions."""
    truth = entry.truth
    answers = [entry.outputs, truth.chance, *(entry.harmed[name] for name in names)]
    whole, drawn = _drawn(answers, truth, draws, seed)
    values = [kept(scores[2:], scores[0], scores[1], truth.task).mean(axis=0) for scores in (whole, drawn)]
    return Ratio(float(values[0]), np.asarray(values[1]))


def _drawn(answers: Sequence[np.ndarray], truth: Truth, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on all windows and on draws."""
    return drawn_scores(answers, truth.y, truth.block, truth.task, draws=draws, seed=seed)


def _ratio(whole: np.ndarray, drawn: np.ndarray) -> Ratio | None:
    """The first row to the second; None where a number is not above 0, as its ratio would mean nothing."""
    if not (np.all(whole > 0) and np.all(drawn > 0)):  # NaN is not above 0 either
        return None
    return Ratio(float(whole[0] / whole[1]), drawn[0] / drawn[1])


def _cost(entry: Entry, baseline: Entry, cost: Any, draws: int, seed: int) -> Ratio | None:
    """Ratio of the mean costs over the trainings of the same fold and seed."""
    ours, theirs = ({(job["fold"], job["seed"]): float(cost(job)) for job in each.jobs} for each in (entry, baseline))
    both = sorted(set(ours) & set(theirs))
    if len(both) < 2:
        return None
    pair = np.array([[each[key] for key in both] for each in (ours, theirs)])
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(both), np.full(len(both), 1 / len(both)), size=draws)
    return _ratio(pair.sum(axis=1), pair @ drawn.T)


def _parameters(entry: Entry, baseline: Entry) -> Ratio:
    """Ratio of the numbers of parameters."""
    value = entry.report["parameters"] / baseline.report["parameters"]
    return Ratio(value, np.full(1, value))


def _same_windows(entry: Entry, baseline: Entry) -> None:
    """Refuse to compare answers to different questions."""
    ours, theirs = entry.truth, baseline.truth
    if ours.task != theirs.task or not (np.array_equal(ours.y, theirs.y) and np.array_equal(ours.block, theirs.block)):
        raise ValueError(
            f"{entry.dataset}: {entry.name} and {baseline.name} answered different windows and cannot be compared; "
            "run the suite again, and leave what cuts windows out of its variants"
        )


def as_interval(found: Ratio | None, ends: Any) -> Mapping[str, float] | None:
    """A ratio as `value`, `low` and `high`, where `ends` takes draws to the ends of an interval."""
    if found is None:
        return None
    low, high = ends(found.drawn)
    return {"value": found.value, "low": low, "high": high}
