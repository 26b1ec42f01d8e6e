"""Rows of several sets of joined windows in one batch, each set standardised by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from neurofmx.foundation.counts import Counts, counts_of
from neurofmx.foundation.options import Balance
from neurofmx.foundation.sampling import BalancedDraws, weights
from neurofmx.tokenizers.joined import Joined, Known
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample


class Feed:
    """Batches of a pretraining.

    Args:
        sets: Joined windows; no two have a stream of one name.
        known: Where the recordings of each set stand in the model's registries.
        fold: Fold whose training and validation rows are read, and no others.
        balance: What counts alike, see `weights`.
        batch_size: Rows of a step.
        steps: Steps of an epoch.
        spikes: `poisson` to find counts of spikes again in the rows, for a loss of them.
        device: Where the tensors live.
    """

    def __init__(
        self,
        sets: Sequence[Joined],
        known: Sequence[Known],
        *,
        fold: int = 0,
        balance: Balance,
        batch_size: int,
        steps: int,
        spikes: Literal["gaussian", "poisson"] = "gaussian",
        device: torch.device,
    ) -> None:
        self.counts: dict[str, Counts] = {
            name: counts_of(name, windows, fold).to(device)
            for each in sets
            for name, windows in each.streams.items()
            if spikes == "poisson" and windows.modality == "spikes"
        }
        parts = [each.fold(fold) for each in sets]
        self.rows = [
            each.sample(fold, part.train, whose).to(device)
            for each, part, whose in zip(sets, parts, known, strict=True)
        ]
        self.anchors = [_times(each, part.train) for each, part in zip(sets, parts, strict=True)]
        # of a large set as many rows are validated on as of a set of one epoch's size
        held = [_some(part.validation, batch_size * steps) for part in parts]
        self.rows_validation = [
            each.sample(fold, rows, whose).to(device) for each, rows, whose in zip(sets, held, known, strict=True)
        ]
        self.anchors_validation = [_times(each, rows) for each, rows in zip(sets, held, strict=True)]
        share = weights([len(each) for each in self.rows], [each.species for each in sets], balance=balance)
        self.weights = share
        self.draws = BalancedDraws([len(each) for each in self.rows], share, batch_size=batch_size, steps=steps)

    def __len__(self) -> int:
        """Steps of an epoch."""
        return self.draws.steps

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[MultiSample, Tensor]]:
        """Batches of training rows, and the moment of each row in its recording (B,), s."""
        for drawn in self.draws.epoch(generator):
            chosen = [(number, rows) for number, rows in enumerate(drawn) if len(rows)]
            batch = stacked([self.rows[number][rows] for number, rows in chosen])
            yield batch, torch.cat([self.anchors[number][rows] for number, rows in chosen]).to(batch.session.device)

    def validation(self) -> Iterator[tuple[int, MultiSample, Tensor]]:
        """Number of the set, validation rows and their moments, set by set."""
        for number, rows in enumerate(self.rows_validation):
            for index in torch.arange(len(rows)).split(self.draws.batch_size):
                yield number, rows[index], self.anchors_validation[number][index].to(rows.session.device)


def stacked(parts: Sequence[MultiSample]) -> MultiSample:
    """Rows of several batches one after the other; no two of them have a stream of one name.

    Example:
        >>> one, two = (MultiSample.single(name, Sample(torch.ones(2, 3, 1))) for name in ("a", "b"))
        >>> stacked([one, two]).here["b"].tolist()
        [False, False, True, True]
    """
    total, first = sum(map(len, parts)), 0
    samples, here, offset = {}, {}, {}
    for part in parts:
        place = slice(first, first + len(part))
        for name, sample in part.samples.items():
            samples[name] = _placed(sample, place, total)
            here[name] = _spread(part.here[name], place, total)
            offset[name] = _spread(part.offset[name], place, total)
        first += len(part)
    names = ("session", "subject", "species")
    return MultiSample(samples, here, offset, *(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _placed(sample: Sample, place: slice, total: int) -> Sample:
    """Windows among rows of other batches."""
    if sample.beside is not None:
        raise ValueError("windows with something recorded beside them cannot be stacked; give it a stream of its own")
    given = {field.name: getattr(sample, field.name) for field in fields(sample)}
    return replace(sample, **{n: _spread(part, place, total) for n, part in given.items() if isinstance(part, Tensor)})


def _spread(part: Tensor, place: slice, total: int) -> Tensor:
    """Some rows among zeros."""
    whole = part.new_zeros(total, *part.shape[1:])
    whole[place] = part
    return whole


def _times(joined: Joined, rows: np.ndarray) -> Tensor:
    """Moment of rows in their recordings, s, float64."""
    return torch.as_tensor(joined.anchor[rows], dtype=torch.float64)


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """An even share of rows, at most so many."""
    return rows[np.linspace(0, len(rows), min(most, len(rows)), endpoint=False).astype(int)]
