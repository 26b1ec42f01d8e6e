"""Scores: what an answer is worth, in the field's usual numbers.

Symbols: `y` the truth, `p` a model's answer, n windows. One function per task gives all its numbers; `headline` gives
the one number that models are compared by.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from neurofmx.headline import as_values, check_answers, headline, margin
from neurofmx.recordings.task import Task

__all__ = ["headline", "score"]


def score(outputs: np.ndarray, y: np.ndarray, task: Task) -> dict[str, float]:
    """All scores of one model's answers.

    Args:
        outputs: Answers, shape `(n, task.width)`: logits, values, or cosine and sine of the angle; of a text log
            probabilities of the true tokens `(n, time)`.
        y: Truth: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians; of a text the words and bytes that
            a window's tokens stand for `(n, 2)`.
        task: What was asked.

    Returns:
        By name. Classification: `accuracy`, `balanced_accuracy`, `auc` (one class against the rest, mean over
        classes). Regression: `r2`, `pearson`, `mae`, each the mean over variables; `pearson` is 0 for a variable that
        is answered with a constant. Circular: `r2` (mean of those of cosine and sine), `angular_error_deg` (median of
        the absolute angle between answer and truth), `angular_error_mean_deg`. Next token: `perplexity` of a word,
        `bits_per_token` and `bits_per_byte`; the first and the last do not depend on what a token is.

    Raises:
        ValueError: If shapes disagree, answers are not finite, or `y` leaves a score undefined (a class without a
            window, a variable that never changes).

    Example:
        >>> task = Task("classification", "label", ("face", "house"))
        >>> score(np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 3.0]]), np.array([0, 1, 1, 1]), task)["accuracy"]
        0.75
    """
    check_answers(outputs, y, task)
    return _SCORES[task.kind](np.asarray(outputs, np.float64), y, task)


def _classification(outputs: np.ndarray, y: np.ndarray, task: Task) -> dict[str, float]:
    """Accuracy, balanced accuracy and area under the receiver operating curve."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

    absent = [task.names[k] for k in range(task.width) if not np.any(y == k)]
    if absent:
        raise ValueError(
            f"y holds no window of class {', '.join(absent)}: balanced accuracy and auc are undefined. "
            "Use fewer or larger folds, or leave the class out of the task."
        )
    answer = outputs.argmax(axis=1)
    # of two classes the difference of the logits ranks windows without the rounding that a probability near 1 has
    belief = margin(outputs) if task.width == 2 else softmax(outputs, axis=1)
    return {
        "accuracy": float(accuracy_score(y, answer)),
        "balanced_accuracy": float(balanced_accuracy_score(y, answer)),
        "auc": float(roc_auc_score(y, belief, multi_class="ovr")),
    }


def _regression(outputs: np.ndarray, y: np.ndarray, task: Task) -> dict[str, float]:
    """Explained variance, correlation and absolute error, means over the variables."""
    truth = as_values(y, task)
    return {
        "r2": headline(outputs, y, task),
        "pearson": float(np.mean([_pearson(t, p) for t, p in zip(truth.T, outputs.T, strict=True)])),
        "mae": float(np.mean(np.abs(truth - outputs))),
    }


def _circular(outputs: np.ndarray, y: np.ndarray, task: Task) -> dict[str, float]:
    """Explained variance of cosine and sine, and the angle between answer and truth."""
    cosine, sine = outputs.T
    error = np.degrees(np.abs(np.angle(np.exp(1j * (np.arctan2(sine, cosine) - y)))))
    return {
        "r2": headline(outputs, y, task),
        "pearson": (_pearson(np.cos(y), cosine) + _pearson(np.sin(y), sine)) / 2,
        "angular_error_deg": float(np.median(error)),
        "angular_error_mean_deg": float(np.mean(error)),
    }


def _next_token(outputs: np.ndarray, y: np.ndarray, task: Task) -> dict[str, float]:
    """Surprise at the true tokens, by word, token and byte."""
    bits, (_, size) = -float(outputs.sum()) / np.log(2), y.sum(axis=0)
    return {
        "perplexity": headline(outputs, y, task),
        "bits_per_token": bits / outputs.size,
        "bits_per_byte": float(bits / size),
    }


def _pearson(truth: np.ndarray, answer: np.ndarray) -> float:
    """Correlation; a constant answer follows nothing, so it gets 0."""
    return 0.0 if np.ptp(answer) == 0 else float(np.corrcoef(truth, answer)[0, 1])


_SCORES = {
    "classification": _classification,
    "regression": _regression,
    "circular": _circular,
    "next_token": _next_token,
}
