"""Video, by convolutions over time, height and width."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import VideoConfig
from neurofmx.tokenizers.pictures import as_pictures, picture_layout
from neurofmx.tokenizers.positions import sinusoid
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patch_means, patches


@final
class VideoTokenizer(Tokenizer):
    """A 3-D convolutional network with residual blocks; one token every `patch` frames, for any number of frames.

    A token says when it was by waves of time, and where by a coarse grid of places that it reads side by side.

    Args:
        layout: Of the windows: (frames, height, width), (frames, height, width, colours), or with a `grid`.
        dim: Width of a token.
        config: Blocks and grid.

    Raises:
        ValueError: If the windows are no video.

    Source:
        Tran et al. 2018, "A closer look at spatiotemporal convolutions for action recognition", section 3.2 (R3D),
        with the norm before the convolution and over channels alone, so that no frame depends on padding.
    """

    def __init__(self, layout: Layout, dim: int, config: VideoConfig | None = None) -> None:
        super().__init__()
        config = config or VideoConfig()
        self.layout, self.pictures, self.dim = layout, picture_layout(layout), dim
        sizes = (self.pictures.shape[3], *config.channels)
        self.blocks = nn.ModuleList(ResidualBlock(a, b) for a, b in pairwise(sizes))
        self.grid = config.grid
        self.project = nn.Linear(sizes[-1] * config.grid**2, dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, frames / patch, dim)."""
        video = as_pictures(sample, self.layout, self.pictures)
        values = patch_means(self.encode(video.x.movedim(-1, 1), video.recorded), video, self.pictures.patch)
        mask, time = patches(video, self.pictures)
        when = sinusoid(time, self.dim, shortest=2 * self.pictures.patch / self.pictures.rate)
        return Tokens(values + when, mask, time)

    def encode(self, video: Tensor, recorded: Tensor | None = None) -> Tensor:
        """Video (B, colours, frames, height, width) to one vector a frame (B, frames, dim).

        Args:
            video: Any number of frames of any height and width.
            recorded: Which frames were recorded (B, frames); None for all.
        """
        for block in self.blocks:
            video = block(video, recorded)
        rows, columns = (_cells(side, self.grid, device=video.device) for side in video.shape[3:])
        places = rows @ video @ columns.T
        return self.project(places.movedim(2, 1).flatten(2))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; halves height and width, keeps every frame.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, stride=(1, 2, 2), padding=1)
        self.second = nn.Conv3d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv3d(inputs, outputs, 1, stride=(1, 2, 2))
        self.norm_first, self.norm_second = nn.LayerNorm(inputs), nn.LayerNorm(outputs)

    def forward(self, video: Tensor, recorded: Tensor | None) -> Tensor:
        """Video (B, inputs, frames, height, width), 0 where nothing was recorded, to half the height and width."""
        # raw pixels of one colour have nothing to be normalised by
        x = nn.functional.gelu(_normed(video, self.norm_first)) if video.shape[1] > 4 else video
        x = self.first(_blank(x, recorded))
        x = self.second(_blank(nn.functional.gelu(_normed(x, self.norm_second)), recorded))
        return _blank(x + self.short(video), recorded)


def _cells(side: int, cells: int, *, device: torch.device) -> Tensor:
    """Means over equal parts of a side (cells, side); torch's own adaptive pooling has no deterministic backward."""
    edges = torch.linspace(0, side, cells + 1, device=device)
    pixel = torch.arange(side, device=device)
    share = (torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)).clamp_min(0)
    return share / share.sum(1, keepdim=True)


def _normed(video: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Normalise the channels of each place and frame by themselves."""
    return norm(video.movedim(1, -1)).movedim(-1, 1)


def _blank(video: Tensor, recorded: Tensor | None) -> Tensor:
    """0 in frames that were not recorded, as the convolution takes it beyond the ends."""
    return video if recorded is None else video.masked_fill(~recorded[:, None, :, None, None], 0.0)
