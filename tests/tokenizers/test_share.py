"""Shares of windows: whole blocks, each within the larger ones, and nothing of the rest is used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.share import with_share
from synthetic import ragged_windows, synthetic_windows


def two_sessions() -> Windows:
    """Two recordings with other channels, of different sizes."""
    return ragged_windows([synthetic_windows(windows=240, channels=3), synthetic_windows(windows=120, seed=1)])


@pytest.mark.parametrize("whole", [synthetic_windows(windows=240), two_sessions()], ids=["one", "two"])
def test_a_smaller_share_lies_in_a_larger_one_and_holds_whole_blocks(whole: Windows) -> None:
    before = np.zeros_like(whole.split, bool)
    for share in (0.1, 0.25, 0.5, 1.0):
        part = with_share(whole, share).split
        np.testing.assert_array_equal(part == TEST, whole.split == TEST)
        kept = (part == TRAIN) | (part == VALIDATION)
        np.testing.assert_array_equal(part[kept], whole.split[kept])
        assert (part[before] != GAP).all()
        before = kept
        for fold in range(whole.folds):
            for kind in (TRAIN, VALIDATION):
                for recording in np.unique(whole.group):
                    mine = (whole.split[fold] == kind) & (whole.group == recording)
                    blocks = np.unique(whole.block[mine])
                    drawn = np.unique(whole.block[mine & (part[fold] == kind)])
                    assert len(drawn) in {int(np.ceil(share * len(blocks) - 1e-9)), 2}  # 2 where each has one class
                    assert set(whole.y[mine & (part[fold] == kind)]) == set(whole.y[mine])
                    inside = mine & np.isin(whole.block, drawn)
                    assert (part[fold][inside] == kind).all()


def test_what_is_not_drawn_changes_nothing() -> None:
    whole = two_sessions()
    part = with_share(whole, 0.25)
    unused = (part.split[0] == GAP) & (whole.split[0] != GAP)
    spoilt = whole.x.copy()
    spoilt[unused] = 1e6
    other = with_share(replace(whole, x=spoilt), 0.25)
    np.testing.assert_array_equal(other.mean[0], part.mean[0])
    np.testing.assert_array_equal(other.std[0], part.std[0])
    train = (part.split[0] == TRAIN) & (whole.group == 1)
    np.testing.assert_allclose(part.mean[0, 1], whole.x[train].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(part.std[0, 1], whole.x[train].std((0, 1)), rtol=1e-5)


def test_a_few_trials_of_one_class_each_hold_both_classes() -> None:
    """A trial a block, one in ten of the rare class: an even draw of two would hold it once in five times."""
    whole = synthetic_windows(windows=300)
    y = (np.arange(300) % 10 == 0).astype(np.int64)
    whole = replace(whole, y=y, block=np.arange(300))
    for seed in range(5):
        part = with_share(whole, 0.005, seed=seed).split
        for row in part:
            for kind in (TRAIN, VALIDATION):
                assert sorted(y[row == kind]) == [0, 1]


def test_draws_differ_by_seed_and_fold() -> None:
    whole = synthetic_windows(windows=240)
    one, same, other = (with_share(whole, 0.25, seed=seed).split for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_one_scale_for_all_channels_stays_one() -> None:
    whole = synthetic_windows(windows=120)
    whole = replace(whole, mean=np.full_like(whole.mean, 0.5), std=np.full_like(whole.std, 2.0))
    part = with_share(whole, 0.5)
    assert np.ptp(part.mean, axis=1).max() == 0
    train = part.x[part.split[0] == TRAIN]
    np.testing.assert_allclose(part.mean[0, 0], train.mean(), rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_no_such_share(share: float) -> None:
    with pytest.raises(ValueError, match=f"share={share}"):
        with_share(synthetic_windows(), share)


def test_a_share_of_one_is_the_windows_themselves() -> None:
    whole = synthetic_windows()
    assert with_share(whole, 1.0) is whole
