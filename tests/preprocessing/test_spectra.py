"""Short-time spectra against librosa, scipy and closed forms."""

import librosa
import numpy as np
import pytest
from scipy.signal import spectrogram

from neurofmx.preprocessing.steps.framewise import Framewise
from neurofmx.preprocessing.steps.spectra import (
    SpectrumOptions,
    cepstrum,
    decibels,
    frame_power,
    frames_of,
    linear_weights,
    mel_weights,
    on_frames,
)
from neurofmx.recordings.recording import Recording, Signal

RATE = 8000.0
SOUND = np.random.default_rng(0).normal(size=4001)


def every_frame(sound: np.ndarray, *, length: int, hop: int) -> np.ndarray:
    return frames_of(sound, 0, 1 + len(sound) // hop, length=length, hop=hop)


@pytest.mark.parametrize(("length", "hop"), [(200, 80), (201, 37), (512, 512)])
def test_frames_are_those_of_librosa(length: int, hop: int) -> None:
    padded = np.pad(SOUND, (length // 2, length - length // 2))
    oracle = librosa.util.frame(padded, frame_length=length, hop_length=hop, axis=0)
    ours = every_frame(SOUND, length=length, hop=hop)
    np.testing.assert_array_equal(ours, oracle[: len(ours)])


def test_a_long_sound_is_taken_in_blocks_of_equal_frames() -> None:
    long = np.random.default_rng(1).normal(size=(30_000, 1))
    blocks: list[int] = []

    def whole(frames: np.ndarray) -> np.ndarray:
        blocks.append(len(frames))
        return frames

    ours = Framewise(long, whole, channels=16, length=16, hop=8, dtype=np.float64)
    assert ours.shape == (30_000 // 8 + 1, 16)
    np.testing.assert_array_equal(ours[2053], long[2053 * 8 - 8 : 2053 * 8 + 8, 0])
    assert max(blocks) <= 1024
    np.testing.assert_array_equal(ours[:], every_frame(long, length=16, hop=8))
    assert max(blocks) <= 1024


def test_power_is_that_of_scipy() -> None:
    _, _, oracle = spectrogram(
        SOUND, RATE, window="hann", nperseg=256, noverlap=156, detrend=False, scaling="spectrum", mode="psd"
    )
    ours = frame_power(
        every_frame(SOUND[128:], length=256, hop=100), np.eye(129)
    )  # scipy's first frame has its centre at 128
    inner = slice(2, oracle.shape[1] - 2)  # at the ends ours reach into silence, which scipy's do not
    np.testing.assert_allclose(ours[inner], oracle.T[inner], rtol=1e-9)


def test_a_sine_has_half_its_squared_amplitude() -> None:
    sine = 0.2 * np.sin(2 * np.pi * 1000 * np.arange(8000) / RATE)  # 1000 Hz is frequency 32 of 256 samples
    power = frame_power(every_frame(sine, length=256, hop=80), np.eye(129))[5:-5]
    np.testing.assert_allclose(power[:, 32], 0.02, rtol=1e-9)
    np.testing.assert_allclose(decibels(power[:, 32], floor=-100), 10 * np.log10(0.02))


def test_mel_power_is_that_of_librosa() -> None:
    weights, peaks = mel_weights(RATE, length=256, bands=20, low=100.0, high=3800.0)
    oracle = librosa.feature.melspectrogram(
        y=SOUND, sr=RATE, n_fft=256, hop_length=80, n_mels=20, fmin=100.0, fmax=3800.0, norm=None, pad_mode="constant"
    )
    unit = 2 / np.hanning(257)[:-1].sum() ** 2  # librosa leaves the window's sum and the negative frequencies out
    ours = frame_power(every_frame(SOUND, length=256, hop=80), weights)
    np.testing.assert_allclose(ours, oracle.T * unit, rtol=1e-5)
    np.testing.assert_allclose(peaks, librosa.mel_frequencies(22, fmin=100.0, fmax=3800.0)[1:-1])


def test_the_cepstrum_of_mel_levels_is_the_mfcc_of_librosa() -> None:
    levels = np.random.default_rng(2).normal(-50, 10, (30, 24))
    oracle = librosa.feature.mfcc(S=levels.T, n_mfcc=13)
    np.testing.assert_allclose(cepstrum(levels, coefficients=13), oracle.T)


def test_linear_bands_share_the_frequencies_out() -> None:
    weights, centres = linear_weights(1000.0, length=100, bands=4, low=100.0, high=500.0)
    frequency = np.arange(51) * 10.0
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert [frequency[row > 0][[0, -1]].tolist() for row in weights] == [[100, 190], [200, 290], [300, 390], [400, 490]]
    assert centres.tolist() == [150, 250, 350, 450]


def test_silence_lies_on_the_floor() -> None:
    assert decibels(np.array([0.0, 1e-30, 1.0]), floor=-80.0).tolist() == [-80.0, -80.0, 0.0]


@pytest.mark.parametrize("weights", [mel_weights, linear_weights])
def test_bands_without_a_frequency_are_refused(weights) -> None:
    with pytest.raises(ValueError, match=r"preprocess.bands=60: \d+ bands hold none .* 125 Hz apart"):
        weights(RATE, length=64, bands=60, low=50.0, high=4000.0)


def test_edges_that_a_rate_cannot_hold_are_refused() -> None:
    options = SpectrumOptions(low=20.0, high=5000.0)
    assert options.edges(10_000.0, where="s/1") == (20.0, 5000.0)
    with pytest.raises(ValueError, match=r"preprocess.high must be at most half the rate of recording s/1, 4000 Hz"):
        options.edges(8000.0, where="s/1")
    with pytest.raises(ValueError, match=r"preprocess.low must be below half the rate of recording s/1, 50 Hz"):
        SpectrumOptions(low=60.0).edges(100.0, where="s/1")
    with pytest.raises(ValueError, match=r"low must be below high"):
        SpectrumOptions(low=500.0, high=400.0)


def test_signals_beside_the_sound_are_taken_at_the_frames() -> None:
    angle = Signal(np.linspace(0, 1, 11), 10.0, "rad", ("angle",))
    recording = Recording("s", "1", {"audio": Signal(np.ones((80, 1)), 80.0, "1", ("1",)), "angle": angle})
    features = Signal(np.zeros((5, 2)), 4.0, "dB", ("a", "b"), 0.05)
    moved = on_frames(recording, "audio", features)
    assert moved.signal("audio") is features
    np.testing.assert_allclose(moved.signal("angle").data, [0.05, 0.3, 0.55, 0.8, 1.0])
    np.testing.assert_array_equal(moved.signal("angle").times, features.times)
