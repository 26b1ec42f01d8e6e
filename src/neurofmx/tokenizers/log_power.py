"""Power of spatially filtered voltage: the tokenizer of band-passed EEG, where rhythms carry the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LogPowerTokenizer(nn.Module):
    """Filter the channels in space, take the power of each stretch of `patch` samples, and its logarithm.

    A phase-locked shape is rare in EEG; what a movement or its imagination changes is the power of a rhythm over
    one part of the scalp. Power is not linear in the voltage, so a linear token cannot carry it.

    Args:
        channels: Channels of a window.
        dim: Width of a token.
        patch: Samples over which power is averaged; must divide the window's length.
        sources: Spatial filters.

    Shape:
        window `(batch, time, channels)`, standardised -> tokens `(batch, time / patch, dim)`.

    Source:
        Schirrmeister et al. 2017, "Deep learning with convolutional neural networks for EEG decoding", the shallow
        network's square, mean and log; the band-pass of the preprocessing stands for its temporal filter.
    """

    def __init__(self, channels: int, dim: int, *, patch: int = 1, sources: int = 16) -> None:
        super().__init__()
        self.patch = patch
        self.spatial = nn.Linear(channels, sources, bias=False)
        self.project = nn.Linear(sources, dim)

    def forward(self, window: Tensor) -> Tensor:
        """Tokens of a window, shape `(batch, time / patch, dim)`."""
        power = self.spatial(window).square().unflatten(1, (-1, self.patch)).mean(2)
        return self.project(torch.log(power + 1e-4))
