"""Video together with its sound."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.attention import Attention
from neurofmx.tokenizers.audio import AudioTokenizer
from neurofmx.tokenizers.configs import VideoAudioConfig
from neurofmx.tokenizers.positions import sinusoid
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens
from neurofmx.tokenizers.video import VideoTokenizer


@final
class VideoAudioTokenizer(Tokenizer):
    """Tokens of a video that know what was heard meanwhile.

        concat           W [video token, mean of the audio tokens during it]
        add              video token + mean of the audio tokens during it
        cross_attention  video token + what it finds in all audio tokens, which say when they were

    Args:
        layout: Of the video; its `beside` of the sound.
        dim: Width of a token.
        config: How they are fused, and the settings of both.

    Raises:
        ValueError: If the layout has no sound beside the video.
    """

    def __init__(self, layout: Layout, dim: int, config: VideoAudioConfig | None = None) -> None:
        super().__init__()
        config = config or VideoAudioConfig()
        if layout.beside is None:
            raise ValueError("the video_audio tokenizer needs a layout with the sound `beside` the video")
        self.video, self.audio = (
            VideoTokenizer(layout, dim, config.video),
            AudioTokenizer(layout.beside, dim, config.audio),
        )
        self.reach = 0.5 * self.video.pictures.patch / self.video.pictures.rate  # half of what a token sees, s
        self.join = nn.Linear(2 * dim, dim) if config.fusion == "concat" else None
        self.attend = Attention(dim, config.heads) if config.fusion == "cross_attention" else None

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, frames / patch, dim).

        Raises:
            ValueError: If the sample has no sound beside its video.
        """
        if sample.beside is None:
            raise ValueError("the video_audio tokenizer needs a sample with the sound `beside` the video")
        seen, heard = self.video(sample), self.audio(sample.beside)
        return seen._replace(values=self._fused(seen, heard))

    def _fused(self, seen: Tokens, heard: Tokens) -> Tensor:
        if self.attend is not None:
            when = sinusoid(heard.time, seen.values.shape[-1], shortest=4 * self.reach)
            return self.attend(seen.values, heard.values + when, heard.mask)
        meanwhile = self._meanwhile(seen, heard)
        return seen.values + meanwhile if self.join is None else self.join(torch.cat([seen.values, meanwhile], -1))

    def _meanwhile(self, seen: Tokens, heard: Tokens) -> Tensor:
        """Mean of the audio tokens centred within each video token; 0 where there is none."""
        near = ((seen.time[:, None] - heard.time).abs() <= self.reach)[None]
        if heard.mask is not None:
            near = near & heard.mask[:, None]
        weight = near.to(heard.values.dtype)
        return weight @ heard.values / weight.sum(-1, keepdim=True).clamp_min(1)
