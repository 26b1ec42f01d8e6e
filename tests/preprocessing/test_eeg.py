"""EEG filters against sines of known amplitude, and on a real run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import welch

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.eeg import EegOptions, preprocess
from neurofmx.recordings.recording import Recording, Signal

RATE = 160.0
TIME = np.arange(int(40 * RATE)) / RATE
OFF = EegOptions(low=None, high=None, reference=None)


def _clean(data: np.ndarray, options: EegOptions) -> Signal:
    names = tuple(f"C{i}" for i in range(data.shape[1]))
    recording = Recording("s", "1", {"eeg": Signal(data, RATE, "V", names, 2.0)})
    return preprocess([recording], options)[0].signal("eeg")


def _amplitude(frequency: float, options: EegOptions) -> float:
    """What is left of a sine of amplitude 1, away from the ends, and only if it has not moved in time."""
    out = _clean(np.sin(2 * np.pi * frequency * TIME)[:, None], options).data[:, 0]
    middle = slice(len(TIME) // 4, 3 * len(TIME) // 4)
    return float(2 * (out[middle] * np.sin(2 * np.pi * frequency * TIME[middle])).mean())


@pytest.mark.parametrize("frequency", [9.5, 15.0, 25.0])
def test_the_pass_band_is_kept_in_place(frequency: float) -> None:
    options = OFF.model_copy(update={"low": 7.0, "high": 30.0})
    assert _amplitude(frequency, options) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("frequency", [1.0, 4.0, 45.0, 60.0])
def test_the_stop_band_loses_40_decibels(frequency: float) -> None:
    options = OFF.model_copy(update={"low": 7.0, "high": 30.0})
    assert abs(_amplitude(frequency, options)) < 0.01


def test_the_notch_takes_the_mains_alone() -> None:
    options = OFF.model_copy(update={"notch": 50.0})
    assert abs(_amplitude(50.0, options)) < 0.01
    assert _amplitude(45.0, options) == pytest.approx(1, abs=0.01)
    assert _amplitude(55.0, options) == pytest.approx(1, abs=0.01)


def test_the_average_reference_removes_what_all_channels_share() -> None:
    data = np.random.default_rng(0).normal(size=(400, 5))
    out = _clean(data + np.sin(np.arange(400))[:, None] * 50, OFF.model_copy(update={"reference": "average"})).data
    np.testing.assert_allclose(out, data - data.mean(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("rate", [80.0, 100.0, 320.0])
def test_resampling_keeps_the_sine_and_its_times(rate: float) -> None:
    eeg = _clean(np.sin(2 * np.pi * 10 * TIME)[:, None], OFF.model_copy(update={"rate": rate}))
    assert (eeg.rate, eeg.start, len(eeg.data)) == (rate, 2.0, int(40 * rate))
    middle = slice(len(eeg.data) // 4, 3 * len(eeg.data) // 4)
    expected = np.sin(2 * np.pi * 10 * (eeg.times - 2.0))
    np.testing.assert_allclose(eeg.data[middle, 0], expected[middle], atol=0.003)


def test_resampling_folds_nothing_down() -> None:
    eeg = _clean(np.sin(2 * np.pi * 60 * TIME)[:, None], OFF.model_copy(update={"rate": 80.0}))
    assert np.abs(eeg.data[len(eeg.data) // 4 : -len(eeg.data) // 4]).max() < 0.01


def test_channels_can_be_left_out_by_name() -> None:
    data = np.random.default_rng(0).normal(size=(800, 3))
    assert _clean(data, EegOptions(drop_channels=("C1",))).channels == ("C0", "C2")
    with pytest.raises(ValueError, match=r"drop_channels: recording s/1 has no channel Oz; known: C0, C1, C2"):
        _clean(data, EegOptions(drop_channels=("Oz",)))


def test_flat_and_broken_channels_are_refused_or_dropped() -> None:
    data = np.random.default_rng(0).normal(size=(800, 3))
    data[:, 0], data[5, 2] = 0, np.inf
    with pytest.raises(ValueError, match=r"C0 constant at 0; C2 1 of 800 samples are not finite.*preprocess.bad"):
        _clean(data, EegOptions())
    kept = _clean(data, OFF.model_copy(update={"bad": "drop"}))
    assert kept.channels == ("C1",)
    np.testing.assert_allclose(kept.data[:, 0], data[:, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"high": 80.0}, r"high must be below half the rate of recording s/1, 80\.0 Hz, got 80\.0"),
        ({"notch": 100.0}, r"notch must be below half the rate"),
        ({"rate": 160 * np.pi}, r"rate must be a ratio of whole numbers"),
    ],
)
def test_frequencies_that_do_not_fit_the_rate_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _clean(np.random.default_rng(0).normal(size=(800, 2)), EegOptions(**options))


@pytest.mark.parametrize(
    "options", [{"low": 40.0}, {"low": -1}, {"rate": 0}, {"rate": 50.0}, {"reference": "nose"}, {"lowest": 1}]
)
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        EegOptions(**options)


def test_a_real_run_keeps_its_band_and_loses_the_rest(raw: Callable[[str], Path]) -> None:
    runs = DATASETS["eegbci"]().read(raw("eegbci"))[:1]
    before, after = runs[0].signal("eeg"), preprocess(runs, EegOptions())[0].signal("eeg")
    np.testing.assert_allclose(after.data.mean(axis=1), 0, atol=1e-9)
    referenced = before.data - before.data.mean(axis=1, keepdims=True)
    frequency, power = welch(referenced, RATE, nperseg=320, axis=0)
    _, left = welch(after.data, RATE, nperseg=320, axis=0)
    inside = (frequency >= 10) & (frequency <= 27)
    np.testing.assert_allclose(left[inside], power[inside], rtol=0.05)
    outside = (frequency > 42) | (frequency < 4)
    assert (left[outside].sum(axis=0) < 1e-3 * power[outside].sum(axis=0)).all()
