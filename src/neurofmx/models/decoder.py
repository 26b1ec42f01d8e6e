"""Tokenizer, backbone and head in a row: a network that answers a task from windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurofmx.models.head import Head
from neurofmx.tokenizers.tokens import Sample, Tokenizer


class Decoder(nn.Module):
    """Answer a task from windows.

    Padding stands at the end, and every backbone is causal: what a state says never depends on padding. So only the
    head needs to know where it begins.

    Args:
        tokenizer: Windows to tokens `(batch, tokens, dim)` with their mask.
        backbone: Tokens to states `(batch, tokens, dim)`; called as `states, state = backbone(tokens, state)`.
        head: States and their mask to outputs `(batch, task.width)`.
    """

    def __init__(self, tokenizer: Tokenizer, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.tokenizer, self.backbone, self.head = tokenizer, backbone, head

    def forward(self, sample: Sample, state: Any = None) -> tuple[Tensor, Any]:
        """Answer a batch of standardised windows.

        Args:
            sample: The windows.
            state: What an earlier call returned for the windows that came before these, or None at the start.

        Returns:
            Outputs `(batch, task.width)` and the state to carry on from; it has read the padding too, so carry on
            from windows without any.
        """
        values, mask, _ = self.tokenizer(sample)
        if mask is not None:
            values = values.masked_fill(~mask[..., None], 0.0)
        states, state = self.backbone(values, state)
        return self.head(states, mask), state

    @torch.inference_mode()
    def predict(self, sample: Sample, *, batch_size: int = 256) -> np.ndarray:
        """Answer windows outside of training.

        Args:
            sample: Any number of windows, on the CPU.
            batch_size: Windows answered at once.

        Returns:
            Logits, values in the target's unit, or cosine and sine, shape `(windows, task.width)`, float64.
        """
        self.eval()
        device = next(self.parameters()).device
        batches = [sample[first : first + batch_size] for first in range(0, len(sample), batch_size)]
        return np.concatenate([self._answer(batch.to(device)) for batch in batches]).astype(np.float64)

    def _answer(self, batch: Sample) -> np.ndarray:
        return self.head.in_units(self(batch)[0]).float().cpu().numpy()
