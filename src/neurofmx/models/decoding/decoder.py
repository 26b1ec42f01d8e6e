"""Tokenizer, backbone and head in a row: a network that answers a task from windows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from neurofmx.models.decoding.head import Head
from neurofmx.models.decoding.token_head import TokenHead
from neurofmx.tokenizers.tokens import Sample, Tokenizer

LONGEST = 2**18  # samples of the windows that are answered at once
TOKENS = 2**16  # the same of a text, each of which is a token with states of its own


class Carried(NamedTuple):
    """What a decoder carries from one stretch of its windows to the next.

    Args:
        backbone: State of the backbone.
        samples: Samples that were read.
    """

    backbone: Any = None
    samples: int = 0


def refuse_beside(sample: Sample) -> None:
    """Refuse to go on with windows piece by piece where something is beside them.

    Raises:
        ValueError: If something is.
    """
    if sample.beside is not None:
        raise ValueError("windows with something beside them are read whole: no state is carried on to them")


class Decoder(nn.Module):
    """Answer a task from windows.

    Padding stands at the end, and every backbone is causal: what a state says never depends on padding. So only the
    head needs to know where it begins.

    Args:
        tokenizer: Windows to tokens `(batch, tokens, dim)` with their mask.
        backbone: Tokens to states `(batch, tokens, dim)`; called as `states, state = backbone(tokens, state)`.
        head: States and their mask to outputs `(batch, task.width)`; a `TokenHead` answers at every token.
    """

    def __init__(self, tokenizer: Tokenizer, backbone: nn.Module, head: Head | TokenHead) -> None:
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

        Raises:
            ValueError: If a state is given for windows with something beside them, which are read whole.
        """
        if state is not None:
            refuse_beside(sample)
        before, read = state or Carried()
        values, mask, _ = self.tokenizer(sample.starting_at(read) if read else sample)
        if mask is not None:
            values = values.masked_fill(~mask[..., None], 0.0)
        states, after = self.backbone(values, before)
        return self.head(states, mask), Carried(after, read + sample.x.shape[1])

    @torch.inference_mode()
    def log_likelihood(self, sample: Sample, y: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
        """Say how probable every true next token of a text was.

        Args:
            sample: Any number of windows, on the CPU.
            y: The token that follows each `(windows, time)`.
            batch_size: Windows answered at once; fewer where they are long.

        Returns:
            Natural logarithms `(windows, time)`, float64.

        Raises:
            TypeError: If the network was built for another task.
        """
        if not isinstance(self.head, TokenHead):
            raise TypeError("this network does not answer at every token; call predict")
        self.eval()
        device, logs = next(self.parameters()).device, []
        batch_size = max(1, min(batch_size, TOKENS // sample.x.shape[1]))
        for first in range(0, len(sample), batch_size):
            part = slice(first, first + batch_size)
            true = torch.as_tensor(y[part], dtype=torch.int64, device=device)
            logs.append(self.head.log_likelihood(self(sample[part].to(device))[0].float(), true).cpu().numpy())
        return np.concatenate(logs).astype(np.float64)

    @torch.inference_mode()
    def stream_likelihood(self, x: np.ndarray, y: np.ndarray, *, piece: int = 1024) -> np.ndarray:
        """Say the same of one long text in one pass: the state is carried from piece to piece.

        Args:
            x: Tokens `(texts, time, 1)`.
            y: The token that follows each `(texts, time)`.
            piece: Tokens read at once; it changes nothing but rounding.

        Returns:
            Natural logarithms `(texts, time)`, float64.

        Raises:
            TypeError: If the network was built for another task.
            ValueError: If the network has learnt places, and fewer than the text has tokens.
        """
        if not isinstance(self.head, TokenHead):
            raise TypeError("this network does not answer at every token; call predict")
        self.tokenizer.check_room(x.shape[1])
        self.eval()
        device, logs, state = next(self.parameters()).device, [], None
        tokens, true = (torch.as_tensor(each, dtype=torch.int64, device=device) for each in (x, y))
        for part, asked in zip(tokens.split(piece, 1), true.split(piece, 1), strict=True):
            outputs, state = self(Sample(part), state)
            logs.append(self.head.log_likelihood(outputs.float(), asked))
        return torch.cat(logs, 1).cpu().numpy().astype(np.float64)

    @torch.inference_mode()
    def predict(self, sample: Sample, *, batch_size: int = 256) -> np.ndarray:
        """Answer windows outside of training.

        Args:
            sample: Any number of windows, on the CPU.
            batch_size: Windows answered at once; fewer where they are long.

        Returns:
            Logits, values in the target's unit, or cosine and sine, shape `(windows, task.width)`, float64.

        Raises:
            TypeError: If the network was built for a text.
        """
        if isinstance(self.head, TokenHead):
            raise TypeError("this network answers at every token; call log_likelihood")
        self.eval()
        device = next(self.parameters()).device
        batch_size = max(1, min(batch_size, LONGEST // sample.longest))
        batches = [sample[first : first + batch_size] for first in range(0, len(sample), batch_size)]
        return np.concatenate([self._answer(batch.to(device)) for batch in batches]).astype(np.float64)

    def _answer(self, batch: Sample) -> np.ndarray:
        assert isinstance(self.head, Head)
        return self.head.in_units(self(batch)[0]).float().cpu().numpy()
