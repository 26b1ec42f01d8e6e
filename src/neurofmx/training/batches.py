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


class Batches:
    """The training and validation windows of one fold as tensors on a device; `windows` of them make an epoch.

    Args:
        windows: All windows of the dataset.
        fold: Which fold.
        batch_size: Windows a batch holds.
        device: Where the tensors live.
        min_batches: Least batches of an epoch; fewer windows are passed over several times.
        max_batches: Most batches of an epoch; of more windows an epoch draws some, and validation keeps an even share
            as large. None for all.
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
        self.passes = -(-min_batches * batch_size // len(parts.train))
        whole = self.passes * len(parts.train)
        self.windows = whole if max_batches is None else min(whole, max_batches * batch_size)
        held = _share(parts.validation, min(1.0, self.windows / len(parts.train)))
        self.sample, self.sample_validation = (
            Sample.of(windows, fold, i).to(device) if use_cache else Uncached(windows, fold, i, device)
            for i in (parts.train, held)
        )
        self.y, self.y_validation = (
            torch.as_tensor(windows.y[i], dtype=kind, device=device) for i in (parts.train, held)
        )

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-self.windows // self.batch_size)

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Sample, Tensor]]:
        """Training batches and answers, in an order drawn from `generator`."""
        order = torch.cat([torch.randperm(len(self.sample), generator=generator) for _ in range(self.passes)])
        for index in order[: self.windows].split(self.batch_size):
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


def _share(index: np.ndarray, share: float) -> np.ndarray:
    """An even share of some windows, at least one."""
    return index[np.linspace(0, len(index), max(1, round(share * len(index))), endpoint=False).astype(int)]


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
