"""Ultrasonic calls of rodents, too high to hear."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from neurofmx.tokenizers.attention import Encoder
from neurofmx.tokenizers.configs import UltrasonicConfig
from neurofmx.tokenizers.positions import sinusoid
from neurofmx.tokenizers.spectrogram import Spectrogram, frame_mask, linear_bank, sound_of
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


@final
class UltrasonicTokenizer(Tokenizer):
    """Log spectrogram of 20 to 120 kHz, read by a transformer that sees the whole window.

    Windows of one channel are a waveform, with one token every `hop_ms`; windows of several channels are a
    spectrogram already, with one token every `patch` frames.

    Args:
        layout: Of the windows (B, T, 1) or (B, frames, bands).
        dim: Width of a token.
        config: Frames, bands and blocks.

    Raises:
        ValueError: If the rate cannot hold the band, or the heads do not divide the width.
    """

    def __init__(self, layout: Layout, dim: int, config: UltrasonicConfig | None = None) -> None:
        super().__init__()
        config = config or UltrasonicConfig()
        self.layout, self.hop, bands, self.spectrogram = layout, layout.patch, layout.channels * layout.patch, None
        if sound_of(layout):
            self.hop, size, high = config.frames(layout.rate)
            bank = linear_bank(layout.rate, size, bands=config.bands, low=config.low, high=high)
            bands, self.spectrogram = config.bands, Spectrogram(bank, size=size, hop=self.hop)
        self.embed = nn.Linear(bands, dim)
        self.encoder = Encoder(dim, layers=config.layers, heads=config.heads)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / hop, dim), or (B, frames / patch, dim)."""
        x = sample.cleared().flatten(2)
        if self.spectrogram is None:
            mask, time = patches(sample, self.layout)
            frames = x.unflatten(1, (-1, self.layout.patch)).flatten(2)
        else:
            mask = frame_mask(sample.length, samples=x.shape[1], hop=self.hop)
            frames = self.spectrogram(x[..., 0])
            time = torch.arange(frames.shape[1], device=x.device) * self.hop / self.layout.rate
        tokens = self.embed(frames)
        when = sinusoid(time, tokens.shape[-1], shortest=2 * self.hop / self.layout.rate)
        return Tokens(self.encoder(tokens + when, mask), mask, time)
