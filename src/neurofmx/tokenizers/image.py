"""Still images, by a stack of convolutions."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import ConvolutionConfig, ImageConfig
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens


@final
class ImageTokenizer(Tokenizer):
    """Convolutions over height and width; each place that is left becomes a token, row by row.

    Args:
        layout: Of the windows (B, height, width) or (B, height, width, colours).
        dim: Width of a token.
        config: The convolutions; `colours` where a row holds the colours of its pixels one after the other.

    Raises:
        ValueError: If the windows are no images, or the convolutions leave nothing of them.

    Source:
        Xiao et al. 2021, "Early convolutions help transformers see better", section 4.1 (convolutions in place of
        patches).
    """

    def __init__(self, layout: Layout, dim: int, config: ImageConfig | None = None) -> None:
        super().__init__()
        config = config or ImageConfig()
        self.layout, self.colours = layout, config.colours if len(layout.shape) == 2 else layout.shape[-1]
        if len(layout.shape) not in (2, 3) or layout.channels % self.colours:
            raise ValueError(
                f"the image tokenizer reads (height, width) or (height, width, colours), found {layout.shape} with "
                f"tokenizer_options colours={self.colours}, which must divide a row"
            )
        self.stack = convolutions(self.colours, config)
        places = _left(layout.shape[0], config) * _left(layout.channels // self.colours, config)
        if not places:
            raise ValueError(
                f"an image of {layout.shape} is too small for tokenizer_options conv_kernel_sizes="
                f"{list(config.conv_kernel_sizes)}, conv_strides={list(config.conv_strides)}: take smaller ones"
            )
        self.place = nn.Parameter(0.02 * torch.randn(places, dim))
        self.project = nn.Linear(config.conv_channels[-1], dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, places, dim); an image is seen at once, so all have the time of its middle."""
        values = self.project(self._convolved(sample.cleared())) + self.place
        middle = 0.5 * self.layout.shape[0] / self.layout.rate
        return Tokens(values, None, torch.full((values.shape[1],), middle, device=values.device))

    def _convolved(self, x: Tensor) -> Tensor:
        """Features of every place (B, places, channels)."""
        pixels = x.flatten(2).unflatten(2, (-1, self.colours)).permute(0, 3, 1, 2)
        return self.stack(pixels).flatten(2).transpose(1, 2)


def convolutions(colours: int, config: ConvolutionConfig) -> nn.Sequential:
    """Convolutions over pixels (B, colours, height, width), each followed by a normalisation of its channels."""
    layers: list[nn.Module] = []
    sizes = zip(config.conv_kernel_sizes, config.conv_strides, config.conv_padding, strict=True)
    for channels, (kernel, stride, padding) in zip(config.conv_channels, sizes, strict=True):
        layers += [nn.Conv2d(colours, channels, kernel, stride, padding), nn.GroupNorm(1, channels), nn.GELU()]
        colours = channels
    return nn.Sequential(*layers)


def _left(size: int, config: ConvolutionConfig) -> int:
    """Places that the convolutions leave of a side of so many pixels, 0 or more."""
    for kernel, stride, padding in zip(config.conv_kernel_sizes, config.conv_strides, config.conv_padding, strict=True):
        size = max(0, (size + 2 * padding - kernel) // stride + 1)
    return size
