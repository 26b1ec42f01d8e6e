"""Lazily held cells and sound: cleaned a stretch at a time, with the result of the whole."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve1d, percentile_filter
from scipy.signal import resample_poly

from neurofmx.preprocessing import PREPROCESS
from neurofmx.preprocessing.steps.alignment import Moved, resample
from neurofmx.preprocessing.steps.blocks import InBlocks
from neurofmx.preprocessing.steps.fir import Resampling
from neurofmx.preprocessing.steps.median import median
from neurofmx.preprocessing.steps.resampled import Resampled
from neurofmx.preprocessing.steps.stretches import Each, Near, in_memory
from neurofmx.recordings.lazy import Lazy, is_lazy
from neurofmx.recordings.recording import Recording, Signal, load, opened, save

Cuts = st.lists(st.integers(0, 400), max_size=6)


class Held(Lazy):
    """An array that counts how much of it is read at a time, and in all."""

    def __init__(self, data: np.ndarray) -> None:
        super().__init__(data.shape, data.dtype)
        self.data, self.most, self.total = data, 0, 0

    def read(self, first: int, last: int) -> np.ndarray:
        self.most, self.total = max(self.most, last - first), self.total + last - first
        return self.data[first:last]


def walk(samples: int, channels: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, channels)).cumsum(axis=0)


def cut(made: Lazy, cuts: list[int]) -> np.ndarray:
    """The whole, read in stretches that begin at the cuts."""
    edges = [0, *sorted(each for each in cuts if each < len(made)), len(made)]
    return np.concatenate([made[first:last] for first, last in itertools.pairwise(edges)])


@settings(deadline=None)
@given(cuts=Cuts, ratio=st.sampled_from([(1, 1), (1, 3), (3, 2), (7, 1), (100, 441)]), samples=st.integers(2, 90))
@pytest.mark.parametrize("ends", ["zero", "line"])
def test_a_rate_is_changed_in_stretches_as_scipy_changes_it(ends, cuts, ratio, samples) -> None:
    data, (up, down) = walk(samples, 2) + 5, ratio
    expected = resample_poly(data, up, down, axis=0, padtype="constant" if ends == "zero" else ends)
    made = Resampled(Held(data), Resampling(up, down), ends=ends)
    assert made.shape == expected.shape
    np.testing.assert_allclose(cut(made, cuts), expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(cuts=Cuts, size=st.integers(1, 40), samples=st.integers(1, 200))
def test_a_window_is_the_same_however_it_is_cut(cuts: list[int], size: int, samples: int) -> None:
    data, size = walk(samples, 1), min(size, 2 * samples - 1)

    def lowest(piece: np.ndarray) -> np.ndarray:
        return percentile_filter(piece, 20, size=(size, 1))

    made = Near(Held(data), lowest, reach=size // 2 + 1)
    np.testing.assert_array_equal(cut(made, cuts), lowest(data))
    np.testing.assert_array_equal(cut(InBlocks(made, samples=7), cuts), lowest(data))
    assert made[3:3].shape == (0, 1)


def test_a_function_of_single_samples_reads_what_is_asked_for() -> None:
    one, other = Held(walk(50, 3)), Held(walk(50, 3, seed=1))
    made = Each(lambda a, b: (a - b).astype(np.float32), one, other, dtype=np.float32)
    np.testing.assert_array_equal(made[20:24], (one.data - other.data)[20:24].astype(np.float32))
    assert (one.total, other.total, made.dtype) == (4, 4, np.float32)
    assert Each(lambda a: a.mean(axis=1), one, shape=()).shape == (50,)
    np.testing.assert_array_equal(in_memory(made), made[:])


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 5), st.booleans())
def test_the_median_is_found_by_counting(samples: int, seed: int, coarse: bool) -> None:
    data = np.random.default_rng(seed).normal(scale=30, size=(samples, 4)).astype(np.float32)
    data = np.round(data / 20) * 20 if coarse else data  # many values that are equal, zeros of either sign among them
    np.testing.assert_array_equal(median(Held(data)), np.median(data.astype(np.float64), axis=0))
    np.testing.assert_array_equal(median(data), np.median(data, axis=0))


@pytest.mark.parametrize(("unit", "values"), [("m", walk(500, 2)), ("rad", 0.2 * np.arange(500) % (2 * np.pi))])
@pytest.mark.parametrize(("rate", "start"), [(7.0, 0.0), (250.0, -3.0), (30.0, 60.0)])
def test_behaviour_is_interpolated_where_it_is_read(unit, values, rate: float, start: float, monkeypatch) -> None:
    monkeypatch.setattr("neurofmx.preprocessing.steps.alignment.PIECE", 64)
    held = Held(values)
    signal = Signal(held, 10.0, unit, ("x", "y")[: values.ndim], 1.0)  # type: ignore[arg-type]
    clock = Signal(np.zeros(900), rate, "1", ("t",), start)
    expected = resample(Signal(values, 10.0, unit, signal.channels, 1.0), clock.times)
    made = Moved(signal, clock)
    found = cut(made, [5, 300, 301, 880])
    np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * expected), atol=1e-9)
    if unit == "m":
        np.testing.assert_array_equal(found, expected)
    assert held.most <= 64 + 3, "a piece and the samples around it"
    late = clock.times + 0.5 / rate
    np.testing.assert_allclose(Moved(signal, clock, late)[40:50], resample(Signal(**vars(signal)), late)[40:50])


def cells(data, *, rate: float = 10.0, **others) -> Recording:
    names = tuple(f"cell-{i}" for i in range(data.shape[1]))
    signals = {"calcium": Signal(data, rate, "a.u.", names, 2.0)}
    signals |= {name: Signal(each, rate, "a.u.", names, 2.0) for name, each in others.items()}
    return Recording("m", "1", signals)


def sound(data, *, rate: float = 8000.0) -> Recording:
    return Recording("s", "1", {"audio": Signal(data, rate, "1", tuple(map(str, range(data.shape[1]))), 2.0)})


def prepared(modality: str, recording: Recording, **options) -> Signal:
    way = PREPROCESS[modality]
    (clean,) = way.preprocess([recording], way.options(**options))
    return clean.signal(modality)


CELLS = {
    "dF/F": {"baseline_s": 7.3},
    "neuropil": {"baseline_s": 5.0, "neuropil": 0.5},
    "slower": {"baseline_s": 5.0, "rate": 4.0, "smoothing": "causal", "sigma_ms": 500.0},
    "faster": {"source": "dff", "rate": 15.0, "smoothing": "centred", "sigma_ms": 300.0},
    "events": {"source": "events", "min_events": 3},
}


def whole(data: np.ndarray, around: np.ndarray, options: dict) -> np.ndarray:
    """The same in one pass, by scipy."""
    if options.get("source", "fluorescence") == "fluorescence":
        data = data - options.get("neuropil", 0.7) * around
        size = round(10 * options["baseline_s"])
        lowest = np.stack([percentile_filter(cell, 8, size=size, mode="reflect") for cell in data.T], axis=1)
        data = data / lowest - 1
    rate = options.get("rate", 10.0)
    data = resample_poly(data, round(rate), 10, axis=0, padtype="line")
    if "smoothing" in options:
        sigma = options["sigma_ms"] / 1000 * rate
        lag = np.arange(-np.ceil(4 * sigma), np.ceil(4 * sigma) + 1)
        kernel = np.exp(-0.5 * (lag / sigma) ** 2) * ((lag >= 0) | (options["smoothing"] == "centred"))
        data = convolve1d(data, kernel, axis=0, mode="constant")
        data /= convolve1d(np.ones(len(data)), kernel, mode="constant")[:, None]
    return data


@pytest.mark.parametrize("block", [1, 3000, 2**22])
@pytest.mark.parametrize("options", CELLS.values(), ids=CELLS)
def test_cells_are_cleaned_in_stretches_as_in_one_pass(options: dict, block: int, monkeypatch) -> None:
    monkeypatch.setattr("neurofmx.preprocessing.calcium.BLOCK", block)
    rng = np.random.default_rng(0)
    data, around = 50 + np.abs(walk(3000, 5)) + rng.random((3000, 5)), rng.random((3000, 5))
    own, near = Held(data), Held(around)
    made = prepared("calcium", cells(own, neuropil=near), **options)
    expected = whole(data, around, options)
    assert made.data.shape == expected.shape
    found = np.concatenate([made.data[first : first + 701] for first in range(0, len(expected), 701)])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    at_once = prepared("calcium", cells(data, neuropil=around), **options)
    assert not is_lazy(at_once.data)
    np.testing.assert_array_equal(found, at_once.data)  # the same bits, whatever the stretches
    np.testing.assert_array_equal(made.data[77:79], found[77:79])
    if block < 2**22:
        assert made.rate == options.get("rate", 10.0)
        own.most = 0
        assert is_lazy(made.data)
        assert len(made.data[:10]) == 10
        assert own.most < len(data) / 2


def test_cells_of_a_file_are_written_as_those_of_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("neurofmx.preprocessing.calcium.BLOCK", 500)
    data = 50 + np.abs(walk(2000, 3))
    walked = Signal(walk(400, 1), 2.0, "m", ("x",), 1.5)
    save(tmp_path / "raw.h5", [cells(data).with_signal("walked", walked)])
    way, options = PREPROCESS["calcium"], {"baseline_s": 4.0, "rate": 5.0}
    with opened(tmp_path / "raw.h5") as recordings:
        save(tmp_path / "lazy.h5", way.preprocess(recordings, way.options(**options)))
    save(tmp_path / "whole.h5", way.preprocess(load(tmp_path / "raw.h5"), way.options(**options)))
    assert (tmp_path / "lazy.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_baseline_that_is_missing_is_refused_where_it_is_read(tmp_path: Path) -> None:
    data = 50 + np.abs(walk(2000, 3))
    data[1500:, 1] -= 200
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        held = cells(file.create_dataset("x", data=data))
        way = PREPROCESS["calcium"]
        clean = way.preprocess([held], way.options(baseline_s=4.0))
        with pytest.raises(ValueError, match=r"recording m/1: the baseline of cell-1 is not above 0.*'dff'"):
            save(tmp_path / "clean.h5", clean)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw.h5"]


SOUNDS = {
    "mel": ("audio", {"bands": 12}),
    "quieter": ("audio", {"bands": 12, "sample_rate": 5000.0, "level": -40.0}),
    "wave": ("audio", {"features": "wave", "sample_rate": 3000.0}),
    "wave as it is": ("audio", {"features": "wave", "level": None}),
    "voice": ("vocalization", {"bands": 12, "coefficients": 5, "frame_ms": 30.0}),
    "calls": ("ultrasonic", {"low": 500.0, "high": 3900.0, "bands": 6, "frame_ms": 8.0, "hop_ms": 3.0}),
    "calls alone": ("ultrasonic", {"low": 500.0, "high": 3900.0, "bands": 6, "frame_ms": 8.0, "background": False}),
}


@pytest.mark.parametrize("piece", [1000, 2**22])
@pytest.mark.parametrize(("modality", "options"), SOUNDS.values(), ids=SOUNDS)
def test_sound_is_prepared_in_stretches_as_in_one_pass(modality: str, options: dict, piece: int, monkeypatch) -> None:
    monkeypatch.setattr("neurofmx.recordings.lazy.PIECE", piece)
    monkeypatch.setattr("neurofmx.preprocessing.steps.framewise.FRAMES", 128)
    noise = np.random.default_rng(0).normal(size=(40_000, 2))
    data = (0.1 * noise * np.abs(np.sin(np.arange(40_000) / 3000))[:, None]).astype(np.float32)
    held = Held(data)
    made = prepared(modality, sound(held), **options)
    monkeypatch.undo()  # in memory: one piece, 1024 frames at a time
    expected = prepared(modality, sound(data), **options)
    assert is_lazy(made.data)
    assert not is_lazy(expected.data)
    assert (made.data.shape, made.rate, made.channels) == (expected.data.shape, expected.rate, expected.channels)
    found = np.concatenate([made.data[first : first + 333] for first in range(0, len(made.data), 333)])
    assert found.dtype == expected.data.dtype == np.float32
    np.testing.assert_allclose(found, expected.data, rtol=1e-6, atol=1e-5 * np.abs(expected.data).max())
    np.testing.assert_array_equal(made.data[40:44], found[40:44])
    held.most = 0
    assert len(made.data[200:210]) == 10
    assert held.most < len(data) / 2


@pytest.mark.parametrize("level", [None, -30.0])
def test_a_wave_is_that_of_scipy_at_another_rate_and_loudness(level: float | None, monkeypatch) -> None:
    monkeypatch.setattr("neurofmx.recordings.lazy.PIECE", 999)
    data = 0.1 * np.random.default_rng(0).normal(size=(20_000, 2))
    made = prepared("audio", sound(Held(data)), features="wave", sample_rate=5000.0, level=level).data
    expected = resample_poly(data.mean(axis=1), 5, 8)
    expected *= 1 if level is None else 10 ** (level / 20) / np.sqrt(np.mean(expected**2))
    np.testing.assert_allclose(cut(made, [1, 700, 701, 9000])[:, 0], expected, rtol=1e-6, atol=1e-8)


def test_sound_of_a_file_stays_there_with_what_was_recorded_beside_it(tmp_path: Path) -> None:
    data = 0.1 * np.random.default_rng(0).normal(size=(30_000, 1))
    turning = Signal(0.02 * np.arange(600) % (2 * np.pi), 150.0, "rad", ("heading",), 2.0)
    save(tmp_path / "raw.h5", [sound(data).with_signal("heading", turning)])
    way = PREPROCESS["vocalization"]
    with opened(tmp_path / "raw.h5") as recordings:
        (clean,) = way.preprocess(recordings, way.options(frame_ms=30.0))
        assert {name: is_lazy(signal.data) for name, signal in clean.signals.items()} == {
            "heading": True,
            "vocalization": True,
        }
        save(tmp_path / "clean.h5", [clean])
    (expected,) = way.preprocess(load(tmp_path / "raw.h5"), way.options(frame_ms=30.0))
    (found,) = load(tmp_path / "clean.h5")
    for name, signal in expected.signals.items():
        assert (found.signal(name).rate, found.signal(name).start) == (signal.rate, signal.start)
        np.testing.assert_allclose(found.signal(name).data, signal.data, rtol=1e-6, atol=1e-5)
