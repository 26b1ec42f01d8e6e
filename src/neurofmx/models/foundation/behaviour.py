"""The behaviour decoder: the answer of a task to a whole window, or after every step of it."""

from __future__ import annotations

from typing import final

from torch import Tensor

from neurofmx.models.decoding.head import Head


@final
class BehaviourDecoder(Head):
    """A `Head` that can also answer step by step, with the same weights.

    Args:
        dim: Channels of a state.
        task: What is asked.
        pool: How the states of a window become one.
        dropout: Share of pooled features dropped in training.
    """

    def each(self, states: Tensor) -> Tensor:
        """Answers (B, K, task.width) after each step, from its state alone, of states (B, K, dim).

        With `pool="last"` the answer to a whole window is that after its last step.
        """
        return self.answer(self.dropout(self.norm(states)))
