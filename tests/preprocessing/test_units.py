"""Quality of units against definitions computed spike by spike, and what is left out because of it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.spikes import SpikeOptions, preprocess
from neurofmx.preprocessing.steps.units import presence, violations
from neurofmx.recordings.recording import Events, Recording, Signal

SECONDS = 100.0


def recording(trains: dict[str, np.ndarray], session: str = "1", **arrays: np.ndarray) -> Recording:
    clock = Signal(np.zeros(int(SECONDS)), 1.0, "m", ("x",))
    return Recording("m", session, {"x": clock}, {"spikes": Events.from_trains(trains)}, arrays=arrays)


def kept(recordings: list[Recording], **options: object) -> list[tuple[str, ...]]:
    return [each.signal("spikes").channels for each in preprocess(recordings, SpikeOptions(bin_ms=100.0, **options))]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1000)), max_size=60), st.integers(1, 50))
def test_violations_are_short_intervals_counted_one_by_one(spikes: list[tuple[int, int]], limit: int) -> None:
    trains = {str(unit): np.sort([t / 1000 for u, t in spikes if u == unit]) for unit in range(3)}
    found = violations(Events.from_trains(trains), (limit - 0.5) / 1000)
    for share, train in zip(found, trains.values(), strict=True):
        intervals = [round(1000 * (b - a)) for a, b in pairwise(train)]
        expected = sum(i < limit for i in intervals) / len(intervals) if intervals else 0.0
        assert share == pytest.approx(expected)


def test_presence_counts_hundredths() -> None:
    counts = np.zeros((1000, 3))
    counts[:300, 0] = 4  # the first 30 hundredths
    counts[::10, 1] = 1  # one bin of each
    assert presence(counts).tolist() == [0.3, 1.0, 0.0]
    assert presence(counts[:7, :1] + [[0, 1]]).tolist() == [1.0, 1.0], "fewer bins than hundredths are taken one by one"


def test_each_option_leaves_out_what_it_names() -> None:
    rng = np.random.default_rng(0)
    steady = np.arange(0, SECONDS, 0.07) + 0.01
    trains = {
        "good": steady,
        "bursts": np.sort(np.r_[steady, steady + 0.001]),  # half of its intervals are 1 ms
        "lost": np.sort(rng.uniform(0, 20, 400)),  # drifts out of reach
        "rare": np.arange(0.5, SECONDS, 2.0),
        "noise": steady + 0.003,
    }
    session = recording(trains, spikes_quality=np.array(["good", "good", "good", "mua", "noise"]))
    everything = tuple(trains)

    def without(*names: str) -> list[tuple[str, ...]]:
        return [tuple(name for name in everything if name not in names)]

    assert kept([session]) == without()
    assert kept([session], min_rate=1.0) == without("rare")
    assert kept([session], min_presence=0.3) == without("lost")
    assert kept([session], max_violations=0.1) == without("bursts")
    assert kept([session], max_violations=0.1, refractory_ms=0.5) == without()
    assert kept([session], quality=("good", "mua")) == without("noise")
    assert kept([session], quality=("good",), min_presence=0.3, max_violations=0.1) == [("good",)]


def test_a_unit_that_fails_once_is_left_out_everywhere_and_named(caplog: pytest.LogCaptureFixture) -> None:
    often, early = np.arange(0, SECONDS, 0.07), np.arange(0, 10, 0.07)
    sessions = [recording({"a": often, "b": often}, "1"), recording({"a": often, "b": early}, "2")]
    assert kept(sessions, min_presence=0.5) == [("a",), ("a",)]
    assert "left out 1 units: b present in 10%" in caplog.text


def test_labels_and_positions_stay_beside_their_units() -> None:
    often = np.arange(0, SECONDS, 0.07)
    places, labels = np.arange(6.0).reshape(2, 3), np.array(["mua", "good"])
    session = recording({"a": often, "b": often}, spikes_positions=places, spikes_quality=labels)
    (clean,) = preprocess([session], SpikeOptions(bin_ms=100.0, quality=("good",)))
    assert clean.array("spikes_positions").tolist() == [[3, 4, 5]]
    assert clean.array("spikes_quality").tolist() == ["good"]


def test_what_is_not_known_of_a_unit_cannot_be_asked() -> None:
    session = recording({"a": np.arange(0, SECONDS, 0.07)})
    with pytest.raises(ValueError, match="spikes_quality"):
        kept([session], quality=("good",))
    wrong = recording({"a": np.arange(0, SECONDS, 0.07)}, spikes_quality=np.array(["good", "good"]))
    with pytest.raises(ValueError, match=r"recording m/1: array spikes_quality must hold a label for each of 1 units"):
        kept([wrong], quality=("good",))
    counts = Recording("m", "2", {"spikes": Signal(np.ones((50, 1)), 10.0, "spikes", ("a",))})
    with pytest.raises(ValueError, match=r"preprocess.max_violations=0.1: recording m/2 holds counts"):
        preprocess([counts], SpikeOptions(bin_ms=None, max_violations=0.1))


def test_real_units_hardly_violate(raw: Callable[[str], Path]) -> None:
    (session,) = DATASETS["peyrache_a2929"]().read(raw("peyrache_a2929"))
    spikes = session.event("spikes")
    shares = violations(spikes, 0.0015)
    expected = [np.mean(np.diff(spikes.of(name)) < 0.0015) for name in spikes.names]
    np.testing.assert_allclose(shares, expected)
    assert np.argmax(shares) == 9, "3.4 % of one unit of CA1"
