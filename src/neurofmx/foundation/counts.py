"""Spikes as counts: what a readout says in standardised units as a rate, for the likelihood of a Poisson distribution.

Symbols: `k` count of a bin, `m, s` mean and deviation that its unit was standardised with, `z` what the readout says.

    k = m + s x                       x the standardised bin
    r = c softplus((m + s z) / c)     c = FLOOR max(m, LEAST)

The rate is above 0 everywhere, and m + s z wherever that is well above c. So z means what it means under the squared
error, the expected count in standardised units, and whoever reads it need not know by which loss it was learnt.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from neurofmx.recordings.lazy import gather
from neurofmx.tokenizers.cutting.windows import Windows

FLOOR = 0.05  # of a unit's mean rate, about which the rate bends to stay above 0
LEAST = 1e-3  # spikes a bin: of a unit that was silent in training
WHOLE = 1e-3  # how far from a whole number a count may lie by rounding
_FAR = -15.0  # below it softplus is exp, to the rounding of single precision


class Counts(NamedTuple):
    """What the bins of a stream of spikes were standardised with.

    Args:
        mean: Of each recording's units, or one for all recordings (R, C), spikes a bin.
        std: The same of their deviation (R, C).
    """

    mean: Tensor
    std: Tensor

    def to(self, device: torch.device) -> Counts:
        """The same on another device."""
        return Counts(self.mean.to(device), self.std.to(device))

    def of(self, x: Tensor, recording: Tensor | None) -> Tensor:
        """Counts (B, ..., C) of standardised bins (B, ..., C) of the rows' recordings (B,)."""
        mean, std = self._moments(x, recording)
        return (mean + std * x).round()

    def log_rate(self, said: Tensor, recording: Tensor | None) -> Tensor:
        """Logarithm of the rate (B, ..., C), spikes a bin, of what a readout says (B, ..., C)."""
        mean, std = self._moments(said, recording)
        bend = FLOOR * mean.clamp_min(LEAST)
        u = (mean + std * said) / bend
        return bend.log() + torch.where(u > _FAR, softplus(u.clamp_min(_FAR)).log(), u)

    def _moments(self, x: Tensor, recording: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each row's units, shaped to go with (B, ..., C)."""
        row = 0 if recording is None or len(self.mean) == 1 else recording
        channels = x.shape[-1]
        mean, std = (part[row].to(x).reshape(-1, *(1,) * (x.ndim - 2), channels) for part in self)
        return mean, std


def counts_of(stream: str, windows: Windows, fold: int) -> Counts:
    """How counts of a stream are found again in its standardised bins.

    Args:
        stream: Its name, for messages.
        windows: Its windows.
        fold: Whose scaling.

    Raises:
        ValueError: If the training windows of the fold hold no counts.
    """
    x = gather(windows.x, windows.fold(fold).train)
    if float(x.min(initial=0.0)) < 0 or float(np.abs(x - np.round(x)).max(initial=0.0)) > WHOLE:
        raise ValueError(
            f"pretrain.spikes=poisson: bins of {stream} hold no counts; set datasets.{windows.dataset}.preprocess.sqrt "
            "to false and its smoothing to none, or pretrain.spikes to gaussian"
        )
    mean, std = (torch.as_tensor(np.asarray(each[fold]), dtype=torch.float32) for each in (windows.mean, windows.std))
    return Counts(*(each if windows.montage == "own" else each[None] for each in (mean, std)))
