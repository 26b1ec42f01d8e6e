"""The headline: the one number that models are compared by, and what an answer has to look like.

It stands below the models, as linear models are tuned by it where it is not too coarse (`models/fitted/linear.py`).
"""

from __future__ import annotations

import numpy as np

from neurofmx.recordings.task import Task


def headline(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """The one score models are compared by: `task.headline`.

    Unlike `score` it does without a window of every class, unless it is the area under the curve, so it also serves on
    small validation sets.

    Args:
        outputs: Answers, shape `(n, task.width)`; of a text log probabilities of the true tokens `(n, time)`.
        y: Truth: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians; of a text the words and bytes that
            a window's tokens stand for `(n, 2)`.
        task: What was asked.

    Returns:
        Accuracy, mean accuracy of the classes there are, area under the receiver operating curve (all 0 to 1), R2
        (1 at best, 0 for the mean of `y`, below for worse), or perplexity of a word (1 at best, higher for worse).

    Raises:
        ValueError: If shapes disagree, answers are not finite, `y` never changes in a regression, or holds one class
            only where the area under the curve is asked.
    """
    check_answers(outputs, y, task)
    return {"accuracy": _accuracy, "balanced_accuracy": _balanced, "auc": _area, "r2": _r2, "perplexity": _perplexity}[
        task.headline
    ](np.asarray(outputs, np.float64), y, task)


def margin(outputs: np.ndarray) -> np.ndarray:
    """How much more the second of two classes is believed: logits `(..., n, 2)` to `(..., n)`."""
    return outputs[..., 1] - outputs[..., 0]


def as_values(y: np.ndarray, task: Task) -> np.ndarray:
    """What `outputs` should be in a regression: the values themselves, or cosine and sine of the angles.

    Args:
        y: Values `(n, variables)` or angles `(n,)` in radians.
        task: A regression or circular task.

    Returns:
        Targets, shape `(n, task.width)`, float64.
    """
    if task.kind == "circular":
        return np.stack([np.cos(y), np.sin(y)], axis=1).astype(np.float64)
    return np.asarray(y, np.float64).reshape(len(y), task.width)


def check_answers(outputs: np.ndarray, y: np.ndarray, task: Task) -> None:
    """Refuse answers that do not fit the truth.

    Args:
        outputs: Answers, shape `(n, task.width)`, or log probabilities `(n, time)`.
        y: Truth, `n` long.
        task: What was asked.

    Raises:
        ValueError: If there are no windows, shapes disagree or a number is not finite.
    """
    if len(y) == 0:
        raise ValueError("y is empty: there is no window to score. Check the split's test part.")
    if task.kind == "next_token":
        _check_likelihoods(outputs, y)
    elif outputs.shape != (len(y), task.width):
        raise ValueError(
            f"outputs has shape {outputs.shape}; a {task.kind} task with {task.width} answers and {len(y)} windows "
            f"needs {(len(y), task.width)}"
        )
    for name, values in (("outputs", outputs), ("y", y)):
        bad = int(np.sum(~np.isfinite(values)))
        if bad:
            raise ValueError(
                f"{name} holds {bad} of {values.size} numbers that are not finite. If a model diverged, "
                "lower its learning rate; if it is y, check the recording."
            )


def _check_likelihoods(outputs: np.ndarray, y: np.ndarray) -> None:
    """Refuse what cannot be log probabilities of the tokens of each window."""
    if outputs.ndim != 2 or y.shape != (len(outputs), 2):
        raise ValueError(
            f"outputs has shape {outputs.shape}, y {y.shape}; the next token needs log probabilities (n, time) and the "
            "words and bytes of each window (n, 2)"
        )
    if np.any(outputs > 1e-6):
        raise ValueError(f"outputs holds {outputs.max():g}; the logarithm of a probability is at most 0")


def _perplexity(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Perplexity of a word, whatever the tokens are: `exp(-sum log p / words)`."""
    return float(np.exp(-outputs.sum() / y[:, 0].sum()))


def _accuracy(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Share of right answers."""
    return float(np.mean(np.argmax(outputs, axis=1) == y))


def _balanced(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Mean over the classes in `y` of the share of right answers."""
    right = np.argmax(outputs, axis=1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def _area(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Area under the receiver operating curve of two classes."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(y)) < 2:
        raise ValueError(
            f"y ({task.target}) holds one class only in these {len(y)} windows: the area under the curve is undefined. "
            "Use fewer or larger folds."
        )
    return float(roc_auc_score(y, margin(outputs)))


def _r2(outputs: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Coefficient of determination, mean over columns."""
    from sklearn.metrics import r2_score

    truth = as_values(y, task)
    if np.any(np.ptp(truth, axis=0) == 0):
        raise ValueError(
            f"y ({task.target}) never changes in these {len(truth)} windows: R2 is undefined. "
            "Use fewer or larger folds, or longer recordings."
        )
    return float(r2_score(truth, outputs))
