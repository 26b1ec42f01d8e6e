"""Rows of which a part is hidden, so that a model can be asked for it.

Shapes: B rows, T samples of a stream, C channels (of pictures, all their numbers).

What counts as hidden was there before: padding, channels that a recording lacks and rows without a stream are never
among it, so a loss over it asks for nothing that nobody recorded.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.tokenizers.multi_sample import MultiSample


class Masked(NamedTuple):
    """Rows with a part hidden.

    Args:
        batch: What is left; hidden numbers are 0 there, and hidden channels absent.
        seen: By stream, which samples are shown (B, T), bool, for the model to leave out the tokens of the others.
        hidden: By stream, which numbers were hidden (B, T, C), bool: what a loss of reconstruction counts.
    """

    batch: MultiSample
    seen: dict[str, Tensor]
    hidden: dict[str, Tensor]

    @classmethod
    def of(cls, batch: MultiSample) -> Masked:
        """Rows of which nothing is hidden."""
        shapes = {name: sample.x.flatten(2).shape for name, sample in batch.samples.items()}
        device = batch.session.device
        return cls(
            batch,
            {name: torch.ones(shape[:2], dtype=torch.bool, device=device) for name, shape in shapes.items()},
            {name: torch.zeros(shape, dtype=torch.bool, device=device) for name, shape in shapes.items()},
        )
