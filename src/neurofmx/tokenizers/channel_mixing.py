"""From any number of channels to a fixed number of sources: what units, electrodes and parcels have in common.

    s[t] = sqrt(C / n) sum over present c of x[t, c] w[c],      w[c] = e[recording, c] + G f(position of c)

with `e` a learnt embedding, `f` Fourier features, `n` the present channels. The order of channels means nothing:
permuting them together with their embeddings and positions changes no source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.positions import fourier
from neurofmx.tokenizers.tokens import Layout, Sample


class ChannelMixing(nn.Module):
    """Weighted sums over the channels that a recording has.

    Args:
        layout: Of the windows (B, T, C).
        sources: Sums to take, K.
        extent: Size of what is recorded, m, for the features of positions.
        octaves: Wavelengths of those features.

    Source:
        Azabou et al. 2023, "A unified, scalable framework for neural population decoding", section 2.2 (learnt unit
        embeddings, new ones for a new session); Défossez et al. 2023, "Decoding speech perception from non-invasive
        brain recordings", section 2.3 (weights from sensor positions).
    """

    def __init__(self, layout: Layout, sources: int, *, extent: float = 0.2, octaves: int = 4) -> None:
        super().__init__()
        self.extent, self.octaves, self.positions = extent, octaves, layout.positions
        spread = 1 / math.sqrt(3 * layout.channels)  # as wide as torch's linear layers begin
        # recordings with the same channels share their embeddings
        recordings = layout.recordings if layout.varied else 1
        self.embedding = nn.Parameter(spread * torch.randn(recordings, layout.channels, sources))
        if layout.varied:
            self.register_load_state_dict_pre_hook(_make_room)
        if layout.positions:
            self.place = nn.Linear(6 * octaves, sources, bias=False)
            nn.init.normal_(self.place.weight, std=spread / math.sqrt(3 * octaves))

    def weights(self, sample: Sample) -> Tensor:
        """Weight of each channel, 0 for an absent one: (B, C, K), or (1, C, K) where all windows share them.

        Raises:
            ValueError: If the windows lack positions that the layout promised, or come from a recording without
                embeddings.
        """
        weights = self.embedding[self._rows(sample)]
        if self.positions:
            if sample.positions is None:
                raise ValueError("this tokenizer was built for channels with positions: give the sample's `positions`")
            weights = weights + self.place(self._place(sample.positions))
        if sample.present is None:
            return weights
        number = sample.present.sum(1).clamp_min(1)
        share = torch.sqrt(sample.present.shape[1] / number)[:, None, None]
        return (weights * share).masked_fill(~sample.present[..., None], 0.0)

    def forward(self, x: Tensor, sample: Sample) -> Tensor:
        """Sources (B, T, K) of samples (B, T, C), which hold 0 where nothing was recorded."""
        return x @ self.weights(sample)

    def add_recordings(self, number: int) -> None:
        """Make embeddings for recordings never seen, spread as those that there are; the others stay as they are.

        Args:
            number: New recordings; they take the next indices.
        """
        old = self.embedding.data
        new = old.mean((0, 1)) + old.std((0, 1), correction=0) * torch.randn(number, *old.shape[1:], device=old.device)
        self.embedding = nn.Parameter(torch.cat([old, new]))

    def _place(self, positions: Tensor) -> Tensor:
        """Features (B, C, F) of positions (B, C, 3); 0 for a channel of which nobody knows where it sits."""
        known = positions.isfinite().all(-1, keepdim=True)
        return fourier(positions.nan_to_num(), extent=self.extent, octaves=self.octaves).masked_fill(~known, 0.0)

    def _rows(self, sample: Sample) -> Tensor:
        """Row of embeddings of each window."""
        recordings = len(self.embedding)
        if recordings == 1 or sample.recording is None:
            return torch.zeros(1, dtype=torch.int64, device=self.embedding.device)
        if int(sample.recording.max()) >= recordings:
            raise ValueError(
                f"recording {int(sample.recording.max())} has no embeddings, there are {recordings}; call "
                "add_recordings and train the new ones"
            )
        return sample.recording


def _make_room(module: ChannelMixing, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Give a mixing as many recordings as one that has grown, whose state it is about to load."""
    loaded, own = state.get(f"{prefix}embedding"), module.embedding
    if loaded is not None and loaded.shape[1:] == own.shape[1:] and len(loaded) > len(own):
        module.embedding = nn.Parameter(own.data.new_zeros(loaded.shape))
