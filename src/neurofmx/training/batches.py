"""Batches of one fold: standardised once, shuffled by seed and epoch, noised only in training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from neurofmx.tokenizers.tokens import Sample
from neurofmx.tokenizers.windows import Windows


class Batches:
    """The training and validation windows of one fold as tensors on a device.

    Args:
        windows: All windows of the dataset.
        fold: Which fold.
        batch_size: Windows a batch holds.
        device: Where the tensors live.
        min_batches: Least batches of an epoch; fewer windows are passed over several times.
    """

    def __init__(
        self, windows: Windows, fold: int, *, batch_size: int, device: torch.device, min_batches: int = 1
    ) -> None:
        parts = windows.fold(fold)
        kind = torch.int64 if windows.task.kind == "classification" else torch.float32
        self.batch_size = batch_size
        self.sample, self.sample_validation = (
            Sample.of(windows, fold, i).to(device) for i in (parts.train, parts.validation)
        )
        self.y, self.y_validation = (
            torch.as_tensor(windows.y[i], dtype=kind, device=device) for i in (parts.train, parts.validation)
        )
        self.passes = -(-min_batches * batch_size // len(self.sample))

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-self.windows // self.batch_size)

    @property
    def windows(self) -> int:
        """Training windows an epoch, each as often as there are passes."""
        return self.passes * len(self.sample)

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Sample, Tensor]]:
        """Training batches and answers, in an order drawn from `generator`."""
        order = torch.cat([torch.randperm(len(self.sample), generator=generator) for _ in range(self.passes)])
        for index in order.split(self.batch_size):
            yield self.sample[index.to(self.y.device)], self.y[index]

    def validation(self) -> Iterator[tuple[Sample, Tensor]]:
        """Validation batches in order."""
        for index in torch.arange(len(self.sample_validation), device=self.y.device).split(256):
            yield self.sample_validation[index], self.y_validation[index]


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
