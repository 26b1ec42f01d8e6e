"""Sound as power over time and frequency, and what is read off it: mel bands, cepstrum, pitch.

Frame k is centred on sample k * hop; a sound is silent before it begins and after it ends. Frames whose centre lies
behind a window's length are masked out by whoever reads them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.tokens import Layout, before

FINER = 4  # lags of a pitch a sample: a high voice has few samples a period
OCTAVE_COST = 0.05  # a pitch an octave lower must fit so much better
FLOOR = 1e-6  # of the variance of the sound; 60 dB below it silence looks alike


class Spectrogram(nn.Module):
    """Power of short stretches of sound in bands of frequency.

    Args:
        bank: Weight of each frequency in each band (bands, size / 2 + 1).
        size: Samples of a frame.
        hop: Samples from one frame to the next.
    """

    bank: Tensor
    window: Tensor

    def __init__(self, bank: Tensor, *, size: int, hop: int) -> None:
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("bank", bank, persistent=False)
        self.register_buffer("window", torch.hann_window(size), persistent=False)

    def power(self, sound: Tensor) -> Tensor:
        """Sound (B, T) to power (B, ceil(T / hop), bands), so that white noise of variance 1 has 1 per frequency."""
        spectrum = torch.stft(
            sound, self.size, self.hop, window=self.window, center=True, pad_mode="constant", return_complex=True
        )
        frames = spectrum.abs().square()[..., : -(-sound.shape[1] // self.hop)] / self.window.square().sum()
        return (self.bank @ frames).transpose(1, 2)

    def forward(self, sound: Tensor) -> Tensor:
        """Sound (B, T) to log power (B, frames, bands): 0 in silence, 1 more for each factor of 1000."""
        return torch.log10(1 + self.power(sound) / FLOOR) / 3


def frame_mask(length: Tensor | None, *, samples: int, hop: int) -> Tensor | None:
    """Which frames of windows with so many samples are centred on something recorded: (B, frames), or None for all."""
    return None if length is None else before(-(-length // hop), -(-samples // hop))


def sound_of(layout: Layout) -> bool:
    """Whether windows hold a waveform; otherwise their channels are taken for the bands of a spectrogram."""
    return layout.channels == 1


def mel_bank(rate: float, size: int, *, bands: int, low: float, high: float) -> Tensor:
    """Triangles evenly spaced in mel, each of area 1: (bands, size / 2 + 1).

    Args:
        rate: Samples a second, Hz.
        size: Samples of a frame.
        bands: Number of triangles.
        low: Where the first one begins, Hz.
        high: Where the last one ends, Hz, at most half the rate.

    Raises:
        ValueError: If the rate cannot hold `high`, or a band holds no frequency of such short frames.

    Source:
        Slaney 1998, "Auditory toolbox", technical report 1998-010: linear below 1 kHz, logarithmic above.
    """
    _check_band(rate, low, high)
    edges = _hertz(torch.linspace(_mel(low), _mel(high), bands + 2, dtype=torch.float64))
    frequency = torch.fft.rfftfreq(size, 1 / rate, dtype=torch.float64)
    rise = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    bank = torch.minimum(rise, fall).clamp_min(0) * (2 / (edges[2:] - edges[:-2]))[:, None]
    if not bool((bank > 0).any(1).all()):
        raise ValueError(
            f"tokenizer_options bands={bands}: some hold no frequency of {size} samples at {rate:g} Hz; take fewer "
            "bands or a longer window_ms"
        )
    return bank.float()


def linear_bank(rate: float, size: int, *, bands: int, low: float, high: float) -> Tensor:
    """Means over neighbouring frequencies, all bands equally wide: (bands, size / 2 + 1); arguments as `mel_bank`."""
    _check_band(rate, low, high)
    frequency = torch.fft.rfftfreq(size, 1 / rate, dtype=torch.float64)
    edges = torch.linspace(low, high, bands + 1, dtype=torch.float64)
    inside = ((frequency >= edges[:-1, None]) & (frequency < edges[1:, None])).double()
    if not bool(inside.any(1).all()):
        raise ValueError(
            f"tokenizer_options bands={bands}: some hold no frequency of {size} samples at {rate:g} Hz; take fewer "
            "bands or a longer window_ms"
        )
    return (inside / inside.sum(1, keepdim=True)).float()


def cosine_transform(bands: int, coefficients: int) -> Tensor:
    """The first coefficients of the orthonormal discrete cosine transform (type 2): (coefficients, bands)."""
    place = math.pi / bands * (torch.arange(bands) + 0.5)
    matrix = torch.cos(torch.arange(coefficients)[:, None] * place) * math.sqrt(2 / bands)
    matrix[0] /= math.sqrt(2)
    return matrix


def pitch(sound: Tensor, *, rate: float, size: int, hop: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    """How high a voice is, and how surely it has a pitch.

    Args:
        sound: Waveform (B, T).
        rate: Samples a second, Hz.
        size: Samples of a frame; holds two periods of `low` or more.
        hop: Samples from one frame to the next.
        low: Lowest pitch, Hz.
        high: Highest pitch, Hz.

    Returns:
        Pitch (B, frames) in Hz, and the correlation of the frame with itself one period later, at most about 1.

    Source:
        Boersma 1993, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
        sampled sound", equations 5 to 9 without the path over time.
    """
    first, last = max(2, math.floor(FINER * rate / high)), math.ceil(FINER * rate / low)
    window = torch.hann_window(size, device=sound.device)
    padded = nn.functional.pad(sound, (size // 2, size - size // 2))
    frames = padded.unfold(1, size, hop)[:, : -(-sound.shape[1] // hop)] * window
    share = _autocorrelation(window)
    found = _autocorrelation(frames) / share.clamp_min(1e-3)
    found = found / (found[..., :1] + FLOOR)
    lags = torch.arange(first, last + 1, device=sound.device)
    # every multiple of a period fits as well as the period itself: of equals the shortest
    preferred = found[..., first : last + 1] - OCTAVE_COST * torch.log2(lags / first)
    at = preferred.argmax(-1, keepdim=True) + first
    left, centre, right = (found.gather(-1, at + step)[..., 0] for step in (-1, 0, 1))
    shift = (0.5 * (left - right) / (left - 2 * centre + right).clamp_max(-1e-9)).clamp(-0.5, 0.5)  # of a parabola
    return FINER * rate / (at[..., 0] + shift), centre


def _autocorrelation(frames: Tensor) -> Tensor:
    """Products with itself at lags of 0 to size, a quarter of a sample apart, as the spectrum interpolates them."""
    size = frames.shape[-1]
    spectrum = torch.fft.rfft(frames, 2 * size).abs().square()
    return FINER * torch.fft.irfft(spectrum, 2 * size * FINER)[..., : size * FINER]


def _check_band(rate: float, low: float, high: float) -> None:
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"tokenizer_options low={low:g}, high={high:g}: must rise and end at {rate / 2:g} Hz or below, half the "
            f"rate of {rate:g} Hz; lower them, or record faster"
        )


def _mel(hertz: float) -> float:
    """Slaney's mel: 3 to 200 Hz, and 27 for each factor of 6.4 above 1000 Hz."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _hertz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
