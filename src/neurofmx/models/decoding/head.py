"""The last layer: states of a backbone to the answer of a task."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.models.configs import Pool
from neurofmx.models.decoding.pooling import pooling
from neurofmx.recordings.task import Task


class Head(nn.Module):
    """Pool the states over a window and answer the task.

    Args:
        dim: Width of a state.
        task: What is asked: logits of the classes, values of the variables, or cosine and sine of the angle.
        pool: How the states of a window become one, a key of `neurofmx.models.decoding.pooling.POOLS`.
        dropout: Share of pooled features dropped in training.

    Shape:
        states `(batch, tokens, dim)`, mask `(batch, tokens)` or None -> outputs `(batch, task.width)`.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, dim: int, *, task: Task, pool: Pool = "attention", dropout: float = 0.1) -> None:
        super().__init__()
        self.task = task
        self.pool = pooling(pool, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(dim, task.width)
        # values are learnt standardised and answered in their own unit
        self.register_buffer("target_mean", torch.zeros(task.width))
        self.register_buffer("target_std", torch.ones(task.width))

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Answers, shape `(batch, task.width)`; regressed values in standardised units."""
        return self.answer(self.dropout(self.norm(self.pool(states, mask))))

    def loss(
        self, outputs: Tensor, y: Tensor, *, label_smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """Mean loss of a batch: cross-entropy, or the squared error of values or of cosine and sine.

        Args:
            outputs: What `forward` returned, shape `(batch, task.width)`.
            y: Labels `(batch,)`, values `(batch, variables)` or angles `(batch,)` in rad.
            label_smoothing: Share of probability spread over all classes.
            class_weights: How much a window of each class counts, (classes,); None for the same. The loss is divided by
                the number of windows, not by their weights, so that batches can be added up.

        Returns:
            A scalar.
        """
        if self.task.kind == "classification":
            how = {"weight": class_weights, "label_smoothing": label_smoothing}
            if class_weights is None:
                return nn.functional.cross_entropy(outputs, y, **how)
            return nn.functional.cross_entropy(outputs, y, reduction="none", **how).mean()
        if self.task.kind == "circular":
            return nn.functional.mse_loss(outputs, torch.stack([torch.cos(y), torch.sin(y)], -1))
        return nn.functional.mse_loss(outputs, (y - self.target_mean) / self.target_std)

    def in_units(self, outputs: Tensor) -> Tensor:
        """Answers in the unit of the target, shape `(batch, task.width)`."""
        return outputs * self.target_std + self.target_mean
