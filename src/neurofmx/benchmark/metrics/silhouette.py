"""How well states stand in groups by their labels."""

from __future__ import annotations

import numpy as np


def silhouette(states: np.ndarray, labels: np.ndarray, *, most: int = 2000, seed: int = 0) -> float:
    """Mean over states of `(b - a) / max(a, b)`: a is a state's mean distance to its own group, b to the nearest other.

    Args:
        states: States (n, D).
        labels: Group of each (n,), at least 2 groups.
        most: States that are compared at most, since time and memory grow with their square; more are drawn from,
            without replacement, every group keeping its share.
        seed: Of the draw.

    Returns:
        -1 (each nearer to another group) to 1 (groups far apart); 0 where groups overlap wholly. A group of one counts
        as 0.

    Raises:
        ValueError: If shapes disagree, numbers are not finite, there are fewer than 2 groups, or as many as states.

    Source:
        Rousseeuw (1987), Silhouettes: a graphical aid to the interpretation and validation of cluster analysis.
    """
    from sklearn.metrics import silhouette_score

    states, labels = np.asarray(states, np.float64), np.asarray(labels)
    if states.ndim != 2 or labels.shape != (len(states),):
        raise ValueError(f"states has shape {states.shape}, labels {labels.shape}: give (n, width) and (n,)")
    if not np.isfinite(states).all():
        raise ValueError("states holds numbers that are not finite: leave padded states out, or check the model")
    index = _drawn(labels, most, seed)
    groups = len(np.unique(labels[index]))
    if not 2 <= groups < len(index):
        raise ValueError(f"labels hold {groups} groups of {len(index)} states: give at least 2, with states in common")
    return float(silhouette_score(states[index], labels[index]))


def _drawn(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Which states are compared, every group with its share and at least one of it."""
    if len(labels) <= most:
        return np.arange(len(labels))
    generator = np.random.default_rng(seed)
    kept = []
    for label in np.unique(labels):
        of_group = np.flatnonzero(labels == label)
        kept.append(generator.permutation(of_group)[: max(1, round(most * len(of_group) / len(labels)))])
    return np.sort(np.concatenate(kept))
