"""Voltages of electrodes: spatial filters, then the shape and the band power of each patch of time."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.band_power import BandPower
from neurofmx.tokenizers.channel_mixing import ChannelMixing
from neurofmx.tokenizers.configs import ECoGConfig, EEGConfig, EMGConfig, IEEGConfig, LFPConfig, VoltageConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


class VoltageTokenizer(Tokenizer):
    """Tokens of any number of electrodes, wherever they sit.

    Channels are mixed to sources by learnt weights and, where positions are known, by weights that follow from them.
    Of each source a token reads the log power of its bands, and its waveform where the config says so.

    Args:
        layout: Of the windows (B, T, C).
        dim: Width of a token.
        config: Sources, bands, and whether shapes are read.
    """

    def __init__(self, layout: Layout, dim: int, config: VoltageConfig) -> None:
        super().__init__()
        self.layout, self.waveform = layout, config.waveform
        self.mixing = ChannelMixing(layout, config.sources, extent=config.extent, octaves=config.octaves)
        span = layout.patch if config.spectrum_s is None else max(layout.patch, round(config.spectrum_s * layout.rate))
        self.power = BandPower(rate=layout.rate, patch=layout.patch, span=span, bands=config.bands, floor=config.floor)
        shape = layout.patch if config.waveform else 0
        self.project = nn.Linear(config.sources * (self.power.features + shape), dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / patch, dim)."""
        sources = self.mixing(sample.cleared(), sample)
        features = [self.power(sources, sample.recorded).flatten(2)]
        if self.waveform:
            features.append(self._shapes(sources))
        return Tokens(self.project(torch.cat(features, -1)), *patches(sample, self.layout))

    def _shapes(self, sources: Tensor) -> Tensor:
        """Samples of each patch (B, T / patch, patch * sources)."""
        return sources.unflatten(1, (-1, self.layout.patch)).flatten(2)


@final
class LFPTokenizer(VoltageTokenizer):
    """Tokens of local field potentials; arguments as of `VoltageTokenizer`."""

    def __init__(self, layout: Layout, dim: int, config: LFPConfig | None = None) -> None:
        super().__init__(layout, dim, config or LFPConfig())


@final
class IEEGTokenizer(VoltageTokenizer):
    """Tokens of depth electrodes; arguments as of `VoltageTokenizer`."""

    def __init__(self, layout: Layout, dim: int, config: IEEGConfig | None = None) -> None:
        super().__init__(layout, dim, config or IEEGConfig())


@final
class EEGTokenizer(VoltageTokenizer):
    """Tokens of scalp EEG; arguments as of `VoltageTokenizer`."""

    def __init__(self, layout: Layout, dim: int, config: EEGConfig | None = None) -> None:
        super().__init__(layout, dim, config or EEGConfig())


@final
class ECoGTokenizer(VoltageTokenizer):
    """Tokens of cortical surface electrodes; arguments as of `VoltageTokenizer`."""

    def __init__(self, layout: Layout, dim: int, config: ECoGConfig | None = None) -> None:
        super().__init__(layout, dim, config or ECoGConfig())


@final
class EMGTokenizer(VoltageTokenizer):
    """Tokens of muscle activity, raw or as an envelope; arguments as of `VoltageTokenizer`."""

    def __init__(self, layout: Layout, dim: int, config: EMGConfig | None = None) -> None:
        super().__init__(layout, dim, config or EMGConfig())
