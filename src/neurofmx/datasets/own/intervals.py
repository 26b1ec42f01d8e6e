"""Rows of a table of events, made trials of the classes that are asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.datasets.own.options import label_text
from neurofmx.datasets.own.refusal import Refused, listed
from neurofmx.recordings.recording import Trials

_log = logging.getLogger(__name__)


class Labelled(NamedTuple):
    """Trials of the classes asked for, and all labels that the table held."""

    trials: Trials
    labels: frozenset[str]


def labelled(
    start: np.ndarray,
    stop: np.ndarray,
    values: Sequence[Any] | np.ndarray,
    *,
    classes: Iterable[str],
    duration: float | None,
) -> Labelled:
    """Trials with their `label`, in order of time.

    Rows without a time are left out, and so are rows that share time with one whose label begins with `bad`, as MNE and
    BIDS mark stretches that must not be used, unless that label is a class.

    Args:
        start: Start of every row `(rows,)`, s.
        stop: Its end, s.
        values: Its label, of any type.
        classes: Labels to keep.
        duration: How long a trial lasts instead, s.

    Returns:
        The trials, and which labels there are.

    Raises:
        Refused: If an end lies before its start.
    """
    start, stop = np.asarray(start, np.float64), np.asarray(stop, np.float64)
    labels = np.array([label_text(value) for value in values], dtype=object)
    if not len(start) == len(stop) == len(labels):
        raise Refused(f"trials: {len(start)} starts, {len(stop)} ends and {len(labels)} labels; there must be as many")
    wanted = np.isin(labels, list(classes))
    bad = np.array([label.lower().startswith("bad") for label in labels], bool) & (stop > start) & ~wanted
    marked = list(zip(start[bad], stop[bad], strict=True))
    stop = start + duration if duration else stop
    keep = wanted
    timed = np.isfinite(start) & np.isfinite(stop)
    if lost := int((keep & ~timed).sum()):
        _log.warning("left %d trials out that have no start or end", lost)
    clear = np.array([all(b <= s or e <= a for a, b in marked) for s, e in zip(start, stop, strict=True)], bool)
    if spoilt := int((keep & timed & ~clear).sum()):
        _log.warning("left %d trials out that share time with a stretch marked bad", spoilt)
    keep = keep & timed & clear
    if (stop[keep] < start[keep]).any():
        raise Refused("trials: an end lies before its start")
    order = np.flatnonzero(keep)[np.argsort(start[keep], kind="stable")]
    trials = Trials(start[order], stop[order], {"label": labels[order].astype(str)})
    return Labelled(trials, frozenset(map(str, labels)))


def require_classes(found: Iterable[Labelled], classes: Iterable[str], *, option: str) -> None:
    """Refuse a class that no recording holds.

    Args:
        found: The trials of every recording.
        classes: Labels asked for.
        option: Where labels stand, for the message.

    Raises:
        Refused: Naming the labels that there are.
    """
    found = list(found)
    held = {label for one in found for label in one.trials.columns["label"].tolist()}
    absent = [name for name in classes if name not in held]
    if absent:
        labels = sorted({label for one in found for label in one.labels})
        raise Refused(f"target.classes={absent}: no usable trial has that label; {option} holds {listed(labels)}")
