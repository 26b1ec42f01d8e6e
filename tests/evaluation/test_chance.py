"""Chance in closed form."""

from dataclasses import replace

import numpy as np
import pytest
from tests.tokenizers.test_text_windows import windows as text_windows

from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.metrics import score
from neurofmx.headline import headline
from neurofmx.parts import GAP, TEST, TRAIN
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.windows import Windows
from synthetic import synthetic_windows


def pooled(windows: Windows) -> np.ndarray:
    """Chance answers of all folds in the order of the windows."""
    outputs = np.empty((len(windows.y), windows.task.width))
    for fold in range(windows.folds):
        outputs[windows.fold(fold).test] = chance_outputs(windows, fold)
    return outputs


def with_answers(y: np.ndarray, task: Task, *, folds: int) -> Windows:
    """Windows with the answers `y`."""
    return replace(synthetic_windows(windows=len(y), folds=folds), y=y, task=task)


def test_eight_balanced_classes_give_one_in_eight() -> None:
    windows = with_answers(np.arange(120) % 8, Task("classification", "label", tuple("abcdefgh")), folds=3)
    scores = score(pooled(windows), windows.y, windows.task)
    assert scores["accuracy"] == pytest.approx(1 / 8)
    assert scores["balanced_accuracy"] == pytest.approx(1 / 8)


def test_the_most_frequent_class_is_answered() -> None:
    y = (np.arange(120) % 4 > 0).astype(int)
    windows = with_answers(y, Task("classification", "side", ("left", "right")), folds=3)
    outputs = pooled(windows)
    assert headline(outputs, y, windows.task) == pytest.approx(3 / 4)
    np.testing.assert_allclose(np.exp(outputs).sum(axis=1), 1)


def test_a_class_that_training_lacks_is_least_likely() -> None:
    windows = with_answers(np.arange(120) // 40, Task("classification", "third", ("a", "b", "c")), folds=3)
    assert np.all(chance_outputs(windows, 0).argmin(axis=1) == 0)


@pytest.mark.parametrize("kind", ["regression", "circular"])
def test_r2_is_that_of_the_training_mean(kind) -> None:
    windows = synthetic_windows(kind, folds=3)
    values = windows.y if kind == "regression" else np.stack([np.cos(windows.y), np.sin(windows.y)], 1)
    for fold in range(windows.folds):
        np.testing.assert_allclose(chance_outputs(windows, fold)[0], values[windows.split[fold] == TRAIN].mean(0))
    assert -0.2 < headline(pooled(windows), windows.y, windows.task) <= 0


def test_the_mean_direction_crosses_zero() -> None:
    angles = np.radians(np.where(np.arange(120) % 2, 350.0, 30.0))
    windows = with_answers(angles, Task("circular", "heading", ("heading",)), folds=2)
    cosine, sine = chance_outputs(windows, 0)[0]
    assert np.degrees(np.arctan2(sine, cosine)) == pytest.approx(10, abs=1)


def test_only_training_windows_count() -> None:
    windows = synthetic_windows("regression")
    held_out = windows.split[0] != TRAIN
    y = windows.y.copy()
    y[held_out] += 1e6
    np.testing.assert_array_equal(chance_outputs(replace(windows, y=y), 0), chance_outputs(windows, 0))


def test_no_training_window_is_an_error() -> None:
    windows = synthetic_windows()
    split = np.where(windows.split == TEST, TEST, GAP)
    with pytest.raises(ValueError, match="no training window"):
        chance_outputs(replace(windows, split=split), 0)


def test_chance_in_a_text_is_how_often_each_token_comes() -> None:
    made = text_windows()  # tokens 0 to 49 in turn: train asks for 1 to 40, valid for 8 to 47, test for 10 to 49
    outputs = chance_outputs(made, 0)
    y = made.y[made.fold(0).test]
    # each of the 40 tokens came once; the other 10 count half: 45 in all
    np.testing.assert_allclose(np.exp(outputs), np.where((y >= 1) & (y <= 40), 1 / 45, 0.5 / 45))
