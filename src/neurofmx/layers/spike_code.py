"""What in a train of spikes carries the value: how many there are, or how early the first one comes.

| scheme     | a token's value                                  | which spikes are sent                |
|------------|--------------------------------------------------|--------------------------------------|
| `rate`     | share of the steps with a spike                  | all                                  |
| `temporal` | how early the first spike comes, 0 where none    | the first of a token, then no other  |
| `hybrid`   | the mean of both                                 | all                                  |

A scheme says what every spike counts for at its step; the mean over a token's steps is the token's value. So whoever
adds up what it is sent, step by step, reads the code without knowing which one it is. The first spike counts for the
more the earlier it comes, as if the receiving synapse grew weaker from step to step of a token; a token begins with
nothing sent, so tokens can be encoded one after the other, or many at once, with the same result.

Shapes: S spike steps of a token, N neurons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

EncodingScheme = Literal["rate", "temporal", "hybrid"]


class Scheme(NamedTuple):
    """One entry of `SCHEMES`.

    Args:
        worth: What every spike counts for, from spikes (..., S, N), in the same shape.
        sent: Which spikes are sent, likewise.
    """

    worth: Callable[[Tensor], Tensor]
    sent: Callable[[Tensor], Tensor]


def every_spike(spikes: Tensor) -> Tensor:
    """All spikes count alike.

    Args:
        spikes: Spikes (..., S, N) of 0 and 1.

    Returns:
        The same.
    """
    return spikes


def first_spikes(spikes: Tensor) -> Tensor:
    """Leaves the first spike of every neuron, `s[t] prod_{i<t} (1 - s[i])`.

    The gradient is that of the product, so it knows that an earlier spike would take the place of the one that is left.

    Args:
        spikes: Spikes (..., S, N) of 0 and 1.

    Returns:
        Spikes, at most one of each neuron.
    """
    silent = (1.0 - spikes).cumprod(-2)
    return spikes * torch.cat([torch.ones_like(silent[..., :1, :]), silent[..., :-1, :]], -2)


def earliness(spikes: Tensor) -> Tensor:
    """Only the first spike counts, `S` at the first step and 1 at the last.

    Args:
        spikes: Spikes (..., S, N) of 0 and 1.

    Returns:
        What each counts for, in the same shape.

    Source:
        Thorpe and Gautrais (1998), Rank order coding, in Computational Neuroscience: Trends in Research (a
        sensitivity that falls from spike to spike; here it falls from step to step).
    """
    steps = spikes.shape[-2]
    return first_spikes(spikes) * torch.arange(steps, 0, -1, dtype=spikes.dtype, device=spikes.device).unsqueeze(-1)


def both(spikes: Tensor) -> Tensor:
    """Half of each.

    Args:
        spikes: Spikes (..., S, N) of 0 and 1.

    Returns:
        What each counts for, in the same shape.
    """
    return (spikes + earliness(spikes)) / 2.0


SCHEMES: dict[str, Scheme] = {
    "rate": Scheme(every_spike, every_spike),
    "temporal": Scheme(earliness, first_spikes),
    "hybrid": Scheme(both, every_spike),
}
