"""Units of a population, spiking or fluorescent: one tokenizer for any number of them, in any order.

    s[t]  population vector: weighted sum over units (`channel_mixing.py`)
    token = W [s[t], ..., s[t + patch - 1]] + b

`W` is shared by all recordings, so a new session only needs embeddings for its units.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.channel_mixing import ChannelMixing
from neurofmx.tokenizers.configs import CalciumConfig, UnitConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


class UnitTokenizer(Tokenizer):
    """Tokens of a population of units.

    Args:
        layout: Of the windows (B, T, units).
        dim: Width of a token.
        config: Size of an embedding.
        views: Numbers that a unit's trace is read as, see `read`.
    """

    def __init__(self, layout: Layout, dim: int, config: UnitConfig, *, views: int) -> None:
        super().__init__()
        self.layout = layout
        self.mixings = nn.ModuleList(
            ChannelMixing(layout, config.width, extent=config.extent, octaves=config.octaves) for _ in range(views)
        )
        self.project = nn.Linear(layout.patch * config.width * views, dim)

    def read(self, x: Tensor) -> list[Tensor]:
        """What a unit's trace says, each (B, T, units)."""
        return [x]

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, T / patch, dim)."""
        views = self.read(sample.cleared())
        population = torch.cat([mix(view, sample) for mix, view in zip(self.mixings, views, strict=True)], -1)
        return Tokens(
            self.project(population.unflatten(1, (-1, self.layout.patch)).flatten(2)), *patches(sample, self.layout)
        )

    def add_recordings(self, number: int) -> None:
        """Make embeddings for the units of recordings never seen; those that there are stay as they are."""
        for mixing in self.mixings:
            assert isinstance(mixing, ChannelMixing)
            mixing.add_recordings(number)


@final
class SpikeTokenizer(UnitTokenizer):
    """Tokens of binned spike counts or rates.

    Args:
        layout: Of the windows (B, bins, units).
        dim: Width of a token.
        config: Size of a unit's embedding.
    """

    def __init__(self, layout: Layout, dim: int, config: UnitConfig | None = None) -> None:
        super().__init__(layout, dim, config or UnitConfig(), views=1)


@final
class CalciumTokenizer(UnitTokenizer):
    """Tokens of fluorescence: the trace itself, and what is new in it.

    An indicator answers a spike with a jump and a slow decay, `c[t] = g c[t-1] + s[t]`; the innovation
    `c[t] - g c[t-1]` gives the spikes `s` back. The decay `g` is learnt from where the config puts it.

    Args:
        layout: Of the windows (B, frames, units).
        dim: Width of a token.
        config: Size of a unit's embedding, and the indicator's decay time.

    Source:
        Vogelstein et al. 2010, "Fast nonnegative deconvolution for spike train inference from population calcium
        imaging", equation 2.
    """

    def __init__(self, layout: Layout, dim: int, config: CalciumConfig | None = None) -> None:
        config = config or CalciumConfig()
        super().__init__(layout, dim, config, views=2)
        decay = math.exp(-1 / (config.decay_s * layout.rate))
        self.logit = nn.Parameter(torch.logit(torch.tensor(decay), eps=1e-4))

    def read(self, x: Tensor) -> list[Tensor]:
        """The trace and its innovation; before the window it stood still."""
        earlier = torch.cat([x[:, :1], x[:, :-1]], 1)
        return [x, x - torch.sigmoid(self.logit) * earlier]
