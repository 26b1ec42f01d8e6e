"""Splits: every window tested once, nothing held out shares time with training, and a planted leak is caught."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION
from neurofmx.preprocessing.splits import (
    LeakError,
    add_validation,
    as_given,
    check_no_leak,
    contiguous_blocks,
    leave_groups_out,
)


def sliding(recordings: int, windows: int, length: float, stride: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlapping windows of several recordings: group, start, stop."""
    start = np.tile(np.arange(windows) * stride, recordings)
    return np.repeat(np.arange(recordings), windows), start, start + length


def nearest(start: np.ndarray, stop: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Smallest time between a window of `a` and one of `b`, by comparing all pairs; negative where they overlap."""
    apart = np.maximum(start[a][:, None] - stop[b][None], start[b][None] - stop[a][:, None])
    return float(apart.min()) if apart.size else np.inf


@settings(deadline=None, max_examples=40)
@given(
    recordings=st.integers(1, 3),
    windows=st.integers(30, 80),
    folds=st.integers(2, 5),
    length=st.floats(0.5, 4),
    gap=st.floats(0, 3),
    fraction=st.floats(0.05, 0.4),
)
def test_blocks_keep_their_distance(
    recordings: int, windows: int, folds: int, length: float, gap: float, fraction: float
) -> None:
    group, start, stop = sliding(recordings, windows, length, 1.0)
    split = contiguous_blocks(group, start, stop, folds=folds, gap=gap)
    split = add_validation(split, group, start, stop, by="tail", gap=gap, fraction=fraction)
    assert np.all((split == TEST).sum(0) == 1)
    check_no_leak(split, group, start, stop)
    for row in split:
        for recording in range(recordings):
            mine = group == recording
            train, held_out = (
                np.flatnonzero(mine & (row == TRAIN)),
                np.flatnonzero(mine & (row != TRAIN) & (row != GAP)),
            )
            validation, test = np.flatnonzero(mine & (row == VALIDATION)), np.flatnonzero(mine & (row == TEST))
            assert nearest(start, stop, train, held_out) >= gap - 1e-9
            assert nearest(start, stop, validation, test) >= gap - 1e-9


def test_groups_stay_whole_and_are_tested_once() -> None:
    group = np.repeat(np.arange(12), 9)
    split = leave_groups_out(group, folds=6)
    split = add_validation(split, group, np.zeros(108), np.ones(108), by="groups", gap=0.0, fraction=0.15)
    assert np.all((split == TEST).sum(0) == 1)
    for row in split:
        for run in range(12):
            assert len(set(row[group == run])) == 1
        assert (row == VALIDATION).sum() == 2 * 9  # 15 % of 10 training runs
    assert set(group[split[0] == VALIDATION]) == {2, 3}
    assert set(group[split[5] == VALIDATION]) == {0, 1}


def test_validation_tail_is_the_end_of_each_stretch() -> None:
    group, start, stop = sliding(1, 20, 1.0, 1.0)
    split = np.full((1, 20), TRAIN, np.int8)
    split[0, 8:12] = TEST
    row = add_validation(split, group, start, stop, by="tail", gap=1.0, fraction=0.25)[0]
    assert row.tolist() == [0, 0, 0, 0, 0, -1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0, 0, -1, 1, 1]


@pytest.mark.parametrize(("held_out", "against"), [(TEST, TRAIN), (TEST, VALIDATION), (VALIDATION, TRAIN)])
def test_planted_leak_is_caught(held_out: int, against: int) -> None:
    group, start, stop = sliding(2, 40, 2.0, 1.0)
    split = np.full((1, 80), GAP, np.int8)
    split[0, 50], split[0, 51] = held_out, against
    with pytest.raises(LeakError, match=r"fold 0, recording 1: window 5[01] .* shares time with window 5[01]"):
        check_no_leak(split, group, start, stop)
    split[0, 51], split[0, 52] = GAP, against  # 50-52 s and 52-54 s touch and share nothing
    check_no_leak(split, group, start, stop)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), equal=st.booleans())
def test_leak_check_agrees_with_all_pairs(seed: int, equal: bool) -> None:
    rng = np.random.default_rng(seed)
    group, start, stop = sliding(2, 15, float(rng.uniform(0.5, 3)), 1.0)
    if not equal:  # trials that end early
        stop = start + (stop - start) * rng.uniform(0.1, 1, len(stop))
    split = rng.choice([TRAIN, VALIDATION, TEST, GAP], size=(1, 30), p=[0.1, 0.1, 0.1, 0.7]).astype(np.int8)
    leaks = any(
        nearest(
            start, stop, np.flatnonzero((group == g) & (split[0] == a)), np.flatnonzero((group == g) & (split[0] == b))
        )
        < -1e-9
        for g in (0, 1)
        for a, b in ((TEST, TRAIN), (TEST, VALIDATION), (VALIDATION, TRAIN))
    )
    if leaks:
        with pytest.raises(LeakError):
            check_no_leak(split, group, start, stop)
    else:
        check_no_leak(split, group, start, stop)


def test_errors_name_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"folds=4: .* 2 to 3 folds"):
        leave_groups_out(np.array([0, 1, 2]), folds=4)
    group, start, stop = sliding(1, 3, 1.0, 1.0)
    with pytest.raises(ValueError, match="folds=5: recording 0 has 3 windows"):
        contiguous_blocks(group, start, stop, folds=5, gap=0)
    with pytest.raises(ValueError, match="by='run'"):
        add_validation(np.zeros((1, 3), np.int8), group, start, stop, by="run", gap=0, fraction=0.2)


def test_a_given_division_by_subject_keeps_people_apart() -> None:
    sessions = ("train", "late", "train", "last", "late")
    group, unit = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 0, 1, 1, 1])
    split = as_given(group, sessions, test=["late"], held=["last"], unit=unit)
    assert split.tolist() == [[TRAIN, TRAIN, TEST, GAP, GAP, GAP], [GAP, GAP, GAP, TRAIN, VALIDATION, TEST]]
    with pytest.raises(ValueError, match=r"folds \[1\]: every subject needs sessions to train and to test on"):
        as_given(np.array([0, 1, 2]), ("train", "late", "train"), test=["late"], held=[], unit=np.array([0, 0, 1]))
