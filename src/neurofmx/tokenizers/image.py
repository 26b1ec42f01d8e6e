"""Still images, by a stack of convolutions."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from neurofmx.tokenizers.configs import ConvolutionConfig, ImageConfig
from neurofmx.tokenizers.pictures import as_pictures, picture_layout
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer, Tokens, patches


@final
class ImageTokenizer(Tokenizer):
    """Convolutions over height and width; each place that is left becomes a token, row by row.

    Args:
        layout: Of the windows: (rows, columns), (rows, columns, colours), or with a `grid`.
        dim: Width of a token.
        config: The convolutions; `colours` where a row holds the colours of its pixels side by side.

    Raises:
        ValueError: If the windows are no images, or the convolutions leave nothing of them.

    Source:
        Xiao et al. 2021, "Early convolutions help transformers see better", section 4.1 (convolutions in place of
        patches).
    """

    def __init__(self, layout: Layout, dim: int, config: ImageConfig | None = None) -> None:
        super().__init__()
        config = config or ImageConfig()
        self.layout = layout
        self.pictures = picture_layout(layout, colours=config.colours, still=True)
        _, rows, columns, colours = self.pictures.shape
        self.stack = convolutions(colours, config)
        places = config.places(rows) * config.places(columns)
        if not places:
            raise ValueError(
                f"an image of {rows} x {columns} is too small for tokenizer_options conv_kernel_sizes="
                f"{list(config.conv_kernel_sizes)}, conv_strides={list(config.conv_strides)}: take smaller ones"
            )
        self.place = nn.Parameter(0.02 * torch.randn(places, dim))
        self.project = nn.Linear(config.conv_channels[-1], dim)

    def forward(self, sample: Sample) -> Tokens:
        """Tokens (B, images * places, dim); an image is seen at once, so all its places have the time of its middle."""
        images = as_pictures(sample, self.layout, self.pictures)
        mask, time = patches(images, self.pictures._replace(patch=1))
        places = self.project(self._convolved(images.x)) + self.place
        each = places.shape[2]
        mask = None if mask is None else mask.repeat_interleave(each, 1)
        return Tokens(places.flatten(1, 2), mask, time.repeat_interleave(each))

    def _convolved(self, x: Tensor) -> Tensor:
        """Features of every place (B, images, places, channels) of images (B, images, rows, columns, colours)."""
        found = self.stack(x.flatten(0, 1).movedim(-1, 1))
        return found.flatten(2).transpose(1, 2).unflatten(0, x.shape[:2])


def convolutions(colours: int, config: ConvolutionConfig) -> nn.Sequential:
    """Convolutions over pixels (B, colours, height, width), each followed by a normalisation of its channels."""
    layers: list[nn.Module] = []
    sizes = zip(config.conv_kernel_sizes, config.conv_strides, config.conv_padding, strict=True)
    for channels, (kernel, stride, padding) in zip(config.conv_channels, sizes, strict=True):
        layers += [nn.Conv2d(colours, channels, kernel, stride, padding), nn.GroupNorm(1, channels), nn.GELU()]
        colours = channels
    return nn.Sequential(*layers)
