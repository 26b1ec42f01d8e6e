"""Sound, heard at several time scales."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import AudioConfig
from neurofmx.tokenizers.spectrogram import Spectrogram, frame_mask, mel_bank, sound_of
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patch_means, patches


@final
class AudioTokenizer(Tokenizer):
    """Log mel spectrogram, and convolutions over 3, 5, 7 and 9 frames side by side.

    Windows of one channel are a waveform, with one token every `hop_ms`. Windows of several channels are a
    spectrogram already, whose bands the channels are, with one token every `patch` frames.

    Args:
        layout: Of the windows (B, T, 1) or (B, frames, bands).
        dim: Width of a token.
        config: Frames, bands and convolutions.

    Source:
        Szegedy et al. 2015, "Going deeper with convolutions", section 4 (filters of several sizes side by side).
    """

    def __init__(self, layout: Layout, dim: int, config: AudioConfig | None = None) -> None:
        super().__init__()
        config = config or AudioConfig()
        self.layout, self.hop, bands, self.spectrogram = layout, layout.patch, layout.channels, None
        if sound_of(layout):
            self.hop, size, high = config.frames(layout.rate)
            bank = mel_bank(layout.rate, size, bands=config.bands, low=config.low, high=high)
            bands, self.spectrogram = config.bands, Spectrogram(bank, size=size, hop=self.hop)
        self.scales = MultiScale(bands, dim, widths=config.kernel_sizes)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / hop, dim), or (B, frames / patch, dim)."""
        x = sample.cleared().flatten(2)
        if self.spectrogram is None:
            return self._of_bands(x, sample)
        mask = frame_mask(sample.length, samples=x.shape[1], hop=self.hop)
        values = self.scales(self.spectrogram(x[..., 0]), mask)
        time = torch.arange(values.shape[1], device=x.device) * self.hop / self.layout.rate
        return Tokens(values, mask, time)

    def _of_bands(self, x: Tensor, sample: Sample) -> Tokens:
        """Tokens of a spectrogram that someone else made."""
        heard = self.scales(x, sample.recorded)
        return Tokens(patch_means(heard, sample, self.layout.patch), *patches(sample, self.layout))


class MultiScale(nn.Module):
    """Convolutions of several widths over time side by side, joined to one feature vector a frame.

    Args:
        bands: Numbers of a frame.
        dim: Width of the result.
        widths: Frames that each convolution spans, odd.
    """

    def __init__(self, bands: int, dim: int, *, widths: tuple[int, ...]) -> None:
        super().__init__()
        each = -(-dim // len(widths))
        self.scales = nn.ModuleList(nn.Conv1d(bands, each, width, padding=width // 2) for width in widths)
        self.join = nn.Sequential(nn.GELU(), nn.Linear(each * len(widths), dim))

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Frames (B, N, bands) to (B, N, dim); what the mask (B, N) leaves out counts as silence."""
        if mask is not None:
            frames = frames.masked_fill(~mask[..., None], 0.0)
        heard = torch.cat([scale(frames.transpose(1, 2)) for scale in self.scales], 1)
        return self.join(heard.transpose(1, 2))
