"""Voices: what is said, how it sounds and how high it is."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from neurofmx.tokenizers.configs import VocalizationConfig
from neurofmx.tokenizers.recurrent import BothWays
from neurofmx.tokenizers.spectrogram import Spectrogram, cosine_transform, frame_mask, mel_bank, pitch, sound_of
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens


@final
class VocalizationTokenizer(Tokenizer):
    """Mel bands, their cepstrum (MFCC) and the pitch of each frame, read by an LSTM in both directions.

    Args:
        layout: Of the windows (B, T, 1).
        dim: Width of a token.
        config: Frames, bands, cepstral coefficients and the range of the pitch.

    Raises:
        ValueError: If the windows hold no waveform: a spectrogram has lost the pitch.

    Source:
        Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition",
        equation 1 (cepstrum of mel bands).
    """

    cosines: Tensor

    def __init__(self, layout: Layout, dim: int, config: VocalizationConfig | None = None) -> None:
        super().__init__()
        config = config or VocalizationConfig()
        if not sound_of(layout):
            raise ValueError(
                f"the vocalization tokenizer reads a waveform of 1 channel, found {layout.channels} channels; take "
                "`audio` for spectrograms"
            )
        self.layout, self.config = layout, config
        self.hop, size, high = config.frames(layout.rate)
        bank = mel_bank(layout.rate, size, bands=config.bands, low=config.low, high=high)
        self.spectrogram = Spectrogram(bank, size=size, hop=self.hop)
        self.pitch_high = min(config.pitch_high, layout.rate / 4)
        self.pitch_size = math.ceil(3 * layout.rate / config.pitch_low)  # three periods of the lowest voice
        self.register_buffer("cosines", cosine_transform(config.bands, config.coefficients), persistent=False)
        self.read = BothWays(config.bands + config.coefficients + 2, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / hop, dim)."""
        sound = sample.cleared().flatten(1)
        mask = frame_mask(sample.length, samples=sound.shape[1], hop=self.hop)
        values = self.read(self.features(sound), mask)
        return Tokens(values, mask, torch.arange(values.shape[1], device=sound.device) * self.hop / self.layout.rate)

    def features(self, sound: Tensor) -> Tensor:
        """Sound (B, T) to (B, frames, bands + coefficients + 2): log mel, MFCC, pitch in octaves and its sureness."""
        mel, low = self.spectrogram(sound), self.config.pitch_low
        height, sure = pitch(
            sound, rate=self.layout.rate, size=self.pitch_size, hop=self.hop, low=low, high=self.pitch_high
        )
        octaves = torch.log2(height / low) * sure.clamp(0, 1)  # without a voice there is no height to speak of
        cepstrum = mel @ self.cosines.T / math.sqrt(self.config.bands)  # as large as the bands themselves
        return torch.cat([mel, cepstrum, octaves[..., None], sure[..., None]], -1)
