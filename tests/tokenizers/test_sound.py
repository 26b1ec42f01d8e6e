"""Sound: spectrograms against scipy, mel bands and cepstra against librosa, pitch against known tones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
from scipy.signal import ShortTimeFFT, chirp, sawtooth
from scipy.signal.windows import hann

from neurofmx.tokenizers.audio import AudioTokenizer, MultiScale
from neurofmx.tokenizers.configs import AudioConfig, UltrasonicConfig, VocalizationConfig
from neurofmx.tokenizers.spectrogram import Spectrogram, cosine_transform, linear_bank, mel_bank, pitch
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.tokenizers.ultrasonic import UltrasonicTokenizer
from neurofmx.tokenizers.vocalization import VocalizationTokenizer

RATE, SIZE, HOP = 8000.0, 200, 80
NOISE = np.random.default_rng(0).normal(size=4000)


def test_power_is_that_of_scipys_short_time_fourier_transform() -> None:
    spectrogram = Spectrogram(torch.eye(SIZE // 2 + 1), size=SIZE, hop=HOP)
    found = spectrogram.power(torch.tensor(NOISE[None], dtype=torch.float32))[0].numpy()
    window = hann(SIZE, sym=False)
    scipys = ShortTimeFFT(window, HOP, RATE, phase_shift=None)  # frame p is centred on sample p * hop
    expected = np.abs(scipys.stft(NOISE, p0=0, p1=50)) ** 2 / np.sum(window**2)
    assert found.shape == (50, 101)
    np.testing.assert_allclose(found, expected.T, rtol=1e-3, atol=1e-4)
    assert found.mean() == pytest.approx(1.0, rel=0.05)  # white noise of variance 1


@pytest.mark.parametrize(
    ("rate", "size", "bands", "low", "high"), [(8000, 200, 20, 50, 4000), (22050, 1024, 64, 0, 9000)]
)
def test_mel_bands_are_those_of_librosa(rate: float, size: int, bands: int, low: float, high: float) -> None:
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands, fmin=low, fmax=high)
    np.testing.assert_allclose(mel_bank(rate, size, bands=bands, low=low, high=high), expected, rtol=1e-4, atol=1e-7)


def test_mel_bands_by_hand() -> None:
    """Slaney's scale runs linearly to 1000 Hz, 200 / 3 Hz a mel: four triangles of 5 mel, each of area 1."""
    bank = mel_bank(2000.0, 2000, bands=4, low=0.0, high=1000.0).numpy()
    for band, centre in enumerate((200, 400, 600, 800)):
        expected = np.clip(1 - np.abs(np.arange(1001) - centre) / 200, 0, None) / 200
        np.testing.assert_allclose(bank[band], expected, atol=1e-6)
    np.testing.assert_allclose(bank.sum(1), 1, rtol=1e-5)


def test_linear_bands_are_means_of_their_frequencies() -> None:
    bank = linear_bank(1000.0, 100, bands=5, low=100.0, high=200.0).numpy()  # frequencies 10 Hz apart, 2 a band
    for band in range(5):
        assert np.flatnonzero(bank[band]).tolist() == [10 + 2 * band, 11 + 2 * band]
    np.testing.assert_allclose(bank.sum(1), 1)


def test_cepstrum_is_scipys_cosine_transform() -> None:
    mel = np.random.default_rng(1).normal(size=(7, 40)).astype(np.float32)
    expected = scipy.fft.dct(mel, type=2, norm="ortho", axis=1)[:, :13]
    np.testing.assert_allclose(mel @ cosine_transform(40, 13).numpy().T, expected, rtol=1e-4, atol=1e-5)


def test_cepstrum_is_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    power = Spectrogram(mel_bank(RATE, SIZE, bands=20, low=50, high=4000), size=SIZE, hop=HOP).power(
        torch.tensor(NOISE[None], dtype=torch.float32)
    )[0]
    logs = torch.log10(power).numpy()
    expected = librosa.feature.mfcc(S=logs.T, n_mfcc=12).T
    np.testing.assert_allclose(logs @ cosine_transform(20, 12).numpy().T, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("tone", [85.0, 147.3, 440.0])
def test_pitch_of_a_tone_with_overtones(tone: float) -> None:
    """A saw has its period as pitch, not one of its many overtones; noise has none."""
    sound = torch.tensor(sawtooth(2 * np.pi * tone * np.arange(4000) / RATE)[None], dtype=torch.float32)
    height, sure = pitch(sound, rate=RATE, size=400, hop=HOP, low=60.0, high=1000.0)
    np.testing.assert_allclose(height[0, 5:-5].numpy(), tone, rtol=0.01)
    assert sure[0, 5:-5].min() > 0.9
    _, unsure = pitch(
        torch.tensor(NOISE[None], dtype=torch.float32), rate=RATE, size=400, hop=HOP, low=60.0, high=1000.0
    )
    assert unsure.mean() < 0.5


def test_a_rising_call_rises_through_the_ultrasonic_bands() -> None:
    """30 to 100 kHz within 50 ms: the loudest band of each millisecond is the one the frequency lies in."""
    time = np.arange(12500) / 250e3
    sound = torch.tensor(chirp(time, 30e3, 0.05, 100e3)[None, :, None], dtype=torch.float32)
    tokenizer = UltrasonicTokenizer(Layout((12500, 1), rate=250e3), 16)
    assert tokenizer.spectrogram is not None
    loudest = tokenizer.spectrogram(sound[..., 0])[0].argmax(-1).numpy()
    expected = (30e3 + 70e3 * np.arange(50) / 50 - 20e3) / 2e3
    np.testing.assert_allclose(loudest[2:-2] + 0.5, expected[2:-2], atol=1.0)
    tokens = tokenizer(Sample(sound))
    np.testing.assert_allclose(tokens.time.numpy(), np.arange(50) * 1e-3, atol=1e-9)


def test_convolutions_of_all_widths_stand_side_by_side() -> None:
    """A click reaches 1, 2, 3 and 4 frames to both sides of itself, by its width, and each width has its share."""
    scales, click = MultiScale(1, 16, widths=(3, 5, 7, 9)), torch.zeros(1, 21, 1)
    click[0, 10] = 1.0
    heard = [conv(click.transpose(1, 2)) - conv(torch.zeros(1, 1, 21)) for conv in scales.scales]
    for reach, each in enumerate(heard, 1):
        assert each.shape[1] == 4
        assert np.flatnonzero(each[0].abs().sum(0).detach().numpy()).tolist() == list(range(10 - reach, 11 + reach))


def test_the_transformer_sees_the_whole_call_in_order() -> None:
    tokenizer = UltrasonicTokenizer(Layout((2500, 1), rate=250e3), 16)
    sound = torch.randn(1, 2500, 1)
    first = tokenizer(Sample(sound)).values[0, 0]
    later = sound.clone()
    later[:, 2000:] = torch.randn(1, 500, 1)
    assert (tokenizer(Sample(later)).values[0, 0] - first).abs().max() > 1e-4
    swapped = torch.cat([sound[:, 1250:], sound[:, :1250]], 1)
    means = [tokenizer(Sample(x)).values[0].mean(0) for x in (sound, swapped)]
    assert (means[0] - means[1]).abs().max() > 1e-4


def test_a_spectrogram_of_someone_else_is_read_as_one() -> None:
    layout = Layout((40, 12), rate=100.0, patch=4)
    for kind in (AudioTokenizer, UltrasonicTokenizer, VocalizationTokenizer):
        tokens = kind(layout, 16)(Sample(torch.randn(2, 40, 12)))
        assert tokens.values.shape == (2, 10, 16)
        np.testing.assert_allclose(tokens.time.numpy(), 0.02 + 0.04 * np.arange(10), rtol=1e-6)


def test_what_a_rate_cannot_hold_is_refused() -> None:
    slow = Layout((4000, 1), rate=44100.0)
    with pytest.raises(ValueError, match=r"low=20000, high=120000: must rise and end at 22050 Hz .* record faster"):
        UltrasonicTokenizer(slow, 16)
    with pytest.raises(ValueError, match=r"bands=500: some hold no frequency of 1102 samples at 44100 Hz"):
        AudioTokenizer(slow, 16, AudioConfig(bands=500))
    with pytest.raises(ValueError, match=r"heads=3: must divide hidden_dim=16"):
        UltrasonicTokenizer(Layout((2500, 1), rate=250e3), 16, UltrasonicConfig(heads=3))
    with pytest.raises(ValueError, match="kernel_sizes"):
        AudioConfig(kernel_sizes=(4,))
    with pytest.raises(ValueError, match="coefficients=50: must be at most bands=40"):
        VocalizationConfig(coefficients=50)
