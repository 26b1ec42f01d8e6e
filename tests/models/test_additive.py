"""Bent features: what they can draw, against closed forms and scikit-learn."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import SplineTransformer

from neurofmx.datasets import DATASETS
from neurofmx.headline import headline
from neurofmx.models.fitted.features.additive import BrokenLines, Landmarks
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.preprocessing.trajectory import TrajectoryOptions, preprocess
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from synthetic import synthetic_windows

RNG = np.random.default_rng(0)


def test_broken_lines_are_splines_of_the_first_degree() -> None:
    x = RNG.normal(size=(200, 1, 3))
    found = BrokenLines.fit(x, np.zeros(200), knots=5).transform(x)
    expected = SplineTransformer(5, degree=1, knots="quantile", extrapolation="constant").fit_transform(x[:, 0])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_beyond_the_knots_and_where_they_are_equal_lines_hold() -> None:
    x = np.array([0.0, 0, 0, 0, 1, 2]).reshape(-1, 1, 1)
    lines = BrokenLines.fit(x, np.zeros(6), knots=5)
    rows = lines.transform(np.array([-9.0, 0.5, 9.0]).reshape(-1, 1, 1))
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    np.testing.assert_allclose(rows[[0, 2]], np.eye(rows.shape[1])[[0, -1]])


def test_landmarks_multiply_to_the_gaussian_kernel() -> None:
    x = RNG.normal(size=(40, 2, 3))
    rows = Landmarks.fit(x, np.zeros(40), landmarks=40, width=0.7).transform(x)
    expected = RBF(0.7 * np.sqrt(6))(x.reshape(40, 6))
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-6)


def test_a_readout_on_landmarks_is_kernel_ridge() -> None:
    x, y = RNG.normal(size=(60, 1, 2)), RNG.normal(size=60)
    rows = Landmarks.fit(x, y, landmarks=60, width=1.0).transform(x)
    weight = np.linalg.solve(rows.T @ rows + 0.3 * np.eye(rows.shape[1]), rows.T @ y)
    kernel = KernelRidge(alpha=0.3, kernel="rbf", gamma=1 / (2 * 2)).fit(x[:, 0], y)
    np.testing.assert_allclose(rows @ weight, kernel.predict(x[:, 0]), atol=1e-5)


def test_auto_bends_trajectories_and_validation_decides_how() -> None:
    windows = synthetic_windows("regression", modality="trajectory")
    straight = LinearDecoder.fit(windows, 0, LinearConfig())
    assert "lines.knots" not in straight.arrays()  # a linear pattern needs none
    bent = synthetic_windows("regression", modality="trajectory", windows=300)
    object.__setattr__(bent, "y", np.abs(bent.x[:, 0, :2]).astype(np.float64))
    decoder, test = LinearDecoder.fit(bent, 0, LinearConfig()), bent.fold(0).test
    assert {"lines.knots", "landmarks.centres"} & set(decoder.arrays())
    assert headline(decoder.predict(bent.scaled(0, test)), bent.y[test], bent.task) > 0.9
    back = LinearDecoder.from_arrays(decoder.arrays())
    np.testing.assert_array_equal(back.predict(bent.scaled(0, test)), decoder.predict(bent.scaled(0, test)))


@pytest.mark.skipif("NEUROFMX_MIRROR" not in os.environ, reason="needs real robots: set NEUROFMX_MIRROR to a mirror")
@pytest.mark.parametrize(
    ("name", "options", "cleaning", "features", "reference"),
    [
        ("scitos", {}, {}, LinearConfig(features="flat", strengths=(1.0,)), 0.698),
        (
            "scitos",
            {},
            {"arc": 5},
            LinearConfig(features="lines", knots=(17,), strengths=(1.0, 10.0)),
            0.993,
        ),
        ("sarcos", {"order": "shuffled"}, {}, LinearConfig(widths=(1.0,), strengths=(1.0, 10.0)), 0.977),
    ],
)
def test_reaches_the_reference_on_robots(name, options, cleaning, features, reference, tmp_path: Path) -> None:
    """References: logistic regression and a forest in time order, and kernel ridge on random rows."""
    dataset = DATASETS[name](**options)
    dataset.download(tmp_path, mirror=os.environ["NEUROFMX_MIRROR"], cache=tmp_path)
    windows = cut(
        preprocess(dataset.read(tmp_path), TrajectoryOptions(**cleaning)),
        signal="trajectory",
        task=dataset.task,
        split=dataset.split,
        options=CutOptions(anchor="sample", start=0, stop=1 / dataset.expected.rate),
        modality="trajectory",
        dataset=name,
    )
    part = windows.fold(0).test
    decoder = LinearDecoder.fit(windows, 0, features)
    found = headline(decoder.predict(windows.scaled(0, part)), windows.y[part], windows.task)
    assert found > reference - 0.01
