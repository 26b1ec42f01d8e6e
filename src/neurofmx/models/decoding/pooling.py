"""Make one vector of the states over a window.

Symbols: `h[t]` state of token t, `w[t]` its weight, `p` the pooled state. Where a mask says that tokens at the end of a
window stand for nothing recorded, `T` and the sums leave them out.

    last        p = h[T]
    mean        p = sum_t h[t] / T
    attention   p = sum_t w[t] h[t],    w = softmax_t(q norm(h[t]))
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.models.configs import Pool
from neurofmx.tables import pick


class LastPool(nn.Module):
    """The state of the last token, which has seen all others.

    Args:
        dim: Width of a state.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """States `(batch, tokens, dim)` and their mask `(batch, tokens)` to `(batch, dim)`."""
        if mask is None:
            return states[:, -1]
        last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(1)
        return states[torch.arange(len(states), device=states.device), last]


class MeanPool(nn.Module):
    """The mean over all tokens.

    Args:
        dim: Width of a state.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """States `(batch, tokens, dim)` and their mask `(batch, tokens)` to `(batch, dim)`."""
        if mask is None:
            return states.mean(1)
        return states.masked_fill(~mask[..., None], 0.0).sum(1) / mask.sum(1, keepdim=True)


class AttentionPool(nn.Module):
    """A weighted mean over the tokens, with weights that one learnt query chooses; at first the plain mean.

    Which part of a window carries the answer differs between recordings: the end of a run of spikes, the middle of a
    slow blood response. Here the data says so.

    Args:
        dim: Width of a state.

    Source:
        Yang et al. (2016), Hierarchical attention networks for document classification, equations 5 to 7, with a
        linear score.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        # what adds the same to every token's score changes no weight: a bias would follow rounding errors alone
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.score = nn.Linear(dim, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def weights(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """How much each token counts: `(batch, tokens, 1)`, with the sum 1; 0 where the mask is false, else above."""
        scores = self.score(self.norm(states))
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None], -torch.inf)
        return scores.softmax(1)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """States `(batch, tokens, dim)` and their mask `(batch, tokens)` to `(batch, dim)`."""
        return (self.weights(states, mask) * states).sum(1)


POOLS: dict[str, type[LastPool | MeanPool | AttentionPool]] = {
    "last": LastPool,
    "mean": MeanPool,
    "attention": AttentionPool,
}


def pooling(name: Pool, dim: int) -> nn.Module:
    """Builds the pooling of a name.

    Args:
        name: A key of `POOLS`.
        dim: Width of a state.

    Returns:
        A module from states `(batch, tokens, dim)` and a mask `(batch, tokens)` or None to `(batch, dim)`.

    Raises:
        ValueError: If there is no pooling of that name.
    """
    return pick(POOLS, name, "pool")(dim)
