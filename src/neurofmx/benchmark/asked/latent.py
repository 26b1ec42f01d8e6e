"""The latent space: how many directions states spread over, and whether what they stand for lies together.

Numbers of directions have no better or worse. The line's score is the silhouette of the test windows' states, grouped
by what is asked: the classes, or equal parts of the range of a value or an angle. Beside it stands the silhouette of
the windows themselves, read in the same stretches; chance is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.benchmark.drawn import Draws, mean_of
from neurofmx.benchmark.entry import entry
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.metrics.dimensionality import dimensions_for, explained_variance, participation_ratio
from neurofmx.benchmark.metrics.silhouette import silhouettes
from neurofmx.benchmark.probe import pooled
from neurofmx.benchmark.protocol import States
from neurofmx.tokenizers.cutting.windows import Windows

MOST = 4000  # states that the directions are counted of
COMPONENTS = 20  # of explained variance that are kept


class Space(NamedTuple):
    """What was found in one fold.

    Args:
        silhouettes: Of each test window `(n,)`.
        shuffled: The same with other windows' labels.
        numbers: Participation ratio, dimensionality and width.
        apart: The first two of each width shuffled by itself.
        explained: Share of variance that the first components hold `(COMPONENTS,)`, 1 behind the last.
    """

    silhouettes: np.ndarray
    shuffled: np.ndarray
    numbers: dict[str, float]
    apart: dict[str, float]
    explained: np.ndarray


def raw(material: Material, fold: int, index: np.ndarray) -> States:
    """The standardised windows themselves, as states."""
    windows = material.windows
    return States(windows.scaled(fold, index).astype(np.float64), windows.length[index])


def labels(material: Material, fold: int, windows: Windows | None = None) -> np.ndarray:
    """A class for each window: its own, or the part of the range that its value or angle lies in.

    Values (the first variable) are cut where training windows are divided into `ways` equal parts, angles into equal
    sectors.
    """
    windows, ways = windows or material.windows, material.options.ways
    if windows.task.kind == "classification":
        return windows.y
    if windows.task.kind == "circular":
        return np.floor(np.mod(windows.y, 2 * np.pi) / (2 * np.pi) * ways).astype(int) % ways
    first = windows.y.reshape(len(windows.y), -1)[:, 0]
    edges = np.quantile(first[material.parts[fold].train], np.arange(1, ways) / ways)
    return np.searchsorted(edges, first, side="right")


def space(material: Material, fold: int, states: States) -> Space:
    """Look at the states of a fold's test windows."""
    rows, generator = states.rows, material.generator("states", fold)
    if len(rows) > MOST:
        rows = rows[np.sort(generator.permutation(len(rows))[:MOST])]
    apart = np.stack([generator.permutation(column) for column in rows.T], axis=1)
    shares = explained_variance(rows)[:COMPONENTS]
    features, groups = pooled(states, material.options.steps), labels(material, fold)[material.parts[fold].test]
    return Space(
        silhouettes(features, groups),
        silhouettes(features, generator.permutation(groups)),
        {
            "participation_ratio": participation_ratio(rows),
            "dimensions_95": dimensions_for(rows),
            "width": rows.shape[1],
        },
        {"participation_ratio": participation_ratio(apart), "dimensions_95": dimensions_for(apart)},
        np.pad(shares, (0, COMPONENTS - len(shares)), constant_values=1.0),
    )


def latent(
    material: Material, ours: Sequence[Sequence[Space]], theirs: Sequence[Space], draws: Draws
) -> dict[str, Any]:
    """The line of the part.

    Args:
        material: The dataset.
        ours: What each seed's folds showed.
        theirs: What the windows themselves showed, by fold.
        draws: Of the blocks of `material.tested`.
    """

    def drawn(of: Sequence[Sequence[Space]], name: str) -> Any:
        values = np.stack([np.concatenate([getattr(one, name) for one in seed]) for seed in of])
        return draws.drawn(*mean_of(values))

    every = [one for seed in ours for one in seed]
    scored, linear, shuffled = drawn(ours, "silhouettes"), drawn([theirs], "silhouettes"), drawn(ours, "shuffled")
    explained, of_windows = (np.mean([one.explained for one in each], axis=0) for each in (every, theirs))
    third = "explained_variance_3"
    return entry(
        "silhouette",
        scored,
        linear=linear,
        chance=0.0,
        shuffled=shuffled,
        metrics=_mean(every, "numbers") | {"silhouette": scored.value, third: float(explained[2])},
        beside={
            "linear": _mean(theirs, "numbers") | {"silhouette": linear.value, third: float(of_windows[2])},
            "chance": {"silhouette": 0.0},
            "shuffled": _mean(every, "apart") | {"silhouette": shuffled.value},
        },
        explained=[round(float(each), 6) for each in explained],
    )


def _mean(found: Sequence[Space], part: str) -> dict[str, float]:
    """Means of named numbers over folds and seeds."""
    each = [getattr(one, part) for one in found]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}
