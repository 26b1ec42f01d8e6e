"""Power of spatially filtered voltage: the tokenizer of band-passed EEG, where rhythms carry the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import LogPowerConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


class LogPowerTokenizer(Tokenizer):
    """Filter the channels in space, take the power of each stretch of `patch` samples, and its logarithm.

    A phase-locked shape is rare in EEG; what a movement or its imagination changes is the power of a rhythm over
    one part of the scalp. Power is not linear in the voltage, so a linear token cannot carry it.

    Args:
        layout: Of the windows (B, T, C).
        dim: Width of a token.
        config: Number of spatial filters.

    Source:
        Schirrmeister et al. 2017, "Deep learning with convolutional neural networks for EEG decoding", the shallow
        network's square, mean and log; the band-pass of the preprocessing stands for its temporal filter.
    """

    def __init__(self, layout: Layout, dim: int, config: LogPowerConfig | None = None) -> None:
        super().__init__()
        sources = (config or LogPowerConfig()).sources
        self.layout = layout
        self.spatial = nn.Linear(layout.channels, sources, bias=False)
        self.project = nn.Linear(sources, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / patch, dim)."""
        squares = self.spatial(sample.cleared()).square().unflatten(1, (-1, self.layout.patch))
        power = squares.mean(2) / self._share(sample)
        return Tokens(self.project(torch.log(power + 1e-4)), *patches(sample, self.layout))

    def _share(self, sample: Sample) -> Tensor | float:
        """How much of each patch was recorded (B, N, 1), at least one sample; 1 where all of it was."""
        if sample.recorded is None:
            return 1.0
        return sample.recorded.unflatten(1, (-1, self.layout.patch)).sum(2)[..., None].clamp_min(1) / self.layout.patch
