"""Voltages: cleaned in pieces as in one go, against scipy, marked where there is nothing, refused with a way out."""

import h5py
import mne
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import hilbert, welch

from neurofmx.preprocessing import PREPROCESS
from neurofmx.preprocessing.steps.cleaned import Cleaned
from neurofmx.preprocessing.steps.fir import mains_lines
from neurofmx.preprocessing.steps.voltage import VoltageOptions, clean
from neurofmx.recordings.lazy import Lazy, MneSamples
from neurofmx.recordings.recording import Recording, Signal, load, opened, save

RATE = 500.0
NAMES = ("A1", "A2", "A3", "B1", "B2")
PLAIN = VoltageOptions(low=None, high=None)


class Held(Lazy):
    """An array that counts how much of it is read at a time."""

    def __init__(self, data: np.ndarray) -> None:
        super().__init__(data.shape, data.dtype)
        self.data, self.most = data, 0

    def read(self, first: int, last: int) -> np.ndarray:
        self.most = max(self.most, last - first)
        return self.data[first:last]


def noise(samples: int = 30_000, *, channels: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, channels)).cumsum(axis=0) * 1e-6


def recorded(data, *, rate: float = RATE, names=NAMES, **more) -> Recording:
    return Recording("s", "1", {"x": Signal(data, rate, "V", names[: data.shape[1]], 3.0)}, **more)


def cleaned(data, options: VoltageOptions, **more) -> Signal:
    return clean([recorded(data, **more)], "x", options)[0].signal("x")


def plan_of(data: np.ndarray, options: VoltageOptions):
    return cleaned(Held(data), options).data._plan  # type: ignore[attr-defined]


EVERY = {
    "band": VoltageOptions(low=2.0, high=100.0),
    "notch": VoltageOptions(low=None, high=None, notch=50.0),
    "average": VoltageOptions(low=4.0, high=40.0, reference="average", rate=100.0),
    "bipolar up": VoltageOptions(low=4.0, high=40.0, reference="bipolar", rate=750.0),
    "envelope": VoltageOptions(low=20.0, high=200.0, output="envelope", rate=50.0),
    "powers": VoltageOptions(low=2.0, high=200.0, bands=((8, 12), (20, 40)), output="log_power", rate=20.0),
    "marks": VoltageOptions(low=4.0, high=40.0, gaps="mark", artefact=2e-5, bad="mark", rate=100.0),
}


@pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)
def test_pieces_give_what_the_whole_gives(options: VoltageOptions) -> None:
    data = noise()
    if options.gaps == "mark":
        data[5000:5400, 1] = data[14_990:15_010, 2] = data[:30, 0] = data[-5:, 0] = np.nan
        data[:, 4] = 7.0
        data[20_000, 3] += 1e-3
    whole = cleaned(data, options).data
    source = Held(data)
    small = Cleaned(source, plan_of(data, options), block=1)
    assert small.shape == whole.shape
    pieces = np.concatenate([small[first : first + 777] for first in range(0, len(small), 777)])
    np.testing.assert_array_equal(np.isnan(pieces), np.isnan(whole))
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6 * np.nanstd(whole))
    assert source.most < len(data) / 2
    np.testing.assert_array_equal(small[1000:1010], pieces[1000:1010])  # the same bits however it is read


def test_a_lazy_recording_stays_lazy_and_its_file_has_the_same_bytes(tmp_path) -> None:
    data, options = noise(), VoltageOptions(low=4.0, high=40.0, reference="average", rate=100.0)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        held = file.create_dataset("x", data=data)
        lazy = clean([recorded(held)], "x", options)
        assert isinstance(lazy[0].signal("x").data, Lazy)
        save(tmp_path / "lazy.h5", lazy)
    save(tmp_path / "whole.h5", clean([recorded(data)], "x", options))
    assert (tmp_path / "lazy.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    with opened(tmp_path / "lazy.h5") as (recording,):
        left = recording.signal("x").slice(10, 11)
        assert not isinstance(left.data, np.ndarray)
        np.testing.assert_array_equal(left.data[:], load(tmp_path / "whole.h5")[0].signal("x").slice(10, 11).data)


def test_an_opened_recording_of_mne_is_read_where_it_is_needed(tmp_path) -> None:
    data, options = noise(6000), VoltageOptions(low=4.0, high=40.0)
    raw = mne.io.RawArray(data.T, mne.create_info(list(NAMES), RATE, "eeg"), verbose="ERROR")
    raw.save(tmp_path / "x_raw.fif", fmt="double", verbose="ERROR")
    on_disk = mne.io.read_raw_fif(tmp_path / "x_raw.fif", preload=False, verbose="ERROR")
    samples = MneSamples(on_disk, ["A2", "B1"])
    np.testing.assert_allclose(samples[100:107], data[100:107, [1, 3]], rtol=1e-12)
    lazy = cleaned(samples, options, names=("A2", "B1"))
    np.testing.assert_allclose(lazy.data[:], cleaned(data[:, [1, 3]], options).data, rtol=1e-5, atol=1e-12)


def test_the_notch_takes_the_harmonics_and_leaves_the_rest() -> None:
    white = np.random.default_rng(1).normal(size=(60_000, 1))
    before = welch(white[:, 0], RATE, nperseg=2000)
    for harmonics in (True, False):
        after = cleaned(white, PLAIN.model_copy(update={"notch": 60.0, "harmonics": harmonics}), names=("A",)).data
        left = welch(after[:, 0], RATE, nperseg=2000)[1] / before[1]
        gone = sorted({round(f) for f, share in zip(before[0], left, strict=True) if share < 0.01})
        assert gone == ([60, 120, 180, 240] if harmonics else [60])
        away = np.abs(before[0][:, None] - np.arange(0, 300, 60)).min(axis=1) > 3
        np.testing.assert_allclose(left[away], 1, atol=0.02)
    assert mains_lines(50.0, harmonics=True, rate=RATE).tolist() == [50, 100, 150, 200]  # 250 is half the rate


@pytest.mark.parametrize(("low", "high"), [(20.0, 200.0), (8.0, 12.0)])
def test_the_envelope_is_that_of_scipy_and_its_logarithm_the_power(low: float, high: float) -> None:
    data, options = noise(20_000, channels=2), VoltageOptions(low=low, high=high)
    voltage = cleaned(data, options).data.astype(np.float64)
    middle = slice(2000, -2000)
    expected = np.abs(hilbert(voltage, axis=0))[middle]
    got = cleaned(data, options.model_copy(update={"output": "envelope"})).data[middle]
    np.testing.assert_allclose(got, expected, atol=0.02 * expected.max())
    assert np.corrcoef(got[:, 0], expected[:, 0])[0, 1] > 0.999
    power = cleaned(data, options.model_copy(update={"output": "log_power"})).data[middle]
    np.testing.assert_allclose(power, 2 * np.log(got), atol=1e-3)


def test_the_envelope_follows_a_known_amplitude() -> None:
    time = np.arange(20_000) / RATE
    amplitude = 2 + np.sin(2 * np.pi * 0.5 * time)
    sine = (amplitude * np.sin(2 * np.pi * 60 * time))[:, None]
    options = VoltageOptions(low=20.0, high=150.0, output="envelope", rate=25.0)
    envelope = cleaned(sine, options, names=("A",))
    expected = np.interp(envelope.times - 3.0, time, amplitude)
    np.testing.assert_allclose(envelope.data[25:-25, 0], expected[25:-25], atol=0.01)


def test_bands_are_channels_of_their_own() -> None:
    time = np.arange(20_000) / RATE
    data = np.stack([np.sin(2 * np.pi * 10 * time), 3 * np.sin(2 * np.pi * 30 * time)], axis=1)
    options = VoltageOptions(low=2.0, high=100.0, bands=((8, 12), (20, 40)), output="envelope", rate=20.0)
    got = cleaned(data, options)
    assert got.channels == ("A1 8-12 Hz", "A2 8-12 Hz", "A1 20-40 Hz", "A2 20-40 Hz")
    np.testing.assert_allclose(np.median(got.data, axis=0), [1, 0, 0, 3], atol=0.02)


def test_references_against_their_definition() -> None:
    data = noise(800)
    for reference, expected in {
        "average": data - data.mean(axis=1, keepdims=True),
        "group": np.hstack([g - g.mean(axis=1, keepdims=True) for g in (data[:, :3], data[:, 3:])]),
        "bipolar": data[:, [0, 1, 3]] - data[:, [1, 2, 4]],
    }.items():
        got = cleaned(data, PLAIN.model_copy(update={"reference": reference}))
        np.testing.assert_allclose(got.data, expected, rtol=1e-4, atol=1e-12)
    assert got.channels == ("A1-A2", "A2-A3", "B1-B2")
    with pytest.raises(ValueError, match=r"reference=bipolar: neighbours are numbered .* none among Cz, Pz"):
        cleaned(data[:, :2], PLAIN.model_copy(update={"reference": "bipolar"}), names=("Cz", "Pz"))
    with pytest.raises(ValueError, match=r"reference=average: recording s/1 has 1 usable channel"):
        cleaned(data[:, :1], PLAIN.model_copy(update={"reference": "average"}))


def test_a_bipolar_pair_does_not_jump_from_row_to_row_and_lies_between_its_contacts() -> None:
    grid = np.array([[x, y, 0.0] for y in (0, 1) for x in range(4)]) * 0.01
    names = tuple(f"C{i}" for i in range(1, 9))
    recording = recorded(noise(800, channels=8), names=names, arrays={"x_positions": grid})
    (got,) = clean([recording], "x", PLAIN.model_copy(update={"reference": "bipolar"}))
    assert got.signal("x").channels == ("C1-C2", "C2-C3", "C3-C4", "C5-C6", "C6-C7", "C7-C8")  # not C4-C5
    np.testing.assert_allclose(got.array("x_positions")[0], [0.005, 0, 0])


def test_gaps_are_bridged_for_the_filter_and_marked_behind_it() -> None:
    data = np.sin(2 * np.pi * 10 * np.arange(10_000) / RATE)[:, None] * np.ones((1, 2))
    data[4000:4100, 0] = np.nan
    with pytest.raises(ValueError, match=r"A1 100 of 10000 samples are not finite.*gaps=mark"):
        cleaned(data, VoltageOptions(low=5, high=20))
    got = cleaned(data, VoltageOptions(low=5, high=20, gaps="mark")).data
    assert np.flatnonzero(np.isnan(got[:, 0])).tolist() == list(range(4000, 4100))
    assert np.isfinite(got[:, 1]).all()
    far = np.r_[1000:3500, 4600:9000]
    np.testing.assert_allclose(got[far, 0], got[far, 1], atol=0.01)
    slow = cleaned(data, VoltageOptions(low=5, high=20, gaps="mark", rate=50.0))
    assert np.flatnonzero(np.isnan(slow.data[:, 0])).tolist() == list(range(399, 411))  # a new sample on each side more


def test_artefacts_are_marked_with_a_margin() -> None:
    data = np.random.default_rng(0).normal(size=(10_000, 2))
    data[5000, 1] += 100
    got = cleaned(data, PLAIN.model_copy(update={"artefact": 50.0, "artefact_margin": 0.02})).data
    assert np.flatnonzero(np.isnan(got[:, 1])).tolist() == list(range(4990, 5011))
    assert np.isfinite(got[:, 0]).all()


def test_bad_channels_are_refused_dropped_or_marked_and_leave_the_average_alone() -> None:
    data = noise(800)
    data[:, 1] = 5.0
    average = PLAIN.model_copy(update={"reference": "average"})
    with pytest.raises(ValueError, match=r"A2 constant at 5.*preprocess.bad=drop .*, or preprocess.bad=mark"):
        cleaned(data, average)
    good = data[:, [0, 2, 3, 4]] - data[:, [0, 2, 3, 4]].mean(axis=1, keepdims=True)
    dropped = cleaned(data, average.model_copy(update={"bad": "drop"}))
    assert dropped.channels == ("A1", "A3", "B1", "B2")
    np.testing.assert_allclose(dropped.data, good, rtol=1e-4, atol=1e-12)
    marked = cleaned(data, average.model_copy(update={"bad": "mark"}))
    assert marked.channels == NAMES
    assert np.isnan(marked.data[:, 1]).all()
    np.testing.assert_allclose(marked.data[:, [0, 2, 3, 4]], good, rtol=1e-4, atol=1e-12)


def test_an_expected_channel_that_lacks_is_an_error_or_a_mark() -> None:
    data, options = noise(800), PLAIN.model_copy(update={"channels": ("B1", "C9", "A1")})
    with pytest.raises(
        ValueError, match=r"preprocess.channels: recording s/1 has no channel C9; known: A1, .*missing=mark"
    ):
        cleaned(data, options)
    got = cleaned(data, options.model_copy(update={"missing": "mark"}))
    assert got.channels == ("B1", "C9", "A1")
    assert np.isnan(got.data[:, 1]).all()
    np.testing.assert_allclose(got.data[:, [0, 2]], data[:, [3, 0]], rtol=1e-6)


def test_behaviour_follows_to_the_new_clock() -> None:
    time = np.arange(10_000) / RATE
    hand = Signal((time * 2)[:, None], RATE, "m", ("hand",), 3.0)
    recording = recorded(noise(10_000)).with_signal("hand", hand)
    (got,) = clean([recording], "x", VoltageOptions(low=4, high=20, rate=50))
    moved = got.signal("hand")
    assert (moved.rate, moved.start, len(moved.data)) == (50, 3.0, 1000)
    np.testing.assert_allclose(moved.data[:, 0], 2 * (moved.times - 3.0), atol=1e-9)
    (same,) = clean([recording], "x", VoltageOptions(low=4, high=20))
    assert same.signal("hand") is hand


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"high": 300.0},
            r"preprocess.high must be below half the rate .* 500 samples a second hold nothing above 250",
        ),
        ({"high": 60.0, "rate": 100.0, "output": "envelope", "notch": 400.0}, r"preprocess.notch must be below"),
        ({"high": 400.0, "bands": ((260, 300),), "output": "envelope"}, r"preprocess.high must be below"),
        ({"high": None, "bands": ((200, 300),), "output": "envelope"}, r"preprocess.bands must be below half"),
        ({"high": 249.99}, r"lasts 1.6 s, the sharpest filter .* lower a high that is close to half the rate"),
        ({"low": 0.1, "high": 40.0}, r"lasts 1.6 s, the sharpest filter .* raise preprocess.low"),
        ({"high": 40.0, "drop_channels": NAMES}, "no channel is left"),
    ],
)
def test_what_a_recording_cannot_hold_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cleaned(noise(800), VoltageOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"low": 40, "high": 20},
        {"bands": ((8, 12),)},
        {"bands": ((12, 8),), "output": "envelope"},
        {"bands": ((0.5, 8),), "output": "envelope"},
        {"low": None, "output": "envelope"},
        {"missing": "mark"},
        {"artefact": 0},
        {"high": 30, "rate": 50},
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(options)).removesuffix("_channels")):
        VoltageOptions(**options)


def test_the_reach_that_a_split_must_leave_covers_the_filters() -> None:
    for options in EVERY.values():
        data = noise(8000)
        assert options.reach >= plan_of(data, options).reach / RATE - 0.05, options


@pytest.mark.parametrize(
    ("name", "low", "high", "mains", "output"),
    [
        ("ecog", 1.0, 200.0, 60.0, "voltage"),
        ("emg", 20.0, 450.0, None, "envelope"),
        ("ieeg", 1.0, 300.0, None, "voltage"),
        ("lfp", 1.0, 300.0, None, "voltage"),
    ],
)
def test_each_kind_of_voltage_has_the_usual_band(
    name: str, low: float, high: float, mains: float | None, output: str
) -> None:
    options = PREPROCESS[name].options()
    assert (options.low, options.high, options.notch, options.output) == (low, high, mains, output)
    assert options.harmonics
    slow = Recording("s", "1", {name: Signal(noise(2000), 2 * high, "V", NAMES)})
    with pytest.raises(ValueError, match=rf"preprocess.high must be below half the rate of recording s/1, {high}"):
        PREPROCESS[name].preprocess([slow], options)
