"""Trajectories: resampling keeps what was measured, and arcs are the nearest of their sensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofmx.preprocessing.trajectory import TrajectoryOptions, box_means, preprocess
from neurofmx.recordings.recording import Recording, Signal


def recording(data: np.ndarray, *, rate: float = 10.0) -> Recording:
    heading = np.linspace(0, 4 * np.pi, len(data), endpoint=False) % (2 * np.pi)
    return Recording(
        "robot",
        "1",
        {
            "trajectory": Signal(data, rate, "m", tuple(f"sonar-{i}" for i in range(data.shape[1])), start=2.0),
            "heading": Signal(heading, rate, "rad", ("heading",), start=2.0),
        },
    )


def some(samples: int = 40, channels: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(samples, channels))


def test_without_options_nothing_changes() -> None:
    given_ = recording(some())
    (clean,) = preprocess([given_], TrajectoryOptions())
    np.testing.assert_array_equal(clean.signal("trajectory").data, given_.signal("trajectory").data.astype(np.float32))
    assert clean.signal("heading") is given_.signal("heading")


def test_a_slower_rate_is_the_mean_of_what_it_covers() -> None:
    data = some()
    (clean,) = preprocess([recording(data)], TrajectoryOptions(rate=2.5))
    found = clean.signal("trajectory")
    np.testing.assert_allclose(found.data, data.reshape(10, 4, 6).mean(axis=1), rtol=1e-5)  # single precision
    assert (found.rate, found.start, found.stop) == (2.5, 2.0, 6.0)


def test_a_faster_rate_holds_each_sample() -> None:
    data = some()
    np.testing.assert_allclose(box_means(data, old=10.0, new=30.0), np.repeat(data, 3, axis=0))


@given(st.floats(0.7, 47.0))
def test_any_rate_keeps_the_mean_of_the_time_it_covers(rate: float) -> None:
    data = some()
    found = box_means(data, old=10.0, new=rate)
    fine = np.repeat(data, 1000, axis=0)[: round(len(found) / rate * 10_000)]
    np.testing.assert_allclose(found.mean(axis=0), fine.mean(axis=0), atol=2e-3)


def test_an_angle_is_averaged_the_short_way_round() -> None:
    (clean,) = preprocess([recording(some())], TrajectoryOptions(rate=2.5))
    heading = clean.signal("heading").data
    expected = (np.arange(10) * 4 + 1.5) * 4 * np.pi / 40 % (2 * np.pi)
    np.testing.assert_allclose(heading, expected)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_an_arc_is_the_nearest_of_its_sensors(width: int) -> None:
    data = some()
    (clean,) = preprocess([recording(data)], TrajectoryOptions(arc=width))
    found = clean.signal("trajectory")
    assert found.channels[6:] == tuple(f"arc-sonar-{i}" for i in range(6))
    np.testing.assert_array_equal(found.data[:, :6], data.astype(np.float32))
    for sensor in range(6):
        around = [(sensor + k) % 6 for k in range(-(width - 1 - width // 2), width // 2 + 1)]
        np.testing.assert_array_equal(found.data[:, 6 + sensor], data[:, around].min(axis=1).astype(np.float32))


def test_what_cannot_be_done_is_refused() -> None:
    flat = some()
    flat[:, 2] = 5.0
    with pytest.raises(ValueError, match=r"robot/1, signal trajectory: .*sonar-2 constant at 5.*preprocess.bad=drop"):
        preprocess([recording(flat)], TrajectoryOptions())
    (kept,) = preprocess([recording(flat)], TrajectoryOptions(bad="drop"))
    assert "sonar-2" not in kept.signal("trajectory").channels
    with pytest.raises(ValueError, match=r"preprocess.arc=7: must be at most the 6 sensors"):
        preprocess([recording(some())], TrajectoryOptions(arc=7))
    with pytest.raises(ValueError, match=r"preprocess.rate=0.1: recording robot/1 lasts 4 s, less than a sample"):
        preprocess([recording(some())], TrajectoryOptions(rate=0.1))


def test_a_channel_that_never_changes_may_be_kept_but_none_that_is_not_finite() -> None:
    data = np.random.default_rng(0).normal(size=(20, 3))
    data[:, 1] = 0.5
    made = Recording("robot", "1", {"trajectory": Signal(data, 10.0, "m", ("a", "b", "c"))})
    with pytest.raises(ValueError, match=r"b constant at 0.5"):
        preprocess([made], TrajectoryOptions())
    (kept,) = preprocess([made], TrajectoryOptions(bad="keep"))
    np.testing.assert_array_equal(kept.signal("trajectory").data, data.astype(np.float32))
    data[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"a 1 of 20 samples are not finite"):
        preprocess([made], TrajectoryOptions(bad="keep"))
