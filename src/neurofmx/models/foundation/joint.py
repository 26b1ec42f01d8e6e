"""NeuroFMx that answers a task from several streams at once, any of which a row may lack."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.head import Head
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.neurofmx import NeuroFMx
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.multi_sample import MultiSample


class JointDecoder(nn.Module):
    """Answer a task from joined windows.

    Args:
        backbone: The model, which knows the streams.
        head: States and their mask to outputs.
    """

    def __init__(self, backbone: NeuroFMx, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, batch: MultiSample, state: Any = None) -> tuple[Tensor, Any]:
        """Outputs `(B, task.width)` of rows, and the state to carry on from."""
        states, state = self.backbone(batch, state)
        return self.head(states.states, states.mask), state

    @torch.inference_mode()
    def predict(self, batch: MultiSample, *, batch_size: int = 256) -> np.ndarray:
        """Answer rows outside of training.

        Args:
            batch: Any number of rows, on the CPU.
            batch_size: Rows answered at once.

        Returns:
            Logits, values in the target's unit, or cosine and sine, `(rows, task.width)`, float64.
        """
        self.eval()
        device = next(self.parameters()).device
        parts = torch.arange(len(batch)).split(batch_size)
        said = [self.head.in_units(self(batch[part].to(device))[0]).float().cpu().numpy() for part in parts]
        return np.concatenate(said).astype(np.float64)


def build_joint(config: NeurofmxConfig, head: HeadConfig, joined: Joined, *, fold: int) -> JointDecoder:
    """A freshly initialised decoder for one fold of joined windows; seed torch before.

    Args:
        config: Sizes and grid.
        head: How states become an answer.
        joined: The rows it will read; give it streams, task and, for regression, the target's scale.
        fold: Fold whose training rows scale a regression's target.

    Raises:
        ValueError: If the task asks for the next token.
    """
    if joined.task.kind == "next_token":
        raise ValueError("task: the next token of a text is not answered from several streams")
    made, _ = assemble(config, [joined])
    answer = Head(made.model.dim, task=joined.task, pool=head.pool, dropout=head.dropout)
    if joined.task.kind == "regression":
        y = torch.as_tensor(joined.y[joined.fold(fold).train], dtype=torch.float32)
        answer.target_mean.copy_(y.mean(0))
        answer.target_std.copy_(y.std(0).clamp_min(1e-6))
    return JointDecoder(made.model, answer)
