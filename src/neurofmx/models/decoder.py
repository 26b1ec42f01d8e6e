"""Tokenizer, backbone and head in a row: a network that answers a task from windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurofmx.models.head import Head


class Decoder(nn.Module):
    """Answer a task from windows.

    Args:
        tokenizer: Windows `(batch, time, channels)` to tokens `(batch, tokens, dim)`.
        backbone: Tokens to states `(batch, tokens, dim)`; called as `states, state = backbone(tokens, state)`.
        head: States to outputs `(batch, task.width)`.
    """

    def __init__(self, tokenizer: nn.Module, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.tokenizer, self.backbone, self.head = tokenizer, backbone, head

    def forward(self, window: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Answer a batch of standardised windows.

        Args:
            window: Shape `(batch, time, channels)`.
            state: What an earlier call returned for the window that came before this one, or None at the start.

        Returns:
            Outputs `(batch, task.width)` and the state to carry on from.
        """
        states, state = self.backbone(self.tokenizer(window), state)
        return self.head(states), state

    @torch.inference_mode()
    def predict(self, x: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
        """Answer windows outside of training.

        Args:
            x: Standardised windows, shape `(windows, time, channels)`.
            batch_size: Windows answered at once.

        Returns:
            Logits, values in the target's unit, or cosine and sine, shape `(windows, task.width)`, float64.
        """
        self.eval()
        device = next(self.parameters()).device
        batches = torch.as_tensor(x, dtype=torch.float32).split(batch_size)
        return np.concatenate([self._answer(batch.to(device)) for batch in batches]).astype(np.float64)

    def _answer(self, batch: Tensor) -> np.ndarray:
        return self.head.in_units(self(batch)[0]).float().cpu().numpy()
