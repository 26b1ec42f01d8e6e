"""One line of the result: a score beside the linear model, what looks at nothing, and what the known truth allows.

Every score is a function of sums over rows, and all models of a line share the draws of blocks; where networks of
several seeds were trained, seeds are drawn as well. So differences and shares have intervals of their own, which are
narrower than those of the scores.

    share = (score - nothing) / (bound - nothing)

A model *reaches* the bound where the interval of its difference to the bound is not below 0 as a whole. One that lies
above it as a whole has seen what it should not have: the bound is a mean that no model betters but by luck. Where the
linear model, persistence or what looks at nothing lies above it as a whole, it is *no bound*, as a Bayes decoder of too
few particles is none: then there is nothing to reach, and no share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurofmx.benchmark.drawn import Drawn, Draws, r2_of, r2_terms
from neurofmx.benchmark.metrics.bits_per_spike import LEAST_RATE, bits_of, bits_terms

ALLOWED = 0.01  # of a score; less than this above nothing is no truth to reach
NO_BOUND = "no bound"  # verdict where a simpler answer outdoes it


def r2_line(
    what: str,
    truth: np.ndarray,
    answers: Mapping[str, np.ndarray],
    draws: Draws,
) -> dict[str, Any]:
    """R2 of all channels together.

    Args:
        what: What was asked.
        truth: Standardised (n, T, C).
        answers: Of that shape, by `model`, `linear`, `bound` and, where there is one, `persistence`; those of networks
            of several seeds (S, n, T, C) are scored one by one, and the score is their mean.
        draws: Of the blocks of these rows, and of as many seeds.
    """
    given = {name: draws.drawn(r2_terms(truth, _seeds(values)), r2_of) for name, values in answers.items()}
    given["nothing"] = draws.drawn(r2_terms(truth, [np.zeros_like(truth)]), r2_of)
    return line(what, "R2", given)


def bits_line(
    what: str,
    counts: np.ndarray,
    rates: Mapping[str, np.ndarray],
    session: np.ndarray,
    draws: Draws,
) -> dict[str, Any]:
    """Bits per spike above each unit's mean rate; arguments as of `r2_line`, with counts and rates in spikes a bin."""
    given = {
        name: draws.drawn(bits_terms(counts, np.maximum(_seeds(values), LEAST_RATE), session), bits_of)
        for name, values in rates.items()
    }
    given["nothing"] = given["model"]._replace(value=0.0, draws=np.zeros_like(given["model"].draws))
    return line(what, "bits/spike", given)


def _seeds(values: np.ndarray) -> np.ndarray:
    """Answers of one or several seeds as (S, n, T, C)."""
    return values if values.ndim == 4 else values[None]


def line(what: str, metric: str, given: Mapping[str, Drawn]) -> dict[str, Any]:
    """A line from scores on the same draws: `model`, `linear`, `nothing`, `bound`, and any other; higher is better."""
    model, linear, nothing, bound = (given[name] for name in ("model", "linear", "nothing", "bound"))
    made: dict[str, Any] = {"what": what, "metric": metric}
    made |= {name: _interval(each) for name, each in given.items()}
    short, ahead = model.less(bound), model.less(linear)
    made["minus_bound"] = {"value": short.value, "low": short.low, "high": short.high}
    made["minus_linear"] = {"value": ahead.value, "low": ahead.low, "high": ahead.high, "verdict": ahead.verdict}
    allowed = bound.less(nothing)
    there = allowed.value >= ALLOWED and allowed.low > 0
    made["outdone_by"] = _outdone(given, slack=0.0 if there else ALLOWED)
    there = there and not made["outdone_by"]
    made["share"] = _interval(_share(model, nothing, bound)) if there else None
    made["linear_share"] = _share(linear, nothing, bound).value if there else None
    made["verdict"] = _verdict(short.low, short.high) if there else _of_nothing(model, nothing)
    if made["outdone_by"]:
        made["verdict"] = NO_BOUND
    return made


def _outdone(given: Mapping[str, Drawn], *, slack: float) -> list[str]:
    """What lies above the bound as a whole though it saw no more than it was shown: then the bound is none."""
    bound = given["bound"]
    return [name for name, each in given.items() if name not in ("model", "bound") and each.less(bound).low > slack]


def _verdict(low: float, high: float) -> str:
    """Of the interval of the difference to the bound."""
    return "above" if low > 0 else "reaches" if high >= 0 else "short"


def _of_nothing(model: Drawn, nothing: Drawn) -> str:
    """Where the truth allows nothing, nothing is to be reached: no more than what looks at nothing."""
    return "above" if model.less(nothing).low > ALLOWED else "reaches"


def _share(model: Drawn, nothing: Drawn, bound: Drawn) -> Drawn:
    """The way from nothing to the bound."""
    whole = (model.value - nothing.value) / (bound.value - nothing.value)
    return Drawn(whole, (model.draws - nothing.draws) / (bound.draws - nothing.draws), model.confidence)


def _interval(drawn: Drawn) -> dict[str, float]:
    """A score with its ends."""
    value, low, high = drawn.interval
    return {"value": value, "low": low, "high": high}
