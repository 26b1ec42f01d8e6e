"""Posture: keypoints of a body, with the video they were found in where it is at hand."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import BehaviorVideoConfig
from neurofmx.tokenizers.image import convolutions
from neurofmx.tokenizers.pictures import as_pictures, picture_layout
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patch_means, patches


@final
class BehaviorVideoTokenizer(Tokenizer):
    """Keypoints relative to the body's centre, small convolutions over each frame, and an LSTM over time.

    Keypoints are (x, y), (x, y, z), or (x, y, v) in the form of COCO, where v = 0 says that a point was not found; the
    last must not be standardised. The video is the sample's `beside`: one frame for each frame of keypoints.

    Args:
        layout: Of the keypoints (frames, points, numbers), or flat (frames, points * numbers); its `beside` of the
            video, as the video tokenizer takes it.
        dim: Width of a token.
        config: Form of the keypoints and convolutions over frames.

    Raises:
        ValueError: If the numbers of a frame do not fit the form, or the video has another number of frames.

    Source:
        Lin et al. 2014, "Microsoft COCO: common objects in context", and its format of keypoints.
    """

    def __init__(self, layout: Layout, dim: int, config: BehaviorVideoConfig | None = None) -> None:
        super().__init__()
        config = config or BehaviorVideoConfig()
        self.layout, self.form = layout, config.form
        self.numbers, self.axes = len(config.form.replace("coco", "xyv")), 3 if config.form == "xyz" else 2
        if layout.shape[-1] % self.numbers or (len(layout.shape) == 3 and layout.shape[-1] != self.numbers):
            raise ValueError(
                f"keypoints in the form {config.form} are {self.numbers} numbers each, found {layout.shape[1:]} a "
                "frame; set tokenizer_options form to xy, xyz or coco"
            )
        points = layout.channels // self.numbers
        self.posture = nn.Linear((self.axes + 1) * points + self.axes, dim)
        self.frames, self.sight = None, None
        if layout.beside is not None:
            self.pictures = picture_layout(layout.beside)
            _check_frames(layout, self.pictures)
            self.frames = convolutions(self.pictures.shape[3], config)
            self.sight = nn.Linear(config.conv_channels[-1], dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, frames / patch, dim)."""
        features = self.posture(self.pose(sample.cleared()))
        if sample.beside is not None and self.frames is not None and self.sight is not None:
            features = features + self._seen(sample.beside)
        states, _ = self.lstm(nn.functional.gelu(features))
        return Tokens(patch_means(states, sample, self.layout.patch), *patches(sample, self.layout))

    def pose(self, x: Tensor) -> Tensor:
        """Keypoints relative to the mean of those found, which were found, and that mean, side by side.

        Args:
            x: Keypoints (B, frames, points * numbers) or (B, frames, points, numbers).

        Returns:
            Features (B, frames, points * (axes + 1) + axes).
        """
        points = x.flatten(2).unflatten(2, (-1, self.numbers))
        place = points[..., : self.axes]
        found = points[..., 2:] > 0 if self.form == "coco" else torch.ones_like(place[..., :1], dtype=torch.bool)
        place = place.masked_fill(~found, 0.0)
        centre = place.sum(2, keepdim=True) / found.sum(2, keepdim=True).clamp_min(1)
        relative = (place - centre).masked_fill(~found, 0.0)
        return torch.cat([torch.cat([relative, found.to(x.dtype)], -1).flatten(2), centre[:, :, 0]], -1)

    def _seen(self, video: Sample) -> Tensor:
        """What each frame shows (B, frames, dim)."""
        assert self.frames is not None
        assert self.sight is not None
        assert self.layout.beside is not None
        pixels = as_pictures(video, self.layout.beside, self.pictures).x.movedim(-1, 2)
        return self.sight(self.frames(pixels.flatten(0, 1)).mean((2, 3)).unflatten(0, pixels.shape[:2]))


def _check_frames(layout: Layout, video: Layout) -> None:
    if video.shape[0] != layout.shape[0]:
        raise ValueError(f"keypoints of {layout.shape[0]} frames need a video of as many, found {video.shape[0]}")
