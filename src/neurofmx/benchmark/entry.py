"""One line of a result: a score with its interval, beside chance, shuffled answers and the linear model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurofmx.benchmark.drawn import Drawn

BESIDE = ("linear", "chance", "shuffled")  # what every number of a model can stand beside
PERFECT = 1.0  # the best score of all that has a share, perplexity among them
SURE = 0.999  # of the interval of a control that must lie above chance before a leak is cried


def entry(
    metric: str,
    ours: Drawn,
    *,
    linear: Drawn | None,
    chance: float,
    shuffled: Drawn | None = None,
    shuffled_chance: Drawn | None = None,
    lower_is_better: bool = False,
    worthless: float | None = None,
    metrics: Mapping[str, Any],
    beside: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """The line of one part.

    Args:
        metric: What the score is called.
        ours: The model's score.
        linear: The tuned linear model's on the same windows and draws; None where there is none.
        chance: Of a model that looks at nothing.
        shuffled: The model's score where windows have each other's answers.
        shuffled_chance: Chance there, on the same draws; above it is a leak.
        lower_is_better: Whether the better score is the lower one.
        worthless: The score of guessing, below which chance does not count; None for chance as it is.
        metrics: All numbers.
        beside: The same numbers of what stands beside the model: some of `BESIDE`, each with those that it has.
        **more: What else is known.

    Returns:
        JSON-able, `absent` empty. `share` is how far the score stands on the way from chance to perfect.
    """
    value, low, high = ours.interval
    line: dict[str, Any] = {"absent": "", "metric": metric, "score": value, "low": low, "high": high, "chance": chance}
    # pooled over folds chance ends a little below what it is worth: what is usual in training the test has less of
    floor = chance if worthless is None else max(chance, worthless)
    line |= {"share": share(value, floor, PERFECT, lower_is_better), "lower_is_better": lower_is_better}
    line |= {"linear": None, "difference": None, "verdict": "no linear model"}
    if linear is not None:
        difference = ours.less(linear, lower_is_better=lower_is_better)
        line |= {
            "linear": linear.value,
            "linear_share": share(linear.value, floor, PERFECT, lower_is_better),
            "difference": {name: getattr(difference, name) for name in ("value", "low", "high")},
            "verdict": difference.verdict,
        }
    line |= control(shuffled, shuffled_chance, lower_is_better) | {"metrics": dict(metrics)}
    return line | {"beside": {name: dict(beside.get(name, {})) for name in BESIDE}} | more


def absent(why: object) -> dict[str, Any]:
    """The line of a part that could not be asked."""
    return {"absent": str(why)}


def share(value: float, chance: float, perfect: float, lower_is_better: bool) -> float | None:
    """How far a score stands on the way from chance (0) to perfect (1); below 0 for worse than chance.

    A perplexity's way is that of its logarithm.

    Example:
        >>> share(0.75, 0.5, 1.0, False)
        0.5
    """
    if lower_is_better:
        value, chance, perfect = np.log(value), np.log(chance), np.log(perfect)
    return float((value - chance) / (perfect - chance)) if perfect != chance else None


def control(shuffled: Drawn | None, chance: Drawn | None, lower_is_better: bool) -> dict[str, Any]:
    """What shuffled answers gave, and whether that is too good to be true."""
    if shuffled is None:
        return {"shuffled": None, "leak": False}
    value, low, high = shuffled.interval
    found = {"shuffled": value, "shuffled_low": low, "shuffled_high": high, "leak": False}
    if chance is not None:
        sure = shuffled._replace(confidence=SURE).less(
            chance._replace(confidence=SURE), lower_is_better=lower_is_better
        )
        found["leak"] = sure.beats
    return found
