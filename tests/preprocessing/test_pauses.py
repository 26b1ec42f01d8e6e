"""A pause of the microscope: bridged for the filters, NaN again behind them, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from neurofmx.preprocessing.calcium import CalciumOptions, preprocess
from neurofmx.preprocessing.steps.pauses import bridged, pauses
from neurofmx.recordings.recording import Recording, Signal

RATE = 10.0
PAUSE = slice(100, 140)  # 12 s to 16 s of a signal that begins at 2 s
INSIDE = np.isin(np.arange(400), np.arange(100, 140))


def cells(data: np.ndarray, *, rate: float = RATE, start: float = 2.0) -> Signal:
    return Signal(data, rate, "a.u.", tuple(f"cell-{i}" for i in range(data.shape[1])), start)


def light(seed: int = 0) -> np.ndarray:
    """400 samples of 3 cells, well above 0."""
    return 20 + np.random.default_rng(seed).random((400, 3))


def paused(data: np.ndarray) -> np.ndarray:
    lost = data.copy()
    lost[PAUSE] = np.nan
    return lost


def clean(data: np.ndarray, others: dict[str, Signal] | None = None, **options: object) -> Recording:
    made = Recording("m", "1", {"calcium": cells(data)} | (others or {}))
    return preprocess([made], CalciumOptions(**{"gaps": "mark"} | options))[0]


def test_without_filters_everything_else_stays_as_it_is() -> None:
    data = paused(light()).astype(np.float32)
    np.testing.assert_array_equal(clean(data, source="dff").signal("calcium").data, data)


@pytest.mark.parametrize("source", ["dff", "fluorescence"])
def test_without_a_pause_the_option_changes_no_bit(source: str) -> None:
    options = {"source": source, "rate": 5.0, "smoothing": "causal"}
    marks, error = (clean(light(), **options, gaps=gaps).signal("calcium").data for gaps in ("mark", "error"))
    np.testing.assert_array_equal(marks, error)


def test_a_pause_is_refused_unless_it_is_to_be_marked() -> None:
    for bad, said in (("error", "40 of 400 samples are not finite"), ("drop", "no usable channel is left")):
        with pytest.raises(ValueError, match=rf"{said}.*stretches without any cell in m/1, set preprocess.gaps=mark"):
            clean(paused(light()), source="dff", gaps="error", bad=bad)
    with pytest.raises(ValueError, match=r"400 of 400 samples are not finite.*preprocess.bad=drop[^;]*$"):
        clean(np.full((400, 3), np.nan), source="dff")


def test_a_cell_that_lacks_more_than_the_pause_is_bad() -> None:
    data = paused(light())
    data[300, 1] = np.nan
    with pytest.raises(ValueError, match=r"cell-1 1 of 400 samples are not finite"):
        clean(data, source="dff")
    kept = clean(data, source="dff", bad="drop").signal("calcium")
    assert kept.channels == ("cell-0", "cell-2")
    np.testing.assert_array_equal(np.isnan(kept.data).all(axis=1), INSIDE)
    one = light()
    one[PAUSE, :2] = np.nan  # one cell was seen, so the microscope did not pause
    with pytest.raises(ValueError, match=r"2 do not"):
        clean(one, source="dff")


def test_filters_pass_over_a_straight_line() -> None:
    data = light()
    line = data.copy()
    for cell in line.T:
        cell[PAUSE] = cell[99] + (np.arange(1, 41) / 41) * (cell[140] - cell[99])
    found = clean(paused(data), source="dff", smoothing="centred", sigma_ms=300.0).signal("calcium").data
    expected = gaussian_filter1d(line, 3.0, axis=0, truncate=4.0)
    np.testing.assert_array_equal(np.isnan(found).any(axis=1), INSIDE)
    keep = ~INSIDE & (np.arange(400) >= 12) & (np.arange(400) < 388)
    np.testing.assert_allclose(found[keep], expected[keep], atol=1e-5)


def test_the_baseline_forgets_a_pause_that_is_further_than_its_window() -> None:
    data = light()
    found, whole = (clean(each, baseline_s=6.0).signal("calcium").data for each in (paused(data), data))
    far = (np.arange(400) < 100 - 30) | (np.arange(400) >= 140 + 30)
    np.testing.assert_array_equal(found[far], whole[far])
    assert np.isfinite(found[~INSIDE]).all()
    assert np.isnan(found[INSIDE]).all()


@pytest.mark.parametrize("rate", [5.0, 20.0])
def test_at_another_rate_the_samples_in_and_beside_a_pause_are_marked(rate: float) -> None:
    found = clean(paused(light()), source="dff", rate=rate).signal("calcium")
    lost, near = np.isnan(found.data), max(1 / rate, 1 / RATE)
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    begin, end = 12.0, 15.9  # its first and its last sample
    assert lost[(found.times >= begin) & (found.times <= end)].all()
    assert not lost[(found.times < begin - near - 1e-6) | (found.times > end + near + 1e-6)].any()


def test_what_shines_around_the_cells_may_pause_as_well() -> None:
    own, around = light(), light(1)
    neuropil = around.copy()
    neuropil[200:220] = np.nan
    found = clean(paused(own + 0.7 * around), {"neuropil": cells(neuropil)}).signal("calcium").data
    expected = own.copy()
    expected[200:220] = np.nan
    plain = clean(paused(expected)).signal("calcium").data
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found[:, 0])), [*range(100, 140), *range(200, 220)])
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_behaviour_keeps_its_values_and_its_own_pauses() -> None:
    ran = Signal(paused(np.arange(400.0)[:, None]), RATE, "cm/s", ("speed",), 2.0)
    times = 2.0 + np.arange(2000) / 50.0
    angle = (1.5 * times) % (2 * np.pi)
    angle[1000:1100] = np.nan  # 22 s to 24 s
    looks = Signal(angle, 50.0, "rad", ("heading",), 2.0)
    whole = Signal(times.copy(), 50.0, "s", ("clock",), 2.0)
    found = clean(paused(light()), {"speed": ran, "heading": looks, "clock": whole}, source="dff")
    np.testing.assert_array_equal(found.signal("speed").data, ran.data)
    clock = found.signal("clock")
    np.testing.assert_allclose(clock.data[:-1], clock.times[:-1], atol=1e-9)
    heading = found.signal("heading")
    lost = np.isnan(heading.data)
    assert lost[(heading.times >= 22.0) & (heading.times < 24.0)].all()
    assert not lost[(heading.times < 21.9 - 1e-6) | (heading.times > 24.08 + 1e-6)].any()
    turned = np.exp(1j * heading.data[:-1][~lost[:-1]])
    np.testing.assert_allclose(turned, np.exp(1.5j * heading.times[:-1][~lost[:-1]]), atol=1e-9)


def test_a_bridge_is_no_event() -> None:
    events = np.zeros((400, 2))
    events[::50, :] = 1
    events[99, 1] = events[140, 1] = 1  # a straight line of ones lies between
    assert clean(paused(events), source="events", min_events=9).signal("calcium").channels == ("cell-1",)
    with pytest.raises(ValueError, match=r"no usable channel is left"):
        clean(paused(events), source="events", min_events=10)


def test_an_angle_is_bridged_the_shorter_way_and_an_end_holds() -> None:
    turns = Signal(np.array([np.nan, 6.2, np.nan, 0.1]), 1.0, "rad", ("heading",))
    assert pauses(turns).tolist() == [True, False, True, False]
    halfway = (6.2 + 0.1 + 2 * np.pi) / 2 - 2 * np.pi
    np.testing.assert_allclose(bridged(turns, pauses(turns)).data, [6.2, 6.2, halfway, 0.1])
