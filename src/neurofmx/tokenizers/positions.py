"""Numbers that say where or when something was recorded, in waves of several lengths."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def fourier(positions: Tensor, *, extent: float, octaves: int) -> Tensor:
    """Sines and cosines of positions: waves of twice the extent, and of 2, 4, ... times shorter ones.

    Args:
        positions: Coordinates (..., axes), m.
        extent: Size of what is recorded, m, above 0: positions further apart than twice that look alike.
        octaves: Wavelengths, 1 or more.

    Returns:
        Features (..., 2 * axes * octaves), between -1 and 1.

    Source:
        Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low dimensional
        domains", section 6, positional encoding.
    """
    waves = 2.0 ** torch.arange(octaves, device=positions.device) * (math.pi / extent)
    angle = (positions[..., None] * waves).flatten(-2)
    return torch.cat([angle.sin(), angle.cos()], -1)


def sinusoid(time: Tensor, dim: int, *, shortest: float, longest: float = 1000.0) -> Tensor:
    """Sines and cosines of times, so that a token says when it was, for any length of window.

    Args:
        time: Times (tokens,), s.
        dim: Width of a token.
        shortest: Shortest period, s.
        longest: Longest period in units of the shortest.

    Returns:
        Features (tokens, dim), between -1 and 1.

    Source:
        Vaswani et al. 2017, "Attention is all you need", section 3.5, with periods in seconds.
    """
    half = -(-dim // 2)
    period = shortest * longest ** (torch.arange(half, device=time.device) / max(1, half - 1))
    angle = 2 * math.pi * time[:, None].float() / period
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :dim]
