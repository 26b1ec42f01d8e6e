"""Features of oscillations against MNE, pyRiemann, scikit-learn and what they must not depend on."""

import itertools

import mne
import numpy as np
import pytest
from mne.decoding import CSP
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace as PyRiemannTangentSpace
from scipy.signal import periodogram

from neurofmx.models.fitted.features.additive import BrokenLines, Landmarks
from neurofmx.models.fitted.features.course import Course
from neurofmx.models.fitted.features.oscillations import (
    BandPower,
    CommonSpatialPatterns,
    Flat,
    TangentSpace,
    band_edges,
    shrunk_covariances,
)
from neurofmx.models.pca import PrincipalComponents


@pytest.fixture
def trials() -> tuple[np.ndarray, np.ndarray]:
    """Windows of mixed sources `(n, t, c)`; the power of two sources depends on the label."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    sources = rng.normal(size=(40, 100, 6))
    sources[:, :, 0] *= np.where(y, 3.0, 1.0)[:, None]
    sources[:, :, 1] *= np.where(y, 1.0, 3.0)[:, None]
    return sources @ rng.normal(size=(6, 6)), y


def test_flat_keeps_every_sample_in_order() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(Flat.fit(x, np.zeros(2)).transform(x), x.reshape(2, 12))
    assert Flat().arrays() == {}


def test_csp_transforms_as_mne(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    with mne.utils.use_log_level("ERROR"):
        theirs = CSP(n_components=4, reg="oas", log=True, norm_trace=False).fit(x.transpose(0, 2, 1), y)
        expected = theirs.transform(x.transpose(0, 2, 1))
    np.testing.assert_allclose(CommonSpatialPatterns.fit(x, y).transform(x), expected, rtol=1e-9)


def test_csp_finds_the_source_whose_power_tells(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    rows = CommonSpatialPatterns.fit(x[:20], y[:20], components=2).transform(x[20:])
    separation = np.abs(rows[y[20:] == 1].mean(0) - rows[y[20:] == 0].mean(0)) / rows.std(0)
    assert np.all(separation > 1.5)


def test_covariances_shrink_as_pyriemann(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = trials
    for windows in (x, x[:, :5]):  # also with fewer samples than channels
        expected = Covariances("oas").transform(windows.transpose(0, 2, 1))
        np.testing.assert_allclose(shrunk_covariances(windows), expected, rtol=1e-10)


def test_tangent_space_is_that_of_pyriemann(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    covariances = Covariances("oas").transform(x.transpose(0, 2, 1))
    theirs = PyRiemannTangentSpace().fit(covariances[:30])
    ours = TangentSpace.fit(x[:30], y[:30])
    np.testing.assert_allclose(ours.reference, theirs.reference_, rtol=1e-6)
    np.testing.assert_allclose(ours.transform(x), theirs.transform(covariances), atol=1e-6)


def test_lengths_are_riemannian_distances(trials: tuple[np.ndarray, np.ndarray]) -> None:
    """The length of a tangent vector is the distance sqrt(sum log^2 of generalised eigenvalues) to the mean."""
    from scipy.linalg import eigh

    x, y = trials
    features = TangentSpace.fit(x, y)
    for row, covariance in zip(features.transform(x), shrunk_covariances(x), strict=True):
        eigenvalues = eigh(covariance, features.reference, eigvals_only=True)
        assert np.linalg.norm(row) == pytest.approx(np.sqrt(np.sum(np.log(eigenvalues) ** 2)))


def test_tangent_vectors_of_the_training_windows_average_to_nothing(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    np.testing.assert_allclose(TangentSpace.fit(x, y).transform(x).mean(0), 0, atol=1e-6)


def test_a_constant_offset_of_a_channel_changes_nothing(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = trials
    np.testing.assert_allclose(shrunk_covariances(x + np.arange(6)), shrunk_covariances(x), atol=1e-9)


def test_covariances_leave_out_what_pads_a_window() -> None:
    whole = np.random.default_rng(0).normal(size=(3, 20, 4)) + 0.5
    padded = np.concatenate([whole, np.zeros((3, 11, 4))], axis=1)
    np.testing.assert_allclose(shrunk_covariances(padded), shrunk_covariances(whole), rtol=1e-12)


def test_band_powers_are_means_of_scipys_periodogram(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    window = np.hanning(100)
    _, density = periodogram(x, 1.0, window=window, detrend="constant", axis=1, scaling="density")
    density[:, 1:-1] /= 2  # ours counts each line once
    edges = band_edges(100)
    expected = np.stack([density[:, a:b].mean(axis=1) for a, b in itertools.pairwise(edges)], axis=1)
    expected = np.log(expected * np.sum(window**2) / 100).reshape(len(x), -1)
    np.testing.assert_allclose(BandPower.fit(x, y).transform(x), expected, rtol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 7, 50, 52, 250, 1000])
def test_bands_hold_every_line_but_that_of_the_mean_once(samples: int) -> None:
    edges = band_edges(samples)
    assert (edges[0], edges[-1]) == (min(1, samples // 2), samples // 2 + 1)
    assert np.all(np.diff(edges) >= 1)
    wide = edges[1:][np.diff(edges) > 2]
    assert np.all(np.diff(edges)[np.isin(edges[1:], wide)] / wide < 0.3)
    x = np.random.default_rng(0).normal(size=(2, samples, 3))
    rows = BandPower.fit(x, np.zeros(2)).transform(x)
    assert rows.shape == (2, 3 * (len(edges) - 1))
    assert np.isfinite(rows).all()


def without(x: np.ndarray, channel: int, windows: slice = slice(None)) -> np.ndarray:
    """The windows, some of them of a recording that lacks a channel."""
    lacking = x.copy()
    lacking[windows, :, channel] = np.nan
    return lacking


def test_covariances_of_recordings_that_lack_a_channel(trials: tuple[np.ndarray, np.ndarray]) -> None:
    """Those of the channels that there are, by pyRiemann; the absent one has their mean variance and no relation."""
    x, _ = trials
    found = shrunk_covariances(without(x, 4, slice(10, None)))
    np.testing.assert_array_equal(found[:10], shrunk_covariances(x[:10]))
    kept = [0, 1, 2, 3, 5]
    expected = Covariances("oas").transform(x[10:][..., kept].transpose(0, 2, 1))
    np.testing.assert_allclose(found[10:][:, kept][..., kept], expected, rtol=1e-10)
    assert not found[10:, 4, kept].any()
    assert not found[10:][:, kept, 4].any()
    np.testing.assert_allclose(found[10:, 4, 4], [np.diag(each).mean() for each in expected])


def test_a_recording_that_lacks_a_channel_lies_among_the_others(trials: tuple[np.ndarray, np.ndarray]) -> None:
    """A channel at 0 has no power, which is far from any: the tangent vectors would tell which recording it is."""
    x, y = trials
    x = x / x.std((0, 1))
    features = TangentSpace.fit(x[:20], y[:20])
    lengths = {
        name: np.linalg.norm(features.transform(each), axis=1).mean()
        for name, each in {"all": x[20:], "absent": without(x[20:], 4), "silent": x[20:] * (np.arange(6) != 4)}.items()
    }
    assert lengths["absent"] - lengths["all"] < 0.5 * (lengths["silent"] - lengths["all"])


def test_band_power_of_an_absent_channel_is_that_of_the_others(trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    features, kept = BandPower.fit(x, y), [0, 1, 2, 3, 5]
    found = features.transform(without(x, 4, slice(10, None))).reshape(40, -1, 6)
    whole = features.transform(x).reshape(40, -1, 6)
    np.testing.assert_array_equal(found[:10], whole[:10])
    np.testing.assert_array_equal(found[10:][..., kept], whole[10:][..., kept])
    np.testing.assert_allclose(found[10:, :, 4], whole[10:][..., kept].mean(2))


@pytest.mark.parametrize(
    "fit",
    [
        Flat.fit,
        lambda x, y: BrokenLines.fit(x, y, knots=5),
        lambda x, y: Landmarks.fit(x, y, landmarks=10, width=1.0),
        lambda x, y: PrincipalComponents.fit(x, y, components=5),
        CommonSpatialPatterns.fit,
        Course.fit,
    ],
    ids=["flat", "lines", "smooth", "pca", "csp", "course"],
)
def test_to_the_others_an_absent_channel_is_at_its_mean(fit, trials: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = trials
    lacking = without(x, 4, slice(10, None))
    features, same = fit(lacking, y), fit(np.nan_to_num(lacking), y)
    np.testing.assert_array_equal(features.transform(lacking), same.transform(np.nan_to_num(lacking)))
    assert np.isfinite(features.transform(lacking)).all()
