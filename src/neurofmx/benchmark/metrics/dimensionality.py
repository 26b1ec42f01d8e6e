"""How many directions states spread over: participation ratio, explained variance, and the components that hold 95 %.

Symbols: `l[i]` eigenvalue i of the states' covariance, the largest first; n states of width D. At most n - 1 of them
are above 0, so few states look low-dimensional: compare models on the same number of states.

    participation ratio = (sum l)^2 / sum l^2        explained variance of k components = sum_{i<k} l[i] / sum l
"""

from __future__ import annotations

import numpy as np


def spectrum(states: np.ndarray) -> np.ndarray:
    """Variances of states along their principal components.

    Args:
        states: States (n, D), at least 2, which must differ.

    Returns:
        Eigenvalues of the covariance (D,), float64, the largest first, at least 0.

    Raises:
        ValueError: If shapes are wrong, numbers are not finite, or all states are equal.
    """
    states = np.asarray(states, np.float64)
    if states.ndim != 2 or len(states) < 2:
        raise ValueError(f"states has shape {states.shape}: give at least 2 states as (n, width)")
    if not np.isfinite(states).all():
        raise ValueError("states holds numbers that are not finite: leave padded states out, or check the model")
    if not np.ptp(states, axis=0).any():
        raise ValueError("all states are equal, so they spread over no direction: has the model collapsed?")
    centred = states - states.mean(0)
    return np.maximum(np.linalg.eigvalsh(centred.T @ centred / (len(states) - 1))[::-1], 0.0)


def participation_ratio(states: np.ndarray) -> float:
    """How many directions states spread over evenly: D for a sphere, 1 for a line.

    Args:
        states: States (n, D), at least 2, which must differ.

    Returns:
        1 to D.

    Raises:
        ValueError: As `spectrum`.

    Source:
        Gao et al. (2017), A theory of multineuronal dimensionality, dynamics and measurement.

    Example:
        >>> round(participation_ratio(np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])), 6)
        2.0
    """
    variances = spectrum(states)
    return float(variances.sum() ** 2 / (variances**2).sum())


def explained_variance(states: np.ndarray) -> np.ndarray:
    """Share of the variance that the first components hold together.

    Args:
        states: States (n, D), at least 2, which must differ.

    Returns:
        Shares of 1, 2, ... D components (D,), rising to 1.

    Raises:
        ValueError: As `spectrum`.
    """
    variances = spectrum(states)
    return np.cumsum(variances) / variances.sum()


def dimensions_for(states: np.ndarray, *, share: float = 0.95) -> int:
    """How many principal components hold a share of the variance.

    Args:
        states: States (n, D), at least 2, which must differ.
        share: Share of the variance, above 0 and below 1.

    Returns:
        1 to D.

    Raises:
        ValueError: As `spectrum`, or if the share is out of range.

    Example:
        >>> dimensions_for(np.array([[3.0, 0.1, 0.0], [-3.0, 0.1, 0.0], [0.0, -0.2, 0.0]]))
        1
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share}: must be above 0 and below 1, usually 0.95")
    return int(np.sum(explained_variance(states) < share)) + 1
