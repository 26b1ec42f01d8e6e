"""dF/F against windows sorted one by one, and the rest of the way from fluorescence to a clean signal."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.calcium import CalciumOptions, preprocess, relative_change
from neurofmx.recordings.recording import Recording, Signal

RATE = 10.0


def recording(data: np.ndarray, session: str = "1", **others: np.ndarray) -> Recording:
    cells = tuple(f"cell-{i}" for i in range(data.shape[1]))
    signals = {"calcium": Signal(data, RATE, "a.u.", cells, 2.0)}
    signals |= {name: Signal(each, RATE, "a.u.", cells, 2.0) for name, each in others.items()}
    return Recording("m", session, signals)


def clean(made: Recording, **options: object) -> Recording:
    return preprocess([made], CalciumOptions(**options))[0]


@given(st.integers(1, 30), st.sampled_from([0, 8, 50, 100]), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_the_baseline_is_a_percentile_of_the_window_around_each_sample(window: int, percentile: int, seed: int) -> None:
    data = 1 + np.random.default_rng(seed).random((25, 2))
    before, after = window // 2, window - window // 2
    mirrored = np.concatenate([data[::-1], data, data[::-1]])
    expected = np.empty_like(data)
    for t in range(25):
        ordered = np.sort(mirrored[25 + t - before : 25 + t + after], axis=0)
        rank = window - 1 if percentile == 100 else int(window * percentile / 100)
        expected[t] = data[t] / ordered[rank] - 1
    np.testing.assert_allclose(relative_change(data, window=window, percentile=percentile), expected, atol=1e-12)


def test_transients_on_a_fading_lamp_have_the_size_they_had() -> None:
    """Closed form: F = F0(t) (1 + transients), so dF/F is the transients wherever the baseline is found."""
    rng = np.random.default_rng(0)
    events = (rng.random((3000, 2)) < 0.01).astype(float)
    transients = lfilter([0.5], [1, -0.8], events, axis=0)
    lamp = 100 * np.exp(-np.arange(3000) / 20000)[:, None]
    found = clean(recording(lamp * (1 + transients)), baseline_s=30.0).signal("calcium")
    assert np.abs(found.data[300:-300] - transients[300:-300]).max() < 0.05
    assert found.data.dtype == np.float32


def test_light_from_around_a_cell_is_subtracted() -> None:
    rng = np.random.default_rng(0)
    own, around = 50 + rng.random((400, 2)), 20 + rng.random((400, 2))
    made = recording(own + 0.7 * around, neuropil=around)
    found, plain = clean(made), clean(recording(own))
    np.testing.assert_allclose(found.signal("calcium").data, plain.signal("calcium").data, atol=1e-6)
    assert "neuropil" not in found.signals
    assert not np.allclose(clean(made, neuropil=0.0).signal("calcium").data, plain.signal("calcium").data, atol=1e-3)
    other = Signal(around[:-1], RATE, "a.u.", ("cell-0", "cell-1"), 2.0)
    with pytest.raises(ValueError, match=r"recording m/1: signal neuropil has \(399, 2\) samples .* \(400, 2\)"):
        clean(made.with_signal("neuropil", other))


@pytest.mark.parametrize("source", ["dff", "events"])
def test_what_the_source_made_already_is_taken_as_it_is(source: str) -> None:
    data = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    found = clean(recording(data), source=source).signal("calcium")
    np.testing.assert_array_equal(found.data, data)
    assert (found.rate, found.start) == (RATE, 2.0)


def test_behaviour_is_taken_to_the_clock_of_the_cells() -> None:
    made = recording(np.random.default_rng(0).normal(size=(80, 2)))
    turning = Signal((0.3 * np.arange(400) / 5) % (2 * np.pi), 50.0, "rad", ("heading",), 1.0)
    made = made.with_signal("heading", turning)
    for rate in (None, 5.0, 20.0):
        found = clean(made, source="dff", rate=rate)
        cells, heading = found.signal("calcium"), found.signal("heading")
        assert (len(cells.data), cells.rate) == (80 * (rate or RATE) / RATE, rate or RATE)
        np.testing.assert_allclose(heading.times, cells.times)
        inside = cells.times < 8.9
        expected = 3.0 * (cells.times - 1.0)
        np.testing.assert_allclose(np.exp(1j * heading.data[inside]), np.exp(1j * expected[inside]), atol=1e-9)


def test_a_slow_wave_keeps_its_shape_at_another_rate() -> None:
    times = 2.0 + np.arange(600) / RATE
    wave = np.stack([np.sin(2 * np.pi * 0.2 * times), 3 + 0.1 * times], axis=1)
    found = clean(recording(wave), source="dff", rate=4.0).signal("calcium")
    expected = np.stack([np.sin(2 * np.pi * 0.2 * found.times), 3 + 0.1 * found.times], axis=1)
    np.testing.assert_allclose(found.data[20:-20], expected[20:-20], atol=0.01)
    with pytest.raises(ValueError, match=r"preprocess.rate must be a ratio of whole numbers"):
        clean(recording(wave), source="dff", rate=RATE * np.pi)


def test_smoothing_is_scipy_s_away_from_the_ends() -> None:
    data = np.random.default_rng(0).normal(size=(200, 2))
    options = {"source": "dff", "smoothing": "centred", "sigma_ms": 300.0}
    found = clean(recording(data), **options).signal("calcium").data
    np.testing.assert_allclose(found[12:-12], gaussian_filter1d(data, 3.0, axis=0)[12:-12], atol=1e-6)
    assert CalciumOptions(**options).reach == pytest.approx(1.2)
    assert CalciumOptions(source="dff", rate=5.0).reach > 0


def test_quiet_cells_are_left_out_of_every_recording() -> None:
    events = np.zeros((50, 3))
    events[::7, 0], events[:3, 1], events[::2, 2] = 1, 2, 3
    busy = np.ones((50, 3)) * (np.arange(50)[:, None] % 2)
    sessions = [recording(events, "1"), recording(busy, "2")]
    kept = preprocess(sessions, CalciumOptions(source="events", min_events=5))
    assert [each.signal("calcium").channels for each in kept] == [("cell-0", "cell-2")] * 2
    with pytest.raises(ValidationError, match=r"min_events=5: needs source=events, got fluorescence"):
        CalciumOptions(min_events=5)


def test_a_cell_without_a_baseline_is_named() -> None:
    data = 1 + np.random.default_rng(0).random((100, 2))
    with pytest.raises(ValueError, match=r"recording m/1: the baseline of cell-1 is not above 0.*'dff'"):
        clean(recording(data - [0, 1.9]))
    with pytest.raises(ValueError, match=r"cell-0 constant at 5.*preprocess.bad=drop"):
        clean(recording(np.stack([np.full(100, 5.0), data[:, 1]], axis=1)))
    spoilt = data.copy()
    spoilt[3, 1] = np.nan
    assert clean(recording(spoilt), bad="drop").signal("calcium").channels == ("cell-0",)


def test_the_simulated_cells_follow_their_spikes() -> None:
    """The generated session holds its truth: fluorescence is the spikes through a decay, and noise."""
    made = DATASETS["simulated"](minutes=1, units=4, noise=0.1).generate()[0]
    shining = made.signal("calcium")
    bright = made.with_signal("calcium", Signal(20 + shining.data, shining.rate, "a.u.", shining.channels))
    found = clean(bright, baseline_s=10.0, rate=50.0)
    truth = shining.data[::4]
    for cell, expected in zip(found.signal("calcium").data.T, truth.T, strict=True):
        assert np.corrcoef(cell, expected)[0, 1] > 0.9
    assert found.signal("head_direction").rate == 50.0


def test_real_dff_and_events_pass_through(raw: Callable[[str], Path]) -> None:
    (session,) = DATASETS["tu2020"]().read(raw("tu2020"))
    np.testing.assert_array_equal(
        clean(session, source="dff").signal("calcium").data, session.signal("calcium").data.astype(np.float32)
    )
    mouse = DATASETS["sheintuch2022"](mice=("C5M1",), sessions=(0,)).read(raw("sheintuch2022"))
    (kept,) = preprocess(mouse, CalciumOptions(source="events", min_events=6, bad="drop"))
    assert len(kept.signal("calcium").channels) == 322, "as many as the description of the set counts"
