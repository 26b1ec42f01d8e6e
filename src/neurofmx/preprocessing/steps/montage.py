"""Which channels a voltage is made of, and against what each is measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Reference = Literal["average", "group", "bipolar"]


class Montage(NamedTuple):
    """Channels after re-referencing, as differences of channels before.

    Args:
        names: Their names.
        plus: Index of the channel that each is taken from, shape `(channels,)`.
        minus: Index of the channel that is subtracted, or -1 where it is a mean or nothing, shape `(channels,)`.
    """

    names: tuple[str, ...]
    plus: np.ndarray
    minus: np.ndarray


def montage(names: Sequence[str], reference: Reference | None, *, positions: np.ndarray | None = None) -> Montage:
    """The channels that a reference makes.

    Args:
        names: Channels before.
        reference: `bipolar` takes differences of neighbours, the others keep the channels.
        positions: Where the channels lie `(channels, 3)`, m, if known.

    Returns:
        The channels after.

    Raises:
        ValueError: If `bipolar` finds no neighbours.
    """
    if reference != "bipolar":
        return Montage(tuple(names), np.arange(len(names)), np.full(len(names), -1))
    pairs = neighbours(names, positions=positions)
    if not pairs:
        raise ValueError(
            f"preprocess.reference=bipolar: neighbours are numbered one after the other under one name, as A1 and A2; "
            f"none among {', '.join(names)}. Use average, or null."
        )
    plus, minus = np.array(pairs).T
    return Montage(tuple(f"{names[a]}-{names[b]}" for a, b in pairs), plus, minus)


def neighbours(names: Sequence[str], *, positions: np.ndarray | None = None) -> list[tuple[int, int]]:
    """Pairs of contacts that follow each other on a strip, a shaft or a row of a grid.

    Args:
        names: Channels, contacts of one electrode being numbered under one name.
        positions: Where they lie `(channels, 3)`, m: pairs of more than 1.5 times the usual distance, such as the end
            of a row and the beginning of the next, are left out.

    Returns:
        Indices of both contacts of each pair.

    Example:
        >>> neighbours(["A1", "A2", "B1", "A3"])
        [(0, 1), (1, 3)]
    """
    place = {(group(name), int(re.findall(r"\d+$", name)[0])): i for i, name in enumerate(names) if name[-1:].isdigit()}
    pairs = [
        (i, place[electrode, number + 1])
        for (electrode, number), i in place.items()
        if (electrode, number + 1) in place
    ]
    if positions is None or not pairs:
        return pairs
    far = np.array([np.linalg.norm(positions[a] - positions[b]) for a, b in pairs])
    return [pair for pair, distance in zip(pairs, far, strict=True) if not distance > 1.5 * np.nanmedian(far)]


def group(name: str) -> str:
    """The electrode of a contact: its name without the number at its end.

    Example:
        >>> group("BTM3"), group("Cz")
        ('BTM', 'Cz')
    """
    return re.sub(r"\d+$", "", name)


def subtract_mean(rows: np.ndarray, names: Sequence[str], good: np.ndarray, *, reference: Reference) -> np.ndarray:
    """Measure each channel against the mean of all, or of its electrode.

    Args:
        rows: Samples `(channels, time)`.
        names: The channels.
        good: Which channels enter a mean, shape `(channels,)`.
        reference: `average`, or `group` for the mean of the contacts of one electrode; a contact alone stays as it is.

    Returns:
        Samples `(channels, time)`.
    """
    if reference == "average":
        return rows - (rows if good.all() else rows[good]).mean(axis=0)
    electrode = np.array([group(name) for name in names])
    rows = rows.copy()
    for one in np.unique(electrode):
        members = np.flatnonzero((electrode == one) & good)
        if len(members) > 1:
            rows[electrode == one] -= rows[members].mean(axis=0)
    return rows
