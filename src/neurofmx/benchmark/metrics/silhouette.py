"""How well states stand in groups by their labels."""

from __future__ import annotations

import numpy as np


def silhouettes(states: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`(b - a) / max(a, b)` of each state: a is its mean distance to its own group, b to the nearest other.

    Args:
        states: States (n, D). Time grows with the square of their number.
        labels: Group of each (n,), at least 2 groups.

    Returns:
        Shape (n,), -1 (nearer to another group) to 1 (groups far apart); a group of one counts as 0.

    Raises:
        ValueError: If shapes disagree, numbers are not finite, there are fewer than 2 groups, or as many as states.

    Source:
        Rousseeuw (1987), Silhouettes: a graphical aid to the interpretation and validation of cluster analysis.
    """
    from sklearn.metrics import silhouette_samples

    states, labels = np.asarray(states, np.float64), np.asarray(labels)
    if states.ndim != 2 or labels.shape != (len(states),):
        raise ValueError(f"states has shape {states.shape}, labels {labels.shape}: give (n, width) and (n,)")
    if not np.isfinite(states).all():
        raise ValueError("states holds numbers that are not finite: leave padded states out, or check the model")
    groups = len(np.unique(labels))
    if not 2 <= groups < len(labels):
        raise ValueError(f"labels hold {groups} groups of {len(labels)} states: give at least 2, with states in common")
    return np.asarray(silhouette_samples(states, labels))
