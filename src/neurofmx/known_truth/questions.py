"""What is hidden of a window, and which of its bins are asked for.

units       a third of the channels of every stream, all of them in three turns; asked in the middle of the window,
            where what is left surrounds every bin
time        the same stretch of all streams
modality    one stream, all of it; asked in the middle of the window
forecast    nothing is hidden, and a step in the window says what follows it
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from neurofmx.known_truth.material import TIME, named
from neurofmx.known_truth.sessions import BINS, STREAMS
from neurofmx.tokenizers.masking import Masked
from neurofmx.tokenizers.multi_sample import MultiSample

TURNS = 3  # in which all units are hidden
MIDDLE = np.arange(5, 15)  # bins
STRETCH = np.arange(8, 12)  # bins: 0.2 s
TOLERANCE = 1e-6  # of a bin: rounding
STEP = 0.7  # s from the begin of a window: the end of the step that forecasts


class Hidden(NamedTuple):
    """What is hidden of every row.

    Args:
        channels: By stream, which channels are (C,), bool; streams left out show all.
        bins: Which bins of all streams are (b,).
        streams: Which streams are.
    """

    channels: dict[str, np.ndarray]
    bins: np.ndarray
    streams: tuple[str, ...] = ()


def turn(channels: int, number: int) -> np.ndarray:
    """Which channels are hidden in a turn (C,), bool: every third one."""
    return np.arange(channels) % TURNS == number


def units(widths: dict[str, int], number: int) -> Hidden:
    """A third of the channels of every stream of so many channels."""
    return Hidden({stream: turn(width, number) for stream, width in widths.items()}, np.zeros(0, int))


def stretch() -> Hidden:
    """A stretch of time."""
    return Hidden({}, STRETCH)


def modality(*streams: str) -> Hidden:
    """Whole streams."""
    return Hidden({}, np.zeros(0, int), streams)


def hide(batch: MultiSample, hidden: Hidden) -> Masked:
    """Rows without what is hidden, as the plans of a pretraining leave them (`foundation/mask_plans.py`).

    Args:
        batch: Whole rows of all streams.
        hidden: What is hidden.

    Returns:
        What is left, and what was hidden.
    """
    whole, device = Masked.of(batch), batch.session.device
    dark_bins = torch.as_tensor(np.isin(np.arange(TIME), hidden.bins), device=device)
    samples, seen, here = {}, {}, dict(batch.here)
    for stream in STREAMS:
        name = named(stream)
        sample = batch.samples[name]
        unit = torch.as_tensor(hidden.channels.get(stream, np.zeros(sample.x.shape[2], bool)), device=device)
        dark = unit[None, None] | dark_bins[None, :, None] | torch.tensor(stream in hidden.streams, device=device)
        present = torch.ones_like(sample.x[:, 0], dtype=torch.bool) if sample.present is None else sample.present
        samples[name] = replace(sample, x=sample.x.masked_fill(dark, 0.0), present=present & ~unit)
        seen[name] = whole.seen[name] & ~dark_bins
        whole.hidden[name].logical_or_(dark)
        if stream in hidden.streams:
            here[name] = torch.zeros_like(here[name])
    return Masked(replace(batch, samples=samples, here=here), seen, whole.hidden)


def shown(x: dict[str, np.ndarray], hidden: Hidden) -> dict[str, np.ndarray]:
    """The channels of windows (n, TIME, C) that are not hidden, by stream; bins are left as they are."""
    return {
        stream: values[..., ~hidden.channels.get(stream, np.zeros(values.shape[-1], bool))]
        for stream, values in x.items()
        if stream not in hidden.streams
    }


def forecast_bins(ahead: float) -> tuple[int, int]:
    """Last bin that is known where a forecast is made, and the bin it is of.

    Args:
        ahead: How far, s, from the end of the one to the begin of the other.

    Raises:
        ValueError: If no bin begins there, or it lies behind the window.
    """
    last = round(STEP * BINS) - 1
    if abs(ahead * BINS - round(ahead * BINS)) > TOLERANCE:
        raise ValueError(
            f"pretrain.ahead_s={ahead:g}: no bin begins there, and a forecast is held against one; give a multiple of "
            f"{1 / BINS:g} s"
        )
    bin_ = last + 1 + round(ahead * BINS)
    if not last < bin_ < TIME:
        raise ValueError(
            f"pretrain.ahead_s={ahead:g}: from {STEP:g} s of a window of {TIME / BINS:g} s it leads to no bin of it; "
            f"give at most {(TIME - last - 2) / BINS:g} s"
        )
    return last, bin_
