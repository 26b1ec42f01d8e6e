"""Voices: what is said, how it sounds and how high it is."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import VocalizationConfig
from neurofmx.tokenizers.recurrent import BothWays
from neurofmx.tokenizers.spectrogram import Spectrogram, cosine_transform, frame_mask, mel_bank, pitch, sound_of
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patch_means, patches


@final
class VocalizationTokenizer(Tokenizer):
    """Mel bands, their cepstrum (MFCC) and the pitch of each frame, read by an LSTM in both directions.

    Windows of one channel are a waveform, with one token every `hop_ms`. Windows of several channels are such features
    already, as the preprocessing of vocalisations makes them, with one token every `patch` frames.

    Args:
        layout: Of the windows (T, 1) or (frames, features).
        dim: Width of a token.
        config: Frames, bands, cepstral coefficients and the range of the pitch of a waveform.

    Source:
        Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition",
        equation 1 (cepstrum of mel bands).
    """

    def __init__(self, layout: Layout, dim: int, config: VocalizationConfig | None = None) -> None:
        super().__init__()
        config = config or VocalizationConfig()
        self.layout = layout
        self.voice = Voice(layout.rate, config) if sound_of(layout) else None
        self.read = BothWays(layout.channels if self.voice is None else self.voice.features, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / hop, dim), or (B, frames / patch, dim)."""
        x = sample.cleared().flatten(2)
        if self.voice is None:
            read = self.read(x, sample.recorded)
            return Tokens(patch_means(read, sample, self.layout.patch), *patches(sample, self.layout))
        mask = frame_mask(sample.length, samples=x.shape[1], hop=self.voice.hop)
        values = self.read(self.voice(x[..., 0]), mask)
        return Tokens(values, mask, torch.arange(values.shape[1], device=x.device) * self.voice.hop / self.layout.rate)


class Voice(nn.Module):
    """Mel bands, cepstrum and pitch of a waveform.

    Args:
        rate: Samples a second, Hz.
        config: Frames, bands, cepstral coefficients and the range of the pitch.
    """

    cosines: Tensor

    def __init__(self, rate: float, config: VocalizationConfig) -> None:
        super().__init__()
        self.rate, self.low, self.high = rate, config.pitch_low, min(config.pitch_high, rate / 4)
        self.hop, size, high = config.frames(rate)
        bank = mel_bank(rate, size, bands=config.bands, low=config.low, high=high)
        self.spectrogram = Spectrogram(bank, size=size, hop=self.hop)
        self.pitch_size = math.ceil(3 * rate / config.pitch_low)  # three periods of the lowest voice
        self.features = config.bands + config.coefficients + 2
        self.register_buffer("cosines", cosine_transform(config.bands, config.coefficients), persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """Sound (B, T) to (B, frames, features): log mel, MFCC, pitch in octaves above the lowest, how sure it is."""
        mel = self.spectrogram(sound)
        height, sure = pitch(sound, rate=self.rate, size=self.pitch_size, hop=self.hop, low=self.low, high=self.high)
        octaves = torch.log2(height / self.low) * sure.clamp(0, 1)  # without a voice there is no height to speak of
        cepstrum = mel @ self.cosines.T / math.sqrt(self.cosines.shape[1])  # as large as the bands themselves
        return torch.cat([mel, cepstrum, octaves[..., None], sure[..., None]], -1)
