"""What a pretraining hides from the network, to ask for it afterwards: units, stretches of time, whole modalities.

Streams are hidden from together, by time stamps. Every row gets one of the plans, drawn by their weights; a row with
one stream alone never loses it, and a row whose streams have one channel each never loses that.

    units      a share of the channels that the row's recording has, for the whole window, in every stream
    time       stretches of `span_s` on the row's clock, the same moments in all streams whatever their rates, until a
               share of the row's time is hidden
    modality   one of the row's streams, all of it

Hidden is hidden: the samples are 0, hidden units are not present, tokens of hidden times are not shown, and a hidden
modality is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from neurofmx.foundation.options import MaskOptions
from neurofmx.tokenizers.masking import Masked
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample

PLANS = ("units", "time", "modality")


def mask(batch: MultiSample, rates: Mapping[str, float], options: MaskOptions, *, generator: torch.Generator) -> Masked:
    """Hide part of every row.

    Args:
        batch: Rows of measurements, windows (B, T, C).
        rates: Samples a second of each stream, Hz.
        options: What to hide.
        generator: Source of randomness, on the CPU.

    Returns:
        What is left, and what was hidden.

    Raises:
        ValueError: If a stream holds a text, whose tokens have no 0, or of a row nothing can be hidden.
    """
    for name, sample in batch.samples.items():
        if not sample.x.is_floating_point():
            raise ValueError(f"stream {name}: numbers of a text's tokens cannot be masked; leave the dataset out")
    plan = _plans(batch, options, generator)
    gone = _gone(batch, plan == PLANS.index("modality"), generator)
    spans = _spans(batch, rates, options, generator)
    samples, seen, hidden = {}, {}, {}
    for name, sample in batch.samples.items():
        unit = _units(sample, options.share, generator) & (plan == PLANS.index("units"))[:, None]
        time = _within(batch, name, rates[name], spans) & (plan == PLANS.index("time"))[:, None]
        dark = unit[:, None] | time[..., None] | gone[name][:, None, None]
        hidden[name] = dark & recorded(sample) & batch.here[name][:, None, None]
        seen[name] = ~time
        samples[name] = _without(sample, dark, unit)
    here = {name: batch.here[name] & ~gone[name] for name in batch.samples}
    return Masked(replace(batch, samples=samples, here=here), seen, hidden)


def recorded(sample: Sample) -> Tensor:
    """Which numbers of windows were recorded, and are no padding and no absent channel (B, T, C), bool."""
    there = torch.ones(sample.x.flatten(2).shape, dtype=torch.bool, device=sample.x.device)
    if (times := sample.recorded) is not None:
        there = there & times[..., None]
    return there if sample.present is None else there & sample.present[:, None]


def _plans(batch: MultiSample, options: MaskOptions, generator: torch.Generator) -> Tensor:
    """Index into `PLANS` for each row (B,)."""
    streams = torch.stack([here.cpu() for here in batch.here.values()]).sum(0)
    weights = torch.tensor([options.units, options.time, options.modality]).expand(len(batch), -1).clone()
    weights[streams < 2, PLANS.index("modality")] = 0
    weights[~_several_channels(batch), PLANS.index("units")] = 0
    if not bool(weights.any(1).all()):
        raise ValueError(
            "pretrain.mask.time=0: of rows that have one channel alone nothing can be hidden but time; set it above 0"
        )
    return torch.multinomial(weights, 1, generator=generator)[:, 0].to(batch.session.device)


def _several_channels(batch: MultiSample) -> Tensor:
    """Which rows have a stream of two channels or more (B,), on the CPU."""
    channels = {n: recorded(s).any(1).sum(1).masked_fill(~batch.here[n], 0) for n, s in batch.samples.items()}
    return (torch.stack(list(channels.values())).amax(0) > 1).cpu()


def _gone(batch: MultiSample, chosen: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Which rows lose which stream (B,): of the chosen rows one of those that they have."""
    here = torch.stack(list(batch.here.values()), 1)
    draw = torch.rand(here.shape, generator=generator).to(here.device).masked_fill(~here, -1.0).argmax(1)
    return {name: chosen & (draw == number) for number, name in enumerate(batch.here)}


def _units(sample: Sample, share: float, generator: torch.Generator) -> Tensor:
    """Which channels are hidden (B, C): a share of those present, rounded, and never all."""
    rows, channels = sample.x.flatten(2).shape[::2]
    device = sample.x.device
    there = torch.ones(rows, channels, dtype=torch.bool, device=device) if sample.present is None else sample.present
    draw = torch.rand(rows, channels, generator=generator).to(device).masked_fill(~there, 2.0)
    count = (share * there.sum(1)).round().clamp(min=1).minimum(there.sum(1) - 1)
    rank = draw.argsort(1).argsort(1)
    return (rank < count[:, None]) & there


def _spans(batch: MultiSample, rates: Mapping[str, float], options: MaskOptions, generator: torch.Generator) -> Tensor:
    """Hidden stretches of each row's clock (B, stretches, 2), s.

    The clock is cut into cells of `span_s` from a random point on, and a share of the cells is hidden.
    """
    starts, stops = [], []
    for name, sample in batch.samples.items():
        start = batch.offset[name].double().cpu()
        here = batch.here[name].cpu()
        starts.append(start.masked_fill(~here, torch.inf))
        stops.append((start + sample.x.shape[1] / rates[name]).masked_fill(~here, -torch.inf))
    low, high = torch.stack(starts).amin(0), torch.stack(stops).amax(0)
    cells = max(1, int(((high - low) / options.span_s).clamp(0, 1e6).max().ceil()) + 1)
    shift = torch.rand(len(low), generator=generator, dtype=torch.float64) * options.span_s
    begin = (low - shift)[:, None] + torch.arange(cells) * options.span_s
    # only cells that lie in the row's time count, and one of them at least is left
    inside = (begin < high[:, None]) & (begin + options.span_s > low[:, None])
    draw = torch.rand(begin.shape, generator=generator).masked_fill(~inside, 2.0)
    count = (options.share * inside.sum(1)).round().clamp(min=1).minimum(inside.sum(1) - 1)
    chosen = draw.argsort(1).argsort(1) < count[:, None]
    span = torch.stack([begin, begin + options.span_s], -1)
    return torch.where(chosen[..., None], span, torch.inf).to(batch.session.device)


def _within(batch: MultiSample, name: str, rate: float, spans: Tensor) -> Tensor:
    """Which samples of a stream lie in a hidden stretch (B, T): by the middle of what they stand for."""
    samples = torch.arange(batch.samples[name].x.shape[1], device=spans.device, dtype=torch.float64)
    time = batch.offset[name].double()[:, None] + (samples + 0.5) / rate
    inside = (time[:, None] >= spans[..., :1]) & (time[:, None] < spans[..., 1:])
    return inside.any(1)


def _without(sample: Sample, dark: Tensor, unit: Tensor) -> Sample:
    """Windows with 0 where it is dark, and without the hidden units."""
    x = sample.x.masked_fill(dark.reshape(sample.x.shape), 0.0)
    present = ~unit if sample.present is None else sample.present & ~unit
    return replace(sample, x=x, present=present)
