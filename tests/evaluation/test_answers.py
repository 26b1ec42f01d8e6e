"""Answers of folds are put together window by window."""

from dataclasses import replace

import numpy as np
import pytest
from tests.synthetic import synthetic_windows

from neurofmx.evaluation.answers import out_of_fold
from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION


def test_folds_of_single_subjects_answer_their_own_tests() -> None:
    """Subjects with windows 0 to 59 and 60 to 119; each is tested on its last 20."""
    own = np.repeat([TRAIN, VALIDATION, TEST], [30, 10, 20]).astype(np.int8)
    other = np.full(60, GAP, np.int8)
    windows = replace(synthetic_windows(), split=np.stack([np.r_[own, other], np.r_[other, own]]))
    got = out_of_fold(windows, lambda fold: np.full((20, 2), float(fold)))
    assert windows.tested.tolist() == [*range(40, 60), *range(100, 120)]
    assert got[:, 0].tolist() == [0.0] * 20 + [1.0] * 20


def test_a_window_that_folds_share_must_be_tested_once() -> None:
    split = np.full((2, 120), TRAIN, np.int8)
    split[0, :60], split[1, 60:110] = TEST, TEST
    with pytest.raises(ValueError, match="window 110 is tested by 0 folds, must be 1"):
        out_of_fold(replace(synthetic_windows(), split=split), lambda fold: np.zeros((60 - 10 * fold, 2)))
    split[1, 50:] = TEST
    with pytest.raises(ValueError, match="window 50 is tested by 2 folds"):
        out_of_fold(replace(synthetic_windows(), split=split), lambda fold: np.zeros((60 + 10 * fold, 2)))
