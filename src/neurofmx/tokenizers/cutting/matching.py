"""Which of two rows of moments belong together: each must be the other's nearest, and near enough."""

from __future__ import annotations

import numpy as np


def nearest(times: np.ndarray, asked: np.ndarray, *, later: bool = False) -> np.ndarray:
    """Index of the time nearest to each asked one.

    Args:
        times: Ascending, `(n,)`, s, at least one.
        asked: `(m,)`, s.
        later: Which of two as near: the earlier, or the later one.

    Returns:
        Indices `(m,)`.

    Example:
        >>> nearest(np.array([0.0, 0.1, 0.2]), np.array([0.05, 0.16, 9.0])).tolist()
        [0, 2, 2]
    """
    after = np.clip(np.searchsorted(times, asked), 1, max(len(times) - 1, 1))
    before, after = after - 1, np.minimum(after, len(times) - 1)
    # what is as near up to rounding goes to one side, else which it is would change from row to row
    ties = -1e-9 if later else 1e-9
    return np.where(asked - times[before] <= times[after] - asked + ties, before, after)


def matched(rows: np.ndarray, windows: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """For anchors of windows, in order, the row that each belongs to, and which of them belong to none.

    Args:
        rows: Anchors of the rows, ascending, `(n,)`, s.
        windows: Anchors of the windows, ascending, `(m,)`, s.
        tolerance: Greatest distance of two anchors that are the same moment, s.

    Returns:
        Index of a row for each window `(m,)`, and where it means nothing `(m,)`, bool.
    """
    row = np.zeros(len(windows), int)
    if not len(rows) or not len(windows):
        return row, np.ones(len(windows), bool)
    # a row takes the earlier of two windows as near, so a window must take the later of two rows
    row, back = nearest(rows, windows, later=True), nearest(windows, rows)
    far = np.abs(rows[row] - windows) > tolerance + 1e-9
    return row, far | (back[row] != np.arange(len(windows)))
