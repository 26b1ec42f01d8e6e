"""A decoder that reads a window sample by sample: tokens as soon as they are complete, one step of the backbone each.

The tokenizer reads the samples so far, and only its new tokens go on; the head answers from all states so far. So what
is said after the last sample is what one pass over the window says, if tokenizer and backbone look at nothing later.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.head import Head
from neurofmx.tokenizers.tokens import Sample


class Carried(NamedTuple):
    """What is carried from sample to sample.

    Args:
        sample: The samples so far, one window, with its recording and its channels.
        states: States so far `(1, N, D)`; None at the start.
        backbone: State of the backbone.
    """

    sample: Sample
    states: Tensor | None = None
    backbone: Any = None


class DecoderStream:
    """Answers after every new token.

    Args:
        decoder: Network with a head that answers a window; on the CPU.
        patch: Samples that share a token.
        rate: Samples a second, Hz.
    """

    def __init__(self, decoder: Decoder, *, patch: int, rate: float) -> None:
        if not isinstance(decoder.head, Head):
            raise ValueError("this network answers at every token of a text; see Decoder.stream_likelihood")
        self._decoder, self._head = decoder.eval(), decoder.head
        step = getattr(decoder.backbone, "step_s", None)  # of a model on a grid of time, which takes whole steps
        self._piece = patch if step is None else max(1, round(step * rate))
        self._grid = step is not None

    def start(self, window: Sample) -> Carried:
        """A window before its first sample; of `window` all is read but its samples."""
        return Carried(window.with_x(window.x[:, :0]))

    @torch.inference_mode()
    def step(self, sample: np.ndarray, state: Carried) -> tuple[np.ndarray | None, Carried]:
        """Read one sample.

        Args:
            sample: Standardised channels `(C,)`.
            state: What the call before returned.

        Returns:
            The answer `(width,)`, None where no token was completed; and the state.
        """
        new = torch.as_tensor(np.asarray(sample), dtype=state.sample.x.dtype)[None, None]
        state = state._replace(sample=state.sample.with_x(torch.cat([state.sample.x, new], 1)))
        if state.sample.x.shape[1] % self._piece:
            return None, state
        fresh, carried = self._on_grid(state) if self._grid else self._token_by_token(state)
        states = fresh if state.states is None else torch.cat([state.states, fresh], 1)
        answer = self._head.in_units(self._head(states, None))[0]
        return answer.double().numpy(), state._replace(states=states, backbone=carried)

    def _token_by_token(self, state: Carried) -> tuple[Tensor, Any]:
        """States of the tokens that are new."""
        values = self._decoder.tokenizer(state.sample)[0]
        first = 0 if state.states is None else state.states.shape[1]
        return self._decoder.backbone(values[:, first:], state.backbone)

    def _on_grid(self, state: Carried) -> tuple[Tensor, Any]:
        """States of the step that has just ended, of a model that is handed samples and keeps its own tokens."""
        read: list[Tensor] = []
        hook = self._head.register_forward_pre_hook(lambda head, given: read.append(given[0]))
        try:
            _, carried = self._decoder(state.sample.with_x(state.sample.x[:, -self._piece :]), state.backbone)
        finally:
            hook.remove()
        return read[0], carried
