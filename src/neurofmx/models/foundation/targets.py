"""What a readout is held against: the samples of a stream at times on their rows' clocks.

Shapes: B rows, T samples of a stream, C channels, Q times.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neurofmx.tokenizers.multi_sample import MultiSample

EDGE = 1e-3  # of a sample: a time that rounding puts before a border between two lies on it


def sample_times(batch: MultiSample, stream: str, *, rate: float) -> Tensor:
    """Middle of each sample on its row's clock.

    Args:
        batch: The rows.
        stream: Name of a stream of theirs.
        rate: Samples a second, Hz.

    Returns:
        Times (B, T), s, float64.
    """
    x = batch.samples[stream].x
    samples = torch.arange(x.shape[1], device=x.device, dtype=torch.float64)
    return batch.offset[stream].double()[:, None] + (samples + 0.5) / rate


def samples_at(batch: MultiSample, stream: str, time: Tensor, *, rate: float) -> tuple[Tensor, Tensor]:
    """The samples during which some times fall, and which of them were recorded.

    Args:
        batch: The rows.
        stream: Name of a stream of theirs.
        time: Times on the rows' clocks (B, Q), s.
        rate: Samples a second, Hz.

    Returns:
        Samples (B, Q, C), 0 where nothing was recorded; and which numbers were (B, Q, C), bool: false in rows that lack
        the stream, outside of its window, in padding and in channels that a recording lacks.
    """
    sample = batch.samples[stream]
    x = sample.x.flatten(2)
    index = ((time.double() - batch.offset[stream].double()[:, None]) * rate + EDGE).floor().long()
    within = (index >= 0) & (index < x.shape[1]) & batch.here[stream][:, None]
    if sample.length is not None:
        within = within & (index < sample.length[:, None])
    found = x.gather(1, index.clamp(0, x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2]))
    there = within[..., None].expand_as(found)
    if sample.present is not None:
        there = there & sample.present[:, None]
    return found.masked_fill(~there, 0), there
