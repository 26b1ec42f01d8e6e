"""Audio, vocalisations and ultrasound: real recordings, and sounds whose features are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import chirp

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.audio import AudioOptions
from neurofmx.preprocessing.audio import preprocess as prepare_audio
from neurofmx.preprocessing.steps.pitch import Pitch, period, pitch_of
from neurofmx.preprocessing.steps.spectra import frames_of
from neurofmx.preprocessing.ultrasonic import UltrasonicOptions
from neurofmx.preprocessing.ultrasonic import preprocess as prepare_ultrasound
from neurofmx.preprocessing.vocalization import VocalizationOptions
from neurofmx.preprocessing.vocalization import preprocess as prepare_vocalization
from neurofmx.recordings.recording import Recording, Signal

Raw = Callable[[str], Path]


def tone(frequency: float, rate: float, *, seconds: float = 1.0, amplitude: float = 0.1) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def recording(sound: np.ndarray, rate: float) -> Recording:
    channels = sound.reshape(len(sound), -1)
    return Recording("s", "1", {"audio": Signal(channels, rate, "1", tuple(map(str, range(channels.shape[1]))))})


def strongest(signal: Signal) -> list[str]:
    """Channel with the highest level in each frame."""
    return [signal.channels[i] for i in signal.data.argmax(axis=1)]


def pitch(sound: np.ndarray) -> Pitch:
    frames = frames_of(sound, 0, 1 + len(sound) // 160, length=400, hop=160)
    return pitch_of(frames, rate=16e3, lags=period(rate=16e3, low=100.0, high=1500.0, length=400))


def test_a_tone_stands_in_its_mel_band() -> None:
    (clean,) = prepare_audio([recording(tone(1000.0, 16e3), 16e3)], AudioOptions(bands=20))
    audio = clean.signal("audio")
    (band,) = set(strongest(audio)[3:-3])
    peaks = np.array([float(name.split()[1]) for name in audio.channels])
    assert band == audio.channels[int(np.abs(peaks - 1000).argmin())]
    assert (audio.rate, audio.unit, audio.start) == (100.0, "dB", 0.0)


def test_every_recording_gets_the_same_level() -> None:
    sounds = [tone(440.0, 8e3, amplitude=a) for a in (0.5, 0.001)]
    loud, soft = (clean.signal("audio") for clean in prepare_audio([recording(s, 8e3) for s in sounds], AudioOptions()))
    np.testing.assert_allclose(loud.data, soft.data, atol=1e-3)
    options = AudioOptions(features="wave", level=-20.0)
    (wave,) = prepare_audio([recording(sounds[1], 8e3)], options)
    assert np.sqrt(np.mean(wave.signal("audio").data ** 2)) == pytest.approx(0.1, rel=1e-5)  # -20 dB


def test_a_new_rate_keeps_a_tone_and_its_time_and_drops_what_it_cannot_hold() -> None:
    mixed = tone(400.0, 48e3) + tone(12e3, 48e3)
    options = AudioOptions(features="wave", sample_rate=16e3, level=None)
    wave = prepare_audio([recording(mixed, 48e3)], options)[0].signal("audio")
    assert wave.rate == options.rate == 16e3
    np.testing.assert_allclose(wave.data[200:-200, 0], tone(400.0, 16e3)[200:-200], atol=1e-3)


def test_channels_are_averaged() -> None:
    both = np.column_stack([tone(440.0, 8e3), 3 * tone(440.0, 8e3)])
    options = AudioOptions(features="wave", level=None)
    wave = prepare_audio([recording(both, 8e3)], options)[0].signal("audio")
    np.testing.assert_allclose(wave.data[:, 0], 2 * tone(440.0, 8e3), atol=1e-7)


def test_silence_and_wrong_rates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"signal audio: every channel must be finite and vary.*preprocess.bad=drop"):
        prepare_audio([recording(np.zeros(8000), 8e3)], AudioOptions())
    with pytest.raises(ValueError, match=r"preprocess.sample_rate must be a ratio .* 8000 Hz, got 8000.1"):
        prepare_audio([recording(tone(440.0, 8e3), 8e3)], AudioOptions(sample_rate=8000.1))


def test_real_words_have_a_frame_every_10_ms(raw: Raw) -> None:
    words = DATASETS["fsdd"]().read(raw("fsdd"))[::90]
    for word, clean in zip(words, prepare_audio(words, AudioOptions()), strict=True):
        audio = clean.signal("audio")
        assert len(audio.data) == 1 + len(word.signal("audio").data) // 80
        assert audio.data.min() >= -100
        assert clean.require_trials().stop[0] <= audio.stop


@pytest.mark.parametrize("frequency", [110.0, 200.0, 333.3, 640.0])
@pytest.mark.parametrize("harmonics", [(1,), (1, 2, 3), (2, 3, 4)])  # the last lacks its fundamental
def test_pitch_is_that_of_the_tone(frequency: float, harmonics: tuple[int, ...]) -> None:
    sound = sum(tone(frequency * k, 16e3, seconds=0.3) / k for k in harmonics)
    heard = pitch(np.asarray(sound))
    np.testing.assert_allclose(heard.frequency[4:-4], frequency, rtol=5e-3)
    assert heard.voicing[4:-4].min() > 0.95


def test_noise_and_silence_have_no_voice() -> None:
    noise = np.random.default_rng(0).normal(size=8000)
    assert np.median(pitch(noise).voicing) < 0.4
    still = pitch(np.zeros(8000))
    assert np.isfinite(still.frequency).all()
    assert still.voicing.max() == 0


def test_a_frame_must_hold_two_periods() -> None:
    with pytest.raises(ValueError, match=r"preprocess.pitch_low=50: a frame must hold two periods, 40.1 ms, got 25 ms"):
        period(rate=16e3, low=50.0, high=1000.0, length=400)
    with pytest.raises(ValueError, match=r"up to a quarter of the rate, 2000 Hz"):
        period(rate=8e3, low=100.0, high=3000.0, length=400)


def test_a_vocalisation_is_described_by_bands_cepstrum_and_pitch() -> None:
    sound = sum(tone(220.0 * k, 16e3) / k for k in (1, 2, 3))
    options = VocalizationOptions(bands=20, coefficients=5)
    clean = prepare_vocalization([recording(np.asarray(sound), 16e3)], options)[0].signal("vocalization")
    assert clean.channels[20:] == (*(f"mfcc {i}" for i in range(5)), "pitch", "voicing")
    np.testing.assert_allclose(100 * 2 ** clean.data[4:-4, -2], 220.0, rtol=5e-3)  # octaves above 100 Hz
    np.testing.assert_allclose(clean.data[:, 20], clean.data[:, :20].sum(axis=1) / np.sqrt(20), rtol=1e-5)
    with pytest.raises(ValueError, match=r"preprocess.coefficients=30: must be at most bands=20"):
        prepare_vocalization([recording(np.asarray(sound), 16e3)], VocalizationOptions(bands=20, coefficients=30))


def test_a_sweep_climbs_through_the_ultrasonic_bands() -> None:
    seconds = np.arange(25_000) / 250e3
    sweep = chirp(seconds, 22e3, 0.1, 118e3) + 1e-3 * np.random.default_rng(0).normal(size=len(seconds))
    options = UltrasonicOptions(background=False)
    clean = prepare_ultrasound([recording(sweep, 250e3)], options)[0].signal("ultrasonic")
    found = np.array([float(name.split()[0]) for name in strongest(clean)])
    expected = 22 + 96 * clean.times / 0.1  # kHz
    assert np.abs(found - expected)[2:-2].max() < 4.0  # a band is 4 kHz wide
    assert clean.rate == 1000.0


def test_the_background_is_each_bands_median() -> None:
    noise = np.random.default_rng(0).normal(size=25_000) * 0.01
    with_call = noise + np.where(np.arange(25_000) // 5000 == 2, tone(70e3, 250e3, seconds=0.1), 0)
    clean = prepare_ultrasound([recording(with_call, 250e3)], UltrasonicOptions())[0].signal("ultrasonic")
    np.testing.assert_allclose(np.median(clean.data, axis=0), 0, atol=1e-5)
    band = clean.channels.index("70.00 kHz")
    assert clean.data[42:58, band].min() > 10 > clean.data[:35, band].max()


def test_a_rate_too_low_for_ultrasound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"preprocess.high must be at most half the rate .* 22050 Hz, got 120000"):
        prepare_ultrasound([recording(tone(440.0, 44.1e3), 44.1e3)], UltrasonicOptions())


def test_real_calls_are_louder_than_what_lies_between(raw: Raw) -> None:
    for clean in prepare_ultrasound(DATASETS["amvoc_usv"]().read(raw("amvoc_usv")), UltrasonicOptions(low=30e3)):
        signal, trials = clean.signal("ultrasonic"), clean.require_trials()
        trial = np.searchsorted(trials.start, signal.times.clip(0, trials.stop[-1] - 1e-9), side="right") - 1
        calls = trials.column("label")[trial] == "call"
        loudest = signal.data.max(axis=1)
        assert loudest[calls].mean() > loudest[~calls].mean() + 2  # dB
