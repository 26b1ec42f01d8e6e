"""Scores against scikit-learn, scipy and answers worked out by hand."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import r2_score, roc_auc_score

from neurofmx.evaluation.metrics import score
from neurofmx.headline import headline
from neurofmx.recordings.task import Task

FACES = Task("classification", "label", ("face", "house", "cat"))
SIDES = Task("classification", "side", ("left", "right"))
PLACE = Task("regression", "place", ("x", "y"))
TEXT = Task("next_token", "text", ("the", "cat"))
HEADING = Task("circular", "heading", ("heading",))


def some(kind: str, n: int = 60) -> tuple[np.ndarray, np.ndarray, Task]:
    """Noisy answers, their truth and task."""
    rng = np.random.default_rng(3)
    if kind == "classification":
        y = np.arange(n) % 3
        return np.eye(3)[y] + rng.normal(size=(n, 3)), y, FACES
    if kind == "regression":
        y = rng.normal(size=(n, 2)) * (1, 50)
        return y + rng.normal(size=(n, 2)) * (1, 20), y, PLACE
    y = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(y), np.sin(y)], 1) + 0.4 * rng.normal(size=(n, 2)), y, HEADING


def test_accuracies_by_hand() -> None:
    # class 0: 2 of 3 right, class 1: 1 of 1, class 2: 0 of 2
    y, answer = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 0, 1])
    scores = score(np.eye(3)[answer], y, FACES)
    assert scores["accuracy"] == pytest.approx(3 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_auc_counts_pairs_in_order() -> None:
    y, margin = np.array([0, 0, 1, 1, 1]), np.array([-1.0, 0.5, 0.1, 2.0, 3.0])
    ordered = np.mean([a < b for a in margin[y == 0] for b in margin[y == 1]])
    assert score(np.stack([0 * margin, margin], 1), y, SIDES)["auc"] == pytest.approx(ordered)


def test_auc_of_many_classes_is_the_mean_of_one_against_the_rest() -> None:
    outputs, y, task = some("classification")
    odds = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    expected = np.mean([roc_auc_score(y == k, odds[:, k]) for k in range(3)])
    assert score(outputs, y, task)["auc"] == pytest.approx(expected)


def test_float32_logits_of_any_size_score() -> None:
    outputs, y, task = some("classification")
    assert 0 <= score((1e4 * outputs).astype(np.float32), y, task)["auc"] <= 1


def test_regression_is_the_mean_over_variables() -> None:
    outputs, y, task = some("regression")
    scores = score(outputs, y, task)
    explained = [1 - np.sum((t - p) ** 2) / np.sum((t - t.mean()) ** 2) for t, p in zip(y.T, outputs.T, strict=True)]
    assert scores["r2"] == pytest.approx(np.mean(explained))
    assert scores["pearson"] == pytest.approx(np.mean([pearsonr(t, p)[0] for t, p in zip(y.T, outputs.T, strict=True)]))
    assert scores["mae"] == pytest.approx(np.abs(y - outputs).mean())


def test_a_constant_answer_correlates_with_nothing() -> None:
    _, y, task = some("regression")
    scores = score(np.zeros_like(y), y, task)
    assert scores["pearson"] == 0.0
    assert scores["r2"] < 0


def test_circular_r2_is_that_of_cosine_and_sine() -> None:
    outputs, y, task = some("circular")
    expected = np.mean([r2_score(np.cos(y), outputs[:, 0]), r2_score(np.sin(y), outputs[:, 1])])
    assert score(outputs, y, task)["r2"] == pytest.approx(expected)


def test_angular_error_goes_the_short_way_round() -> None:
    y = np.radians([350.0, 10.0, 90.0, 180.0])
    answer = np.radians([10.0, 350.0, 100.0, -170.0])  # off by 20, 20, 10 and 10 degrees
    scores = score(np.stack([np.cos(answer), np.sin(answer)], 1) * 3, y, HEADING)
    assert scores["angular_error_deg"] == pytest.approx(15)
    assert scores["angular_error_mean_deg"] == pytest.approx(15)


@pytest.mark.parametrize("kind", ["classification", "regression", "circular"])
def test_the_headline_is_one_of_the_scores(kind: str) -> None:
    outputs, y, task = some(kind)
    scores = score(outputs, y, task)
    assert headline(outputs, y, task) == pytest.approx(scores[task.headline], abs=1e-12)
    assert task.headline == ("accuracy" if kind == "classification" else "r2")


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "auc"])
def test_a_task_may_ask_for_another_headline(name: str) -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(50) > 0.8).astype(int)
    outputs = np.eye(2)[y] + rng.normal(size=(50, 2))
    task = Task("classification", "side", ("left", "right"), score=name)
    scores = score(outputs, y, task)
    assert headline(outputs, y, task) == pytest.approx(scores[name], abs=1e-12)
    assert len({round(value, 6) for value in scores.values()}) == 3


def test_a_headline_that_does_not_fit_the_task_is_refused() -> None:
    with pytest.raises(ValueError, match=r"score='auc': a regression is scored by r2"):
        Task("regression", "place", ("x",), score="auc")
    with pytest.raises(ValueError, match=r"score='auc' tells two classes apart, label has 3; use balanced_accuracy"):
        Task("classification", "label", ("a", "b", "c"), score="auc")
    ranked = Task("classification", "side", ("left", "right"), score="auc")
    with pytest.raises(ValueError, match=r"side.*one class only"):
        headline(np.eye(2)[[0, 1]], np.array([1, 1]), ranked)


def test_a_balanced_headline_takes_the_classes_there_are() -> None:
    task = Task("classification", "label", ("face", "house", "cat"), score="balanced_accuracy")
    y, answer = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert headline(np.eye(3)[answer], y, task) == pytest.approx((2 / 3 + 1) / 2)


def test_certain_answers_are_still_ranked() -> None:
    margin = np.array([40.0, 50.0, 60.0, 70.0])  # as probabilities in float64 all of them are 1
    y = np.array([0, 1, 0, 1])
    assert score(np.stack([0 * margin, margin], 1), y, SIDES)["auc"] == 0.75


def test_a_class_without_windows_is_refused_by_name_but_has_an_accuracy() -> None:
    y = np.array([0, 0, 1])
    with pytest.raises(ValueError, match="no window of class cat"):
        score(np.eye(3)[y], y, FACES)
    assert headline(np.eye(3)[y], y, FACES) == 1.0


@pytest.mark.parametrize("kind", ["regression", "circular"])
def test_a_truth_that_never_changes_is_refused(kind: str) -> None:
    outputs, y, task = some(kind)
    with pytest.raises(ValueError, match="never changes"):
        score(outputs, np.zeros_like(y), task)


def test_what_does_not_fit_is_refused() -> None:
    outputs, y, task = some("classification")
    with pytest.raises(ValueError, match=r"outputs has shape \(60, 2\)"):
        score(outputs[:, :2], y, task)
    outputs[3, 1] = np.nan
    with pytest.raises(ValueError, match="outputs holds 1 of 180 numbers that are not finite"):
        score(outputs, y, task)
    with pytest.raises(ValueError, match="y is empty"):
        score(outputs[:0], y[:0], task)


def test_perplexity_counts_words_whatever_a_token_is() -> None:
    """Two windows of 3 words and 12 bytes each; every token of the first had 1/4, of the second 1/2."""
    outputs, y = np.log([[0.25] * 4, [0.5] * 4]), np.array([[3, 12], [3, 12]])
    scores = score(outputs, y, TEXT)
    assert scores["bits_per_token"] == pytest.approx(1.5)
    assert scores["bits_per_byte"] == pytest.approx(12 / 24)
    assert scores["perplexity"] == headline(outputs, y, TEXT) == pytest.approx(2 ** (12 / 6))


def test_what_is_no_log_probability_is_refused() -> None:
    y = np.ones((2, 2), int)
    with pytest.raises(ValueError, match=r"outputs holds 0.5; the logarithm of a probability is at most 0"):
        score(np.array([[0.5], [-1.0]]), y, TEXT)
    with pytest.raises(ValueError, match=r"outputs has shape \(2, 1\), y \(2,\); the next token needs"):
        score(-np.ones((2, 1)), y[:, 0], TEXT)
    with pytest.raises(ValueError, match="1 of 2 numbers that are not finite"):
        score(np.array([[-np.inf], [-1.0]]), y, TEXT)
