"""Hide a part of what was recorded, so that a model can be asked for it: units, times or whole modalities.

Shapes: B rows, T samples of a stream, C channels (of pictures, all their numbers).

Each function takes rows and what is hidden already, and hides more. What counts as hidden was there before: padding,
channels that a recording lacks and rows without a stream are never among it, so a loss over it asks for nothing that
nobody recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample


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


def mask_units(
    masked: Masked, share: float, *, generator: torch.Generator, streams: Sequence[str] | None = None
) -> Masked:
    """Hide channels for whole windows: the others must say what they did (co-smoothing).

    Args:
        masked: Rows, see `Masked.of`.
        share: Probability that a channel is hidden, 0 to below 1; one that is there always stays.
        generator: Of the draws, on the CPU.
        streams: Which streams; None for all of samples with channels (no pictures, no texts).

    Returns:
        The rows with less to see.

    Raises:
        ValueError: If `share` is out of range, a stream is unknown, or is a picture or a text.
    """
    _require_share(share)
    for name in _chosen(masked, streams, channels=True):
        sample = masked.batch.samples[name]
        there = _present(sample)
        order = torch.rand(there.shape, generator=generator).to(there.device).masked_fill(~there, -1.0)
        kept = (order >= share) | (order == order.amax(1, keepdim=True))  # the last one stays
        masked = _hide(masked, name, (there & ~kept)[:, None].expand(sample.x.shape))
        left = replace(masked.batch.samples[name], present=there & kept)
        masked = masked._replace(batch=_with(masked.batch, name, left))
    return masked


def mask_time(
    masked: Masked,
    share: float,
    *,
    patch: Mapping[str, int],
    generator: torch.Generator,
    span: int = 1,
    streams: Sequence[str] | None = None,
) -> Masked:
    """Hide stretches of time in all channels of a stream.

    Args:
        masked: Rows, see `Masked.of`.
        share: Share of the window that is hidden, about, 0 to below 1.
        patch: By stream, samples that share a token: a token is hidden or shown as a whole.
        generator: Of the draws, on the CPU.
        span: Tokens that are hidden in a row, 1 or more.
        streams: Which streams; None for all but texts. What was recorded beside a stream (the sound of a video) stays.

    Returns:
        The rows with less to see.

    Raises:
        ValueError: If `share` or `span` is out of range, or a stream is unknown or a text.
    """
    _require_share(share)
    if span < 1:
        raise ValueError(f"span={span}: hide 1 token or more in a row")
    for name in _chosen(masked, streams):
        x = masked.batch.samples[name].x
        spans = -(-x.shape[1] // (patch[name] * span))
        gone = torch.rand(len(x), spans, generator=generator).to(x.device) < share
        gone = gone.repeat_interleave(patch[name] * span, 1)[:, : x.shape[1]]
        masked = _hide(masked, name, gone.reshape(*gone.shape, *(1,) * (x.ndim - 2)).expand(x.shape))
        masked = masked._replace(seen=masked.seen | {name: masked.seen[name] & ~gone})
    return masked


def mask_modality(
    masked: Masked, share: float, *, generator: torch.Generator, streams: Sequence[str] | None = None
) -> Masked:
    """Take whole streams away from rows; a row never loses the last that it has.

    Args:
        masked: Rows, see `Masked.of`.
        share: Probability that a row loses a stream, 0 to 1.
        generator: Of the draws, on the CPU.
        streams: Which streams may go; None for all.

    Returns:
        The rows with fewer streams. Their windows stay as they are, where nobody looks.

    Raises:
        ValueError: If `share` is out of range or a stream is unknown.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: must be a probability, 0 to 1")
    known, chosen = list(masked.batch.samples), _chosen(masked, streams, texts=True)
    here = torch.stack([masked.batch.here[name] for name in known])
    draws = torch.rand(here.shape, generator=generator).to(here.device)
    fixed = torch.tensor([name not in chosen for name in known], device=here.device)[:, None]
    draws = torch.where(fixed, 2.0, draws).masked_fill(~here, -1.0)
    stays = here & ((draws >= share) | (draws == draws.amax(0)))
    batch = masked.batch.with_here(dict(zip(known, stays, strict=True)))
    hidden = dict(masked.hidden)
    for name, lost in zip(known, here & ~stays, strict=True):
        hidden[name] = hidden[name] | (lost[:, None, None] & _recorded(masked.batch, name))
    return masked._replace(batch=batch, hidden=hidden)


def _hide(masked: Masked, name: str, gone: Tensor) -> Masked:
    """Put 0 in place of numbers `gone`, shape as the stream's `x`, and note those that were recorded."""
    sample = masked.batch.samples[name]
    hidden = masked.hidden[name] | (gone.flatten(2) & _recorded(masked.batch, name))
    batch = _with(masked.batch, name, sample.with_x(sample.x.masked_fill(gone, 0)))
    return masked._replace(batch=batch, hidden=masked.hidden | {name: hidden})


def _recorded(batch: MultiSample, name: str) -> Tensor:
    """Which numbers of a stream were recorded (B, T, C), bool."""
    sample = batch.samples[name]
    there = batch.here[name][:, None, None] & _present(sample)[:, None]
    return there if sample.recorded is None else there & sample.recorded[..., None]


def _present(sample: Sample) -> Tensor:
    """Which channels a recording has (B, C), bool."""
    if sample.present is not None:
        return sample.present
    return torch.ones(sample.x.flatten(2)[:, 0].shape, dtype=torch.bool, device=sample.x.device)


def _with(batch: MultiSample, name: str, sample: Sample) -> MultiSample:
    """The rows with other windows of one stream."""
    return replace(batch, samples=batch.samples | {name: sample})


def _chosen(
    masked: Masked, streams: Sequence[str] | None, *, channels: bool = False, texts: bool = False
) -> Sequence[str]:
    """The streams that are meant, which must be of a kind that can be hidden."""

    def allowed(sample: Sample) -> bool:
        return (texts or sample.x.is_floating_point()) and (not channels or sample.x.ndim == 3)

    known = masked.batch.samples
    if streams is None:
        return [name for name, sample in known.items() if allowed(sample)]
    for name in streams:
        if name not in known or not allowed(known[name]):
            raise ValueError(
                f"streams: {name!r} cannot be hidden so; streams that can: "
                f"{', '.join(name for name, sample in known.items() if allowed(sample)) or 'none'}"
            )
    return streams


def _require_share(share: float) -> None:
    """Raises where nothing would be left to see."""
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: must be 0 or more and below 1, or nothing is left to see")
