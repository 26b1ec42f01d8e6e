"""Binning, smoothing and resampling against numpy's histogram, sums and known angles."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.spikes import SpikeOptions, count, preprocess
from neurofmx.preprocessing.steps.alignment import resample
from neurofmx.preprocessing.steps.smoothing import gaussian_kernel, smooth
from neurofmx.recordings.recording import Events, Recording, Signal


def _session(trains: dict[str, np.ndarray], *, start: float = 0.0, seconds: float = 10.0) -> Recording:
    clock = np.arange(int(seconds * 50)) / 50
    angle = Signal((clock * 2.0) % (2 * np.pi), 50.0, "rad", ("heading",), start)
    return Recording("m", "1", {"heading": angle}, {"spikes": Events.from_trains(trains)})


@given(st.lists(st.tuples(st.floats(-1, 3), st.integers(0, 2)), max_size=60), st.integers(1, 40))
def test_counts_are_those_of_a_histogram(spikes: list[tuple[float, int]], bins: int) -> None:
    ordered = sorted(spikes)
    times, units = np.array([t for t, _ in ordered]), np.array([u for _, u in ordered], int)
    edges = np.linspace(0, 2, bins + 1)
    found = count(Events(times, units, ("a", "b", "c")), edges)
    for unit in range(3):
        train = times[units == unit]
        # numpy's last bin holds its right edge, ours does not
        assert found[:, unit].tolist() == np.histogram(train[train < edges[-1]], edges)[0].tolist()


def test_bins_have_their_centre_as_time_and_signals_follow() -> None:
    session = _session({"a": np.array([100.001, 100.049, 100.051, 109.99])}, start=100.0)
    clean = preprocess([session], SpikeOptions(bin_ms=50))[0]
    spikes, heading = clean.signal("spikes"), clean.signal("heading")
    assert (spikes.rate, spikes.start, len(spikes.data)) == (pytest.approx(20.0), pytest.approx(100.025), 200)
    np.testing.assert_allclose(heading.times, spikes.times)
    assert spikes.data[[0, 1, 199], 0].tolist() == [2, 1, 1]
    assert spikes.data.sum() == 4
    inner = heading.times - 100 < 9.97
    expected = 2.0 * (heading.times - 100)
    np.testing.assert_allclose(np.exp(1j * heading.data[inner]), np.exp(1j * expected[inner]), atol=1e-9)
    assert clean.events == {}


def test_only_time_that_every_signal_covers_is_binned() -> None:
    session = _session({"a": np.r_[np.arange(0, 20, 0.1), 5.01]})
    late = Signal(np.zeros(100), 10.0, "m", ("x",), 4.0)
    session = Recording("m", "1", {**session.signals, "x": late}, session.events)
    spikes = preprocess([session], SpikeOptions(bin_ms=1000))[0].signal("spikes")
    assert (spikes.start, len(spikes.data)) == (4.5, 6)
    apart = Recording("m", "1", {**session.signals, "x": Signal(np.zeros(5), 10.0, "m", ("x",), 40.0)}, session.events)
    with pytest.raises(ValueError, match=r"recording m/1: its signals have no bin of 1000 ms in common"):
        preprocess([apart], SpikeOptions(bin_ms=1000))


@given(st.floats(0.1, 0.6), st.floats(-7, 7))
def test_an_angle_is_resampled_across_the_wrap(step: float, begin: float) -> None:
    steady = begin + step * np.arange(40)
    signal = Signal(steady % (2 * np.pi), 1.0, "rad", ("x",))
    times = np.linspace(0, 39, 97)
    found = resample(signal, times)
    np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * (begin + step * times)), atol=1e-9)
    assert ((found >= 0) & (found < 2 * np.pi + 1e-12)).all()


def test_other_signals_are_interpolated_in_a_straight_line() -> None:
    signal = Signal(np.array([[0.0, 6.2], [2.0, 0.2]]), 1.0, "m", ("x", "y"), 5.0)
    np.testing.assert_allclose(resample(signal, np.array([5.25])), [[0.5, 4.7]])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_the_kernel_sums_to_one_and_keeps_a_constant(causal: bool, sigma: float) -> None:
    kernel = gaussian_kernel(sigma, causal=causal)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(smooth(np.full((50, 2), 3.0), kernel), 3.0)


def test_smoothing_away_from_the_ends_is_scipy_s() -> None:
    data = np.random.default_rng(0).poisson(2.0, size=(300, 4)).astype(float)
    oracle = gaussian_filter1d(data, 3.0, axis=0, truncate=4.0)
    ours = smooth(data, gaussian_kernel(3.0, causal=False))
    np.testing.assert_allclose(ours[12:-12], oracle[12:-12], atol=1e-12)


def test_causal_smoothing_never_sees_the_future() -> None:
    data = np.random.default_rng(0).normal(size=(100, 1))
    changed = data.copy()
    changed[60:] += 5
    kernel = gaussian_kernel(4.0, causal=True)
    before, after = smooth(data, kernel), smooth(changed, kernel)
    np.testing.assert_array_equal(before[:60], after[:60])
    assert (before[60:] != after[60:]).all()
    impulse = smooth(np.eye(100)[:, [50]], kernel)[50:67, 0]
    np.testing.assert_allclose(impulse / impulse[0], np.exp(-0.5 * (np.arange(17) / 4.0) ** 2))


def test_the_square_root_is_taken_before_smoothing() -> None:
    trains = {"a": np.sort(np.random.default_rng(0).uniform(0, 10, 300))}
    options = {"bin_ms": 100.0, "smoothing": "centred", "sigma_ms": 200.0}
    counts = preprocess([_session(trains)], SpikeOptions(bin_ms=100.0))[0].signal("spikes").data
    found = preprocess([_session(trains)], SpikeOptions(sqrt=True, **options))[0].signal("spikes").data
    np.testing.assert_allclose(found, smooth(np.sqrt(counts), gaussian_kernel(2.0, causal=False)), rtol=1e-5)


def test_silent_units_are_refused_or_dropped_and_rare_ones_left_out() -> None:
    trains = {"silent": np.zeros(0), "rare": np.array([1.0]), "busy": np.arange(0, 10, 0.07)}
    with pytest.raises(ValueError, match=r"silent constant at 0.*preprocess.bad=drop"):
        preprocess([_session(trains)], SpikeOptions())
    for options, names in (({"bad": "drop"}, ("rare", "busy")), ({"min_rate": 0.5}, ("busy",))):
        assert preprocess([_session(trains)], SpikeOptions(**options))[0].signal("spikes").channels == names


def test_a_rare_unit_of_one_recording_is_left_out_of_all() -> None:
    often, seldom = np.arange(0, 10, 0.07), np.array([3.0])
    sessions = [_session({"a": often, "b": often}), _session({"a": often, "b": seldom})]
    kept = preprocess(sessions, SpikeOptions(min_rate=1.0))
    assert [recording.signal("spikes").channels for recording in kept] == [("a",), ("a",)]


def test_the_real_session_loses_no_spike(raw: Callable[[str], Path]) -> None:
    (session,) = DATASETS["peyrache_a2929"]().read(raw("peyrache_a2929"))
    (clean,) = preprocess([session], SpikeOptions(bin_ms=100))
    spikes, head = clean.signal("spikes"), clean.signal("head_direction")
    edges = spikes.start - 0.05 + np.arange(len(spikes.data) + 1) * 0.1
    inside = session.event("spikes").slice(edges[0], edges[-1])
    assert spikes.data.sum() == len(inside.times)
    for unit, name in enumerate(spikes.channels):
        np.testing.assert_array_equal(spikes.data[:, unit], np.histogram(inside.of(name), edges)[0])
    fine = session.signal("head_direction")
    nearest = fine.data[np.rint((head.times - fine.start) * fine.rate).astype(int)]
    step = np.abs(np.diff(np.unwrap(fine.data))).max()
    assert (np.abs(np.angle(np.exp(1j * (head.data - nearest)))) <= step).all()


def _counted(bins: int = 12, *, rate: float = 8.0, start: float = 3.0) -> Recording:
    """Counts that were binned at the source, an angle with gaps on the same clock, a speed on another one."""
    counts = np.random.default_rng(0).poisson(3, (bins, 3)).astype(np.uint8)
    angle = np.where(np.arange(bins) % 5 == 2, np.nan, np.arange(bins) % 6)
    return Recording(
        "m",
        "1",
        {
            "spikes": Signal(counts, rate, "spikes", ("a", "b", "c"), start),
            "place": Signal(angle, rate, "rad", ("place",), start),
            "speed": Signal(np.arange(4.0 * bins), 4 * rate, "m/s", ("speed",), start),
        },
    )


def test_counts_of_the_source_are_kept_as_they_are() -> None:
    made = _counted()
    (clean,) = preprocess([made], SpikeOptions(bin_ms=None))
    spikes = clean.signal("spikes")
    np.testing.assert_array_equal(spikes.data, made.signal("spikes").data)
    assert (spikes.rate, spikes.start) == (8.0, 3.0)
    np.testing.assert_array_equal(clean.signal("place").data, made.signal("place").data)
    np.testing.assert_allclose(clean.signal("speed").data, 4.0 * np.arange(12))
    (same,) = preprocess([made], SpikeOptions(bin_ms=125.0))
    np.testing.assert_array_equal(same.signal("spikes").data, spikes.data)


def test_whole_bins_of_the_source_are_added_up() -> None:
    made = _counted(13)
    (clean,) = preprocess([made], SpikeOptions(bin_ms=375.0))
    spikes, speed = clean.signal("spikes"), clean.signal("speed")
    np.testing.assert_array_equal(spikes.data, made.signal("spikes").data[:12].astype(int).reshape(4, 3, 3).sum(1))
    assert (spikes.rate, spikes.start, len(speed.data)) == (pytest.approx(8 / 3), 3.0, 4)
    # the middle of three bins is one bin, or four samples of the speed, behind the first
    np.testing.assert_allclose(speed.data, 4 + 12 * np.arange(4))
    full = made.with_signal("spikes", Signal(200 + np.eye(12, 1, dtype=np.uint8), 8.0, "spikes", ("a",), 3.0))
    (sums,) = preprocess([full], SpikeOptions(bin_ms=375.0))
    assert sums.signal("spikes").data[:, 0].tolist() == [601, 600, 600, 600], "no overflow of bytes"


@pytest.mark.parametrize("bin_ms", [20.0, 100.0, 200.0, 50000.0])
def test_bins_of_the_source_are_never_split(bin_ms: float) -> None:
    with pytest.raises(ValueError, match=rf"preprocess.bin_ms={bin_ms:g}.*m/1 holds counts in 12 bins of 125 ms"):
        preprocess([_counted()], SpikeOptions(bin_ms=bin_ms))


def test_options_that_counts_or_times_do_not_allow_are_refused() -> None:
    with pytest.raises(ValueError, match="bin_ms=null: recording m/1 holds spike times"):
        preprocess([_session({"a": np.arange(0, 10, 0.1)})], SpikeOptions(bin_ms=None))
    negative = Signal(np.array([[1.0], [-1.0]]), 8.0, "spikes", ("a",))
    with pytest.raises(ValueError, match=r"preprocess.sqrt: recording m/1 holds spike counts below 0"):
        preprocess([Recording("m", "1", {"spikes": negative})], SpikeOptions(bin_ms=None, sqrt=True))


def test_counts_are_smoothed_in_their_own_bins() -> None:
    made = _counted(200)
    options = SpikeOptions(bin_ms=None, smoothing="centred", sigma_ms=187.5)
    found = preprocess([made], options)[0].signal("spikes").data
    oracle = gaussian_filter1d(made.signal("spikes").data.astype(float), 1.5, axis=0)
    np.testing.assert_allclose(found[6:-6], oracle[6:-6], rtol=1e-5)
    assert options.reach == 0.75
