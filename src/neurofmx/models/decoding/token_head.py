"""The last layer of a language model: after every token, how probable each next one is.

With n positions and v tokens to choose from, the logits `(n, v)` are the largest array of the whole network, by far.
They are made some positions at a time, used and forgotten; the gradient is taken on the way, as the logits are not
there any more when the backward pass comes.

    loss = -sum_i log softmax(W s_i + b)[y_i] / n        slope of logits i: (softmax(W s_i + b) - onehot(y_i)) / n
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 2**22  # most logits that are held at once


class TokenHead(nn.Module):
    """Answers every position of a window with the probability of the next token.

    Args:
        dim: Width of a state.
        vocabulary: Number of tokens to choose from.
        dropout: Share of features dropped in training.
        tied: Vectors `(vocabulary, dim)` of spread 1 to answer with, shared with who reads tokens by them; states are
            then scaled by `dim ** -0.5`, so that logits begin with spread 1. None for a set of its own.

    Source:
        Press and Wolf 2017, Using the output embedding to improve language models, section 3 (tied vectors).
    """

    def __init__(self, dim: int, *, vocabulary: int, dropout: float = 0.1, tied: nn.Parameter | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(dim, vocabulary)
        self.scale = 1.0 if tied is None else dim**-0.5
        if tied is not None:
            self.answer.weight = tied

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """States made ready for the last layer, `(batch, tokens, dim)`; `loss` and `log_likelihood` apply it.

        Raises:
            ValueError: If a text has padding.
        """
        if mask is not None:
            raise ValueError("a text has windows of one length; there must be no mask")
        ready = self.dropout(self.norm(states))
        return ready if self.scale == 1 else ready * self.scale

    def loss(self, outputs: Tensor, y: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Mean negative log probability of the true next tokens, nats.

        Args:
            outputs: What `forward` returned, `(batch, tokens, dim)`.
            y: The token that follows each `(batch, tokens)`, int64.
            label_smoothing: Not used: a probability that is spread on purpose is a worse one.

        Returns:
            A scalar.
        """
        return _MeanSurprise.apply(outputs.flatten(0, 1), self.answer.weight, self.answer.bias, y.flatten())

    def log_likelihood(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Log probability of each true next token, `(batch, tokens)`, nats; arguments as of `loss`, no gradient."""
        with torch.no_grad():
            logs = _log_softmax(outputs.flatten(0, 1), self.answer.weight, self.answer.bias, y.flatten())
            return torch.cat([log.gather(1, true[:, None])[:, 0] for _, log, true in logs]).view(y.shape)

    def logits(self, outputs: Tensor) -> Tensor:
        """All logits `(batch, tokens, vocabulary)`, which may be large; `outputs` as of `loss`."""
        return self.answer(outputs)


def _log_softmax(states: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """States `(some, dim)`, log probabilities `(some, vocabulary)` and true tokens `(some,)`, piece by piece."""
    some = max(1, CHUNK // len(weight))
    for part, true in zip(states.split(some), y.split(some), strict=True):
        yield part, torch.addmm(bias, part, weight.t()).log_softmax(1), true


class _MeanSurprise(torch.autograd.Function):
    """`cross_entropy(states @ weight.T + bias, y)` without holding the logits."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> Tensor:
        total = states.new_zeros(())
        slopes = [torch.zeros_like(each) for each in (states, weight, bias)] if any(ctx.needs_input_grad) else None
        done = 0
        for part, log, true in _log_softmax(states, weight, bias, y):
            chosen = true[:, None]
            total -= log.gather(1, chosen).sum()
            if slopes:
                slope = log.exp_().scatter_add_(1, chosen, log.new_full(chosen.shape, -1.0)).div_(len(y))
                torch.mm(slope, weight, out=slopes[0][done : done + len(true)])
                slopes[1].addmm_(slope.t(), part)
                slopes[2] += slope.sum(0)
            done += len(true)
        ctx.save_for_backward(*(slopes or ()))
        return total / len(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] the decorator hides the names
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        return *(grads[0] * slope for slope in ctx.saved_tensors), None
