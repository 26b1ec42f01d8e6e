"""fMRI cleaning against exact lines, the Butterworth equation and nilearn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nibabel import nifti1
from nilearn.maskers import NiftiLabelsMasker
from nilearn.signal import clean
from pydantic import ValidationError

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.fmri import FmriOptions, preprocess
from neurofmx.recordings.recording import Recording, Signal

RATE = 0.4
KEEP = FmriOptions(mask=False, detrend=False, standardize=False)


def _run(series: np.ndarray, *, rate: float = RATE) -> Recording:
    """A grid of 1 by voxels by 1."""
    volumes = series[:, None, :, None]
    return Recording("s", "1", {"bold": Signal(volumes, rate, "a.u.", ())}, arrays={"affine": np.eye(4)})


def _bold(series: np.ndarray, options: FmriOptions, *, rate: float = RATE) -> np.ndarray:
    return preprocess([_run(series, rate=rate)], options)[0].signal("bold").data


def test_detrending_removes_exactly_the_line() -> None:
    time = np.arange(100.0)
    line, ripple = 500 + 3 * time, np.sin(2 * np.pi * time / 10)
    rest = ripple - np.polynomial.Polynomial.fit(time, ripple, 1)(time)  # the line that a ripple itself holds
    options = KEEP.model_copy(update={"detrend": True})
    np.testing.assert_allclose(_bold((line + ripple)[:, None], options)[:, 0], rest, atol=1e-5)


def test_standardised_voxels_have_mean_0_and_deviation_1() -> None:
    series = np.random.default_rng(0).normal(50, 7, size=(121, 30))
    data = _bold(series, KEEP.model_copy(update={"standardize": True})).astype(np.float64)
    np.testing.assert_allclose(data.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(data, (series - series.mean(0)) / series.std(0), atol=1e-5)


@pytest.mark.parametrize("frequency", [0.004, 0.008, 0.01, 0.0125, 0.02, 0.1])
def test_the_high_pass_has_the_gain_of_butterworth(frequency: float) -> None:
    corner, samples = 0.01, 8000
    time = np.arange(samples) / RATE
    options = KEEP.model_copy(update={"high_pass": corner})
    out = _bold(np.sin(2 * np.pi * frequency * time)[:, None], options)[:, 0]
    middle = slice(samples // 4, 3 * samples // 4)
    wave = np.exp(-2j * np.pi * frequency * time[middle])
    window = np.hanning(samples // 2)
    gain = 2 * np.abs((out[middle] * wave * window).sum()) / window.sum()
    warped = np.tan(np.pi * corner / RATE) / np.tan(np.pi * frequency / RATE)  # of the bilinear transform
    assert gain == pytest.approx(1 / (1 + warped**10), rel=0.01, abs=1e-4)  # order 5, there and back


def test_a_high_pass_above_half_the_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"high_pass must be below half the rate, 0\.2 Hz, got 0\.3"):
        _bold(np.random.default_rng(0).normal(size=(50, 2)), FmriOptions(mask=False, high_pass=0.3))


def test_real_runs_are_what_nilearn_makes_of_them(raw: Callable[[str], Path]) -> None:
    runs = DATASETS["haxby2001"]().read(raw("haxby2001"))
    cleaned = preprocess(runs, FmriOptions())
    assert cleaned[0].signal("bold").channels[0] == "voxel-2-16-0"
    for run, done in list(zip(runs, cleaned, strict=True))[:2]:
        voxels = run.signal("bold").data[:, run.array("mask")]
        oracle = clean(voxels, detrend=True, standardize="zscore_sample", t_r=2.5, filter=False)
        ratio = np.sqrt(len(voxels) / (len(voxels) - 1))  # nilearn divides by n - 1
        np.testing.assert_allclose(done.signal("bold").data, oracle * ratio, atol=1e-4)


@pytest.mark.parametrize("same_grid", [True, False])
def test_parcels_are_those_of_nilearn(tmp_path: Path, same_grid: bool) -> None:
    rng = np.random.default_rng(0)
    grid, size = (6, 5, 4), 1 if same_grid else 2
    labels = np.repeat(np.repeat(np.repeat(rng.integers(0, 5, (3, 3, 2)), 2, 0), 2, 1), 2, 2)[:, :5]
    atlas = nifti1.Nifti1Image(labels[::size, ::size, ::size].astype(np.int32), np.diag([size, size, size, 1.0]))
    nifti1.save(atlas, tmp_path / "atlas.nii.gz")
    volumes = rng.normal(100, 5, size=(12, *grid))
    run = Recording("s", "1", {"bold": Signal(volumes, RATE, "a.u.", ())}, arrays={"affine": np.eye(4)})
    options = KEEP.model_copy(update={"atlas": str(tmp_path / "atlas.nii.gz")})
    bold = preprocess([run], options)[0].signal("bold")
    masker = NiftiLabelsMasker(atlas, resampling_target="data", standardize=None)
    oracle = masker.fit_transform(nifti1.Nifti1Image(np.moveaxis(volumes, 0, -1), np.eye(4)))
    found = [name for name in range(1, 5) if name in labels[::size, ::size, ::size]]
    assert bold.channels == tuple(f"parcel-{name}" for name in found)
    np.testing.assert_allclose(bold.data, oracle, rtol=1e-5)


def test_an_atlas_of_another_space_is_refused(tmp_path: Path) -> None:
    far = np.eye(4)
    far[:3, 3] = 1000
    nifti1.save(nifti1.Nifti1Image(np.ones((2, 2, 2), np.int32), far), tmp_path / "atlas.nii.gz")
    with pytest.raises(ValueError, match=r"no parcel of .*atlas\.nii\.gz lies in the image"):
        _bold(np.ones((9, 2)), FmriOptions(atlas=str(tmp_path / "atlas.nii.gz")))


def test_constant_voxels_are_refused_or_dropped() -> None:
    series = np.random.default_rng(0).normal(size=(20, 3))
    series[:, 1] = 4
    with pytest.raises(ValueError, match=r"voxel-0-1-0 constant at 4.*preprocess.bad=drop"):
        _bold(series, FmriOptions(mask=False))
    kept = preprocess([_run(series)], FmriOptions(mask=False, bad="drop"))[0].signal("bold")
    assert kept.channels == ("voxel-0-0-0", "voxel-0-2-0")


def test_what_is_no_volume_or_has_no_mask_is_refused() -> None:
    flat = Recording("s", "1", {"bold": Signal(np.ones((4, 2)), RATE, "a.u.", ("a", "b"))})
    with pytest.raises(ValueError, match=r"bold must be \(time, x, y, z\), got shape \(4, 2\)"):
        preprocess([flat], FmriOptions())
    with pytest.raises(ValueError, match=r"unknown array of recording s/1 'mask'"):
        _bold(np.ones((4, 2)), FmriOptions())
    with pytest.raises(ValidationError, match="high_pass"):
        FmriOptions(high_pass=0)
