"""The linear probe: what a linear readout learns from frozen states, with its penalty tuned on validation windows.

States of a window are read in `steps` stretches of equal length, the mean of each, side by side. So a probe can tell
the beginning of a window from its end, and a model with many steps has no more numbers to read than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from neurofmx.benchmark.protocol import States
from neurofmx.headline import as_values
from neurofmx.models.fitted.linear import one_thread
from neurofmx.models.fitted.readout import Readout, fit_readouts
from neurofmx.recordings.task import Task


def pooled(states: States, steps: int) -> np.ndarray:
    """States as rows of features.

    Args:
        states: Shape `(B, N, D)`.
        steps: Stretches to read, at least 1; a window with fewer recorded steps has some of them twice.

    Returns:
        Shape `(B, min(steps, N) * D)`.

    Example:
        >>> pooled(States(np.arange(8.0).reshape(1, 4, 2), np.array([4])), 2).tolist()
        [[1.0, 2.0, 5.0, 6.0]]
    """
    count = min(steps, states.values.shape[1])
    rows = np.zeros((len(states.values), count, states.values.shape[2]))
    for length in np.unique(states.recorded):
        mine = states.recorded == length
        for k in range(count if length else 0):
            first, last = k * length // count, -(-(k + 1) * length // count)
            rows[mine, k] = states.values[mine, first:last].mean(1)
    return rows.reshape(len(rows), -1)


class Probe(NamedTuple):
    """A tuned linear readout.

    Args:
        error: On the validation rows, of the readout that has not learnt from them: surprise at the labels, or the
            squared error in the target's variance.
        tuned: That readout.
        readout: The same penalty fitted on training and validation rows.
    """

    error: float
    tuned: Readout
    readout: Readout


def fit_probe(
    train: np.ndarray,
    y: np.ndarray,
    validation: np.ndarray,
    y_validation: np.ndarray,
    task: Task,
    *,
    strengths: Sequence[float],
) -> Probe:
    """Tune a ridge or logistic regression on the validation rows, then fit it on both.

    Args:
        train: Features `(n, features)`.
        y: Their truth.
        validation: Features to choose the penalty on, at least one row; they join the second fit.
        y_validation: Their truth.
        task: What is asked.
        strengths: Penalties to choose from; of equals the strongest is taken.

    Returns:
        The probe.

    Raises:
        ValueError: If a class has no training row, or there is no validation row.
    """
    if not len(validation):
        raise ValueError("there is no validation window to choose the penalty on: give the split a validation part")
    with one_thread():
        tried = list(fit_readouts(train, y, task, strengths=strengths))  # the strongest first
        errors = [_error(readout(validation), y_validation, task) for readout in tried]
        best = int(np.argmin(errors))
        rows, truth = np.concatenate([train, validation]), np.concatenate([y, y_validation])
        (readout,) = fit_readouts(rows, truth, task, strengths=[float(tried[best].strength[0])])
    return Probe(errors[best], tried[best], readout)


def _error(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """What the penalty is chosen by."""
    if task.kind == "classification":
        return -float(np.mean(log_softmax(outputs, axis=1)[np.arange(len(y)), y]))
    truth = as_values(y, task)
    scale = np.maximum(truth.std(0), 1e-12)
    return float(np.mean(((truth - outputs) / scale) ** 2))
