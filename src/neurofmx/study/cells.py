"""What stands in the cells of a study's tables, and over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurofmx.evaluation.table import ABSENT

HEADS = {
    "score": "score",
    "noise": "kept under noise",
    "silenced": "kept with k silent neurons",
    "silenced_share": "kept with a share silent",
    "time": "time in all",
    "step": "time of a step",
    "memory": "memory",
    "parameters": "parameters",
    "bytes": "bytes of weights",
    "inference": "time of an answer",
}


def interval_cell(ratio: Mapping[str, Any] | None) -> str:
    """A ratio with its interval; one that nothing was drawn of stands alone.

    Example:
        >>> interval_cell({"value": 0.5, "low": 0.4, "high": 0.6}), interval_cell({"value": 2, "low": 2, "high": 2})
        ('0.500 [0.400, 0.600]', '2.00')
    """
    if ratio is None:
        return ABSENT
    if ratio["low"] == ratio["high"]:
        return f"{ratio['value']:.2f}"
    return f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"


def counted_cell(ratio: Mapping[str, Any] | None) -> str:
    """A ratio over datasets: with the number of these and, where there is one, its probability.

    Example:
        >>> counted_cell({"value": 0.5, "low": 0.4, "high": 0.6, "n": 7, "p": 0.01, "p_holm": 0.03})
        '0.500 [0.400, 0.600] n 7 p 0.03'
    """
    if ratio is None:
        return ABSENT
    probability = "" if ratio.get("p_holm") is None else f" p {ratio['p_holm']:.2g}"
    return f"{interval_cell(ratio)} n {ratio['n']}{probability}"


def number_cell(value: float | None, form: str) -> str:
    """A number in a format, or the sign for none.

    Example:
        >>> number_cell(12.345, ".1f"), number_cell(None, ".1f")
        ('12.3', '-')
    """
    return ABSENT if value is None else format(value, form)
