"""Batches of one fold: standardised once, shuffled by seed and epoch, noised only in training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.curriculum import shortest


class Epochs:
    """How many training windows an epoch reads, and in which order.

    Args:
        train: Training windows.
        batch_size: Windows a batch holds.
        min_batches: Least batches of an epoch; fewer windows are passed over several times.
        max_batches: Most batches of an epoch; of more windows an epoch draws some. None for all.

    Attributes:
        windows: Windows of an epoch.
    """

    def __init__(self, train: int, *, batch_size: int, min_batches: int = 1, max_batches: int | None = None) -> None:
        self.train, self.batch_size = train, batch_size
        self.passes = -(-min_batches * batch_size // train)
        whole = self.passes * train
        self.windows = whole if max_batches is None else min(whole, max_batches * batch_size)

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-self.windows // self.batch_size)

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Places of the training windows of each batch, in an order drawn from `generator`."""
        order = torch.cat([torch.randperm(self.train, generator=generator) for _ in range(self.passes)])
        yield from order[: self.windows].split(self.batch_size)

    def held(self, validation: np.ndarray) -> np.ndarray:
        """As large a share of the validation windows as an epoch has of the training windows, evenly chosen."""
        share = min(1.0, self.windows / self.train)
        places = np.linspace(0, len(validation), max(1, round(share * len(validation))), endpoint=False)
        return validation[places.astype(int)]


class Batches:
    """The training and validation windows of one fold as tensors on a device; `windows` of them make an epoch.

    Args:
        windows: All windows of the dataset.
        fold: Which fold.
        batch_size: Windows a batch holds.
        device: Where the tensors live.
        min_batches: Least batches of an epoch, as of `Epochs`.
        max_batches: Most of them; validation keeps an even share as large.
        use_cache: Keep all standardised windows; False makes those of a batch anew each time, from what `windows.x`
            reads, which may be a file.

    Attributes:
        unit: Samples by which windows can be shortened.
    """

    def __init__(
        self,
        windows: Windows,
        fold: int,
        *,
        batch_size: int,
        device: torch.device,
        min_batches: int = 1,
        max_batches: int | None = None,
        use_cache: bool = True,
    ) -> None:
        parts = windows.fold(fold)
        kind = torch.int64 if windows.task.kind in ("classification", "next_token") else torch.float32
        self.batch_size, self.unit = batch_size, shortest(windows)
        limits = {"min_batches": min_batches, "max_batches": max_batches}
        self.epochs = Epochs(len(parts.train), batch_size=batch_size, **limits)
        self.windows, held = self.epochs.windows, self.epochs.held(parts.validation)
        self.sample, self.sample_validation = (
            Sample.of(windows, fold, i).to(device) if use_cache else Uncached(windows, fold, i, device)
            for i in (parts.train, held)
        )
        self.y, self.y_validation = (
            torch.as_tensor(windows.y[i], dtype=kind, device=device) for i in (parts.train, held)
        )

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.epochs)

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Sample, Tensor]]:
        """Training batches and answers, in an order drawn from `generator`."""
        for index in self.epochs.batches(generator):
            yield self.sample[index.to(self.y.device)], self.y[index]

    def validation(self) -> Iterator[tuple[Sample, Tensor]]:
        """Validation batches in order."""
        for index in torch.arange(len(self.sample_validation), device=self.y.device).split(256):
            yield self.sample_validation[index], self.y_validation[index]


@dataclass(frozen=True, eq=False)
class Uncached:
    """Windows of a fold that are read and standardised when they are asked for.

    Args:
        windows: All windows; their `x` may lie in a file.
        fold: Which fold.
        index: Which of the windows, `(n,)`.
        device: Where the tensors go.
    """

    windows: Windows
    fold: int
    index: np.ndarray
    device: torch.device

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.index)

    def __getitem__(self, chosen: Tensor) -> Sample:
        """Some of them, by a tensor of indices."""
        return Sample.of(self.windows, self.fold, self.index[chosen.cpu().numpy()]).to(self.device)


def corrupted(sample: Sample, *, noise: float, dropout: float, generator: torch.Generator) -> Sample:
    """Windows, and what is beside them, as `corrupt` leaves each; numbers of tokens stay as they are."""
    if sample.x.is_floating_point():
        sample = sample.with_x(corrupt(sample.x, noise=noise, dropout=dropout, generator=generator))
    if sample.beside is None:
        return sample
    return replace(sample, beside=corrupted(sample.beside, noise=noise, dropout=dropout, generator=generator))


def corrupt(x: Tensor, *, noise: float, dropout: float, generator: torch.Generator) -> Tensor:
    """Add noise to windows and silence some of their channels, so that no single channel is relied upon.

    Args:
        x: Standardised windows, shape `(batch, time, ...)`; a lone channel is never silenced.
        noise: Standard deviation of Gaussian noise.
        dropout: Share of channels set to their mean (0) in each window; the others are scaled up.
        generator: Source of randomness, on the CPU.

    Returns:
        Windows of the same shape.
    """
    if noise:
        x = x + noise * torch.randn(x.shape, generator=generator).to(x.device)
    if dropout and x[0, 0].numel() > 1:
        kept = torch.rand((x.shape[0], 1, *x.shape[2:]), generator=generator).to(x.device) >= dropout
        x = x * kept / (1 - dropout)
    return x
