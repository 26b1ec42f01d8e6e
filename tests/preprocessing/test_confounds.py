"""Confounds: regression against nilearn and closed forms."""

import numpy as np
import pytest
from nilearn.signal import clean

from neurofmx.preprocessing.fmri import FmriOptions, preprocess
from neurofmx.preprocessing.steps.confounds import choose, regress_out
from neurofmx.recordings.recording import Recording, Signal

RNG = np.random.default_rng(0)
RATE = 0.5
NAMES = ("trans_x", "trans_y", "rot_x", "csf")


def recording(time: int = 200, voxels: int = 6, *, nan: tuple[int, ...] = ()) -> Recording:
    confounds = RNG.normal(size=(time, 4)).cumsum(axis=0)
    data = 500 + RNG.normal(size=(time, voxels)).cumsum(axis=0) + confounds @ RNG.normal(size=(4, voxels))
    confounds[list(nan), 2] = np.nan
    signals = {
        "bold": Signal(data[:, None, :, None], RATE, "a.u.", ()),
        "confounds": Signal(confounds, RATE, "a.u.", NAMES),
    }
    return Recording("s", "1", signals)


def cleaned(one: Recording, **options) -> np.ndarray:
    return preprocess([one], FmriOptions(mask=False, **options))[0].signal("bold").data


@pytest.mark.parametrize("detrend", [True, False])
def test_the_residual_is_nilearns(detrend: bool) -> None:
    one = recording()
    data, confounds = one.signal("bold").data[:, 0, :, 0], one.signal("confounds").data
    oracle = clean(data, confounds=confounds, detrend=detrend, standardize=None, filter=False, t_r=1 / RATE)
    ours = cleaned(one, confounds=("*",), detrend=detrend, standardize=False)
    np.testing.assert_allclose(ours - ours.mean(axis=0), oracle - oracle.mean(axis=0), atol=1e-3)


def test_the_residual_of_filtered_data_is_nilearns_away_from_the_ends() -> None:
    one = recording(600)
    data, confounds = one.signal("bold").data[:, 0, :, 0], one.signal("confounds").data
    oracle = clean(
        data, confounds=confounds, detrend=True, standardize=None, filter="butterworth", high_pass=0.01, t_r=1 / RATE
    )
    ours = cleaned(one, confounds=("*",), high_pass=0.01, standardize=False)
    middle = slice(150, 450)
    for voxel in range(data.shape[1]):
        assert np.corrcoef(ours[middle, voxel], oracle[middle, voxel])[0, 1] > 0.99


def test_patterns_choose_columns_and_the_rest_stays() -> None:
    one = recording()
    ours = cleaned(one, confounds=("trans_*",), detrend=False)
    confounds = one.signal("confounds").data
    for column in (0, 1):
        assert np.abs(np.corrcoef(ours[:, 0], confounds[:, column])[0, 1]) < 1e-6
    assert choose(one, ("csf", "rot_*"), option="o").shape == (200, 2)


def test_an_unknown_first_value_gets_the_mean_and_one_inside_is_refused() -> None:
    one = recording(nan=(0,))
    column = choose(one, ("rot_x",), option="preprocess.confounds")[:, 0]
    assert column[0] == pytest.approx(column[1:].mean())
    with pytest.raises(ValueError, match=r"preprocess\.confounds: recording s/1 has NaN inside rot_x"):
        cleaned(recording(nan=(50,)), confounds=("*",))


def test_dependent_and_constant_columns_do_no_harm() -> None:
    data, confounds = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 2))
    doubled = np.column_stack([confounds, confounds[:, 0] * 2 + confounds[:, 1], np.ones(50)])
    np.testing.assert_allclose(regress_out(data, doubled), regress_out(data, confounds), atol=1e-10)
    np.testing.assert_allclose(regress_out(data, np.ones((50, 1))), data)


def test_what_would_explain_anything_or_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="19 independent columns explain all of 20 volumes; name fewer"):
        regress_out(RNG.normal(size=(20, 2)), RNG.normal(size=(20, 30)))
    with pytest.raises(ValueError, match=r"has no column 'gsr\*'; it has trans_x, trans_y, rot_x, csf"):
        cleaned(recording(), confounds=("gsr*",))
    bare = Recording("s", "1", {"bold": recording().signal("bold")})
    with pytest.raises(ValueError, match="unknown signal of recording s/1 'confounds'"):
        cleaned(bare, confounds=("*",))
