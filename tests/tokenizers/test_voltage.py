"""Voltages: band power against scipy and closed forms, shapes that can be undone, any order of electrodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import periodogram

from neurofmx.tokenizers.band_power import BandPower
from neurofmx.tokenizers.configs import EEGConfig, LFPConfig
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.tokenizers.voltage import EEGTokenizer, LFPTokenizer, VoltageTokenizer
from token_samples import LAYOUTS, sample_of

BANDS = ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0))


@pytest.mark.parametrize("span", [64, 75])
def test_band_power_is_the_sum_of_scipys_periodogram(span: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, span, 3))
    power = BandPower(rate=128.0, patch=span, span=span, bands=BANDS).power(torch.tensor(x, dtype=torch.float32))
    frequency, density = periodogram(x, 128.0, window="hann", detrend=False, axis=1)
    expected = [density[:, (frequency >= a) & (frequency < b)].sum(1) * 128 / span for a, b in BANDS]
    expected = [np.square(x).mean(1), *expected]
    np.testing.assert_allclose(power[:, 0].numpy(), np.stack(expected, -1), rtol=1e-4)


def test_a_sine_has_half_its_squared_amplitude_in_its_band() -> None:
    time = torch.arange(512) / 128
    x = 3 * torch.sin(2 * np.pi * 10 * time)[None, :, None]
    power = BandPower(rate=128.0, patch=128, span=128, bands=BANDS).power(x)
    np.testing.assert_allclose(power[0, :, 0].numpy(), np.tile([4.5, 0, 4.5, 0], (4, 1)), atol=1e-4)


def test_power_of_a_short_or_interrupted_stretch_is_that_of_its_samples() -> None:
    """A constant of 2 has power 4, whether 3 or 8 samples of a patch were recorded, or the span reaches outside."""
    x, recorded = torch.full((1, 16, 1), 2.0), torch.arange(16)[None] < 11
    for span in (8, 14):
        power = BandPower(rate=100.0, patch=8, span=span, bands=()).power(x * recorded[..., None], recorded)
        np.testing.assert_allclose(power.flatten().numpy(), [4, 4], rtol=1e-5)


def test_a_longer_spectrum_sees_what_lies_around_a_patch() -> None:
    """Patches of 50 ms cannot tell 6 from 10 Hz; spans of 1 s can."""
    layout = Layout((500, 1), rate=500.0, patch=25)
    short = LFPTokenizer(layout, 4, LFPConfig(bands=((4, 8), (8, 12))))
    long = LFPTokenizer(layout, 4, LFPConfig(bands=((4, 8), (8, 12)), spectrum_s=1.0))
    assert short.power.features == 1
    wave = torch.sin(2 * np.pi * 6 * torch.arange(500) / 500)[None, :, None]
    middle = long.power.power(wave)[0, 10, 0]
    assert middle[1] > 100 * middle[2]
    assert middle[1] == pytest.approx(0.5, rel=0.02)


def test_shapes_of_voltage_can_be_undone() -> None:
    """The inverse of the spatial weights gives the patches' samples back."""
    layout = Layout((32, 4), rate=500.0, patch=8)
    tokenizer, x = LFPTokenizer(layout, 4, LFPConfig(sources=4)), torch.randn(2, 32, 4)
    sources = tokenizer.mixing(x, Sample(x))
    shapes = tokenizer._shapes(sources).unflatten(2, (8, 4)).flatten(1, 2)
    torch.testing.assert_close(shapes @ torch.linalg.inv(tokenizer.mixing.embedding[0]), x, rtol=1e-3, atol=1e-3)


def test_eeg_reads_power_alone() -> None:
    """Turning the sign of every voltage changes no rhythm; a shape would be another one."""
    sample = sample_of(LAYOUTS["eeg"])
    turned = sample.with_x(-sample.x)
    eeg, shape = EEGTokenizer(LAYOUTS["eeg"], 8), EEGTokenizer(LAYOUTS["eeg"], 8, EEGConfig(waveform=True))
    torch.testing.assert_close(eeg(turned).values, eeg(sample).values)
    assert (shape(turned).values - shape(sample).values).abs().max() > 0.1


@pytest.mark.parametrize("name", ["ecog", "ieeg", "lfp"])
def test_electrodes_are_known_by_their_place(name: str) -> None:
    """Without embeddings of their own, permuted electrodes with permuted positions give the same tokens."""
    from neurofmx.tokenizers.table import build_tokenizer

    layout, order = LAYOUTS[name], torch.tensor([3, 0, 4, 1, 2])
    tokenizer, sample = build_tokenizer(name, layout, 16), sample_of(layout)
    assert isinstance(tokenizer, VoltageTokenizer)
    tokenizer.mixing.embedding.data.zero_()
    assert sample.present is not None
    assert sample.positions is not None
    turned = replace(
        sample, x=sample.x[..., order], present=sample.present[:, order], positions=sample.positions[:, order]
    )
    torch.testing.assert_close(tokenizer(turned).values, tokenizer(sample).values, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="give the sample's `positions`"):
        tokenizer(replace(sample, positions=None))


@pytest.mark.parametrize("name", ["eeg", "emg"])
def test_permuted_electrodes_with_their_embeddings_give_the_same_tokens(name: str) -> None:
    """Where no positions are known, an electrode is its embedding and not its column."""
    from neurofmx.tokenizers.table import build_tokenizer

    layout, order = LAYOUTS[name], torch.tensor([3, 0, 4, 1, 2])
    tokenizer, sample = build_tokenizer(name, layout, 16), sample_of(layout)
    assert isinstance(tokenizer, VoltageTokenizer)
    assert sample.present is not None
    turned = replace(sample, x=sample.x[..., order], present=sample.present[:, order])
    before = tokenizer(sample).values
    assert not torch.allclose(tokenizer(turned).values, before, atol=1e-3)
    tokenizer.mixing.embedding.data = tokenizer.mixing.embedding.data[:, order]
    torch.testing.assert_close(tokenizer(turned).values, before, rtol=1e-3, atol=1e-4)
