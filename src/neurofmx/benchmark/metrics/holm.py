"""Holm's correction: of several tests at once, which p still say something."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: np.ndarray | Sequence[float]) -> np.ndarray:
    """Raises the p of several tests so that one false finding among all of them stays as rare as each p says.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than the one before it. It
    needs no assumption on how the tests depend on each other, and never finds less than Bonferroni's correction.

    Args:
        p: Values of p (tests,), 0 to 1.

    Returns:
        Corrected values (tests,), 0 to 1, in the order given.

    Raises:
        ValueError: If a value is not from 0 to 1.

    Source:
        Holm (1979), A simple sequentially rejective multiple test procedure.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"p={values.tolist()}: give one value from 0 to 1 for each test")
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected
