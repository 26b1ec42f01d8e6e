"""Principal components against an eigendecomposition; their decoder against the full linear model."""

import numpy as np
import pytest

from neurofmx.headline import headline
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.pca import PcaConfig, PcaDecoder, PrincipalComponents
from synthetic import synthetic_windows


def test_directions_are_eigenvectors_of_the_correlation_matrix() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6))).reshape(80, 2, 3) + 7
    features = PrincipalComponents.fit(x, np.zeros(80), components=3)
    values, vectors = np.linalg.eigh(np.corrcoef(x.reshape(80, 6).T))
    overlap = np.abs(features.directions.T @ vectors[:, ::-1][:, :3])
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(features.transform(x).var(0), values[::-1][:3], rtol=1e-9)
    np.testing.assert_allclose(features.transform(x).mean(0), 0, atol=1e-9)


def test_a_silent_channel_is_no_obstacle() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2, 3))
    x[..., 1] = 4
    rows = PrincipalComponents.fit(x, np.zeros(30), components=4).transform(x)
    assert np.all(np.isfinite(rows))


@pytest.mark.parametrize("kind", ["regression", "circular"])
def test_all_components_are_the_linear_model(kind) -> None:
    """With nothing left out, ridge on components is ridge on standardised features with a rescaled strength."""
    windows = synthetic_windows(kind, noise=1.0)
    full = PcaDecoder.fit(windows, 0, PcaConfig(components=(1000,), strengths=(1e-9,)))
    linear = LinearDecoder.fit(windows, 0, LinearConfig(strengths=(1e-9,)))
    x = windows.scaled(0, windows.fold(0).test)
    np.testing.assert_allclose(full.predict(x), linear.predict(x), atol=1e-6)


def test_as_many_components_as_help_on_validation() -> None:
    """The answer lives in two directions of strong variance: few components suffice, one does not."""
    windows = synthetic_windows("circular", noise=0.05)
    decoder = PcaDecoder.fit(windows, 0, PcaConfig(components=(1, 2, 3)))
    assert decoder.readout.weight.shape[0] >= 2
    test = windows.fold(0).test
    one = PcaDecoder.fit(windows, 0, PcaConfig(components=(1,)))
    scores = [
        headline(model.predict(windows.scaled(0, test)), windows.y[test], windows.task) for model in (decoder, one)
    ]
    assert scores[0] > 0.95 > scores[1]


def test_more_components_than_windows_are_cut() -> None:
    x = np.random.default_rng(0).normal(size=(10, 5, 4))
    assert PrincipalComponents.fit(x, np.zeros(10), components=64).directions.shape == (20, 10)
