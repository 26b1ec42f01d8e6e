"""Posture: keypoints of a body, with the video they were found in where it is at hand."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import BehaviorVideoConfig
from neurofmx.tokenizers.image import convolutions
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patch_means, patches


@final
class BehaviorVideoTokenizer(Tokenizer):
    """Keypoints relative to the body's centre, small convolutions over each frame, and an LSTM over time.

    Keypoints are pairs (x, y), or triples (x, y, v) in the form of COCO, where v = 0 says that a point was not found;
    triples must not be standardised. The video is the sample's `beside`: one frame for each frame of keypoints.

    Args:
        layout: Of the keypoints (B, frames, points, 2 or 3), or flat (B, frames, 2 or 3 times points); its `beside` of
            the video (B, frames, height, width) or (B, frames, height, width, colours).
        dim: Width of a token.
        config: Form of the keypoints and convolutions over frames.

    Raises:
        ValueError: If the numbers of a frame are not pairs or triples, or the video has another number of frames.

    Source:
        Lin et al. 2014, "Microsoft COCO: common objects in context", and its format of keypoints.
    """

    def __init__(self, layout: Layout, dim: int, config: BehaviorVideoConfig | None = None) -> None:
        super().__init__()
        config = config or BehaviorVideoConfig()
        self.layout = layout
        self.numbers = layout.shape[-1] if len(layout.shape) == 3 else config.coordinates
        if self.numbers not in (2, 3) or layout.channels % self.numbers:
            raise ValueError(
                f"keypoints are 2 or 3 numbers each, found {layout.shape[1:]} a frame with tokenizer_options "
                f"coordinates={config.coordinates}"
            )
        points = layout.channels // self.numbers
        self.posture = nn.Linear(3 * points + 2, dim)
        self.frames, self.sight = None, None
        if layout.beside is not None:
            _check_frames(layout, layout.beside)
            colours = layout.beside.shape[3] if len(layout.beside.shape) == 4 else 1
            self.frames = convolutions(colours, config)
            self.sight = nn.Linear(config.conv_channels[-1], dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, frames / patch, dim)."""
        features = self.posture(self.pose(sample.cleared()))
        if sample.beside is not None and self.frames is not None and self.sight is not None:
            features = features + self._seen(sample.beside.cleared())
        states, _ = self.lstm(nn.functional.gelu(features))
        return Tokens(patch_means(states, sample, self.layout.patch), *patches(sample, self.layout))

    def pose(self, x: Tensor) -> Tensor:
        """Keypoints relative to the mean of those found, which were found, and that mean: (B, frames, 3 points + 2)."""
        points = x.flatten(2).unflatten(2, (-1, self.numbers))
        place = points[..., :2]
        found = points[..., 2:] > 0 if self.numbers == 3 else torch.ones_like(place[..., :1], dtype=torch.bool)
        place = place.masked_fill(~found, 0.0)
        centre = place.sum(2, keepdim=True) / found.sum(2, keepdim=True).clamp_min(1)
        relative = (place - centre).masked_fill(~found, 0.0)
        return torch.cat([torch.cat([relative, found.to(x.dtype)], -1).flatten(2), centre[:, :, 0]], -1)

    def _seen(self, video: Tensor) -> Tensor:
        """What each frame shows (B, frames, dim)."""
        assert self.frames is not None
        assert self.sight is not None
        pixels = video[:, :, None] if video.ndim == 4 else video.movedim(-1, 2)
        return self.sight(self.frames(pixels.flatten(0, 1)).mean((2, 3)).unflatten(0, pixels.shape[:2]))


def _check_frames(layout: Layout, video: Layout) -> None:
    if video.shape[0] != layout.shape[0] or len(video.shape) not in (3, 4):
        raise ValueError(
            f"keypoints of {layout.shape[0]} frames need a video of as many, (frames, height, width) or "
            f"(frames, height, width, colours), found {video.shape}"
        )
