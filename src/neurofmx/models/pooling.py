"""Make one vector of the states over a window.

Symbols: `h[t]` state of token t, `w[t]` its weight, `p` the pooled state.

    last        p = h[T]
    mean        p = sum_t h[t] / T
    attention   p = sum_t w[t] h[t],    w = softmax_t(q norm(h[t]))
"""

from __future__ import annotations

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

    def forward(self, states: Tensor) -> Tensor:
        """States `(batch, tokens, dim)` to `(batch, dim)`."""
        return states[:, -1]


class MeanPool(nn.Module):
    """The mean over all tokens.

    Args:
        dim: Width of a state.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, states: Tensor) -> Tensor:
        """States `(batch, tokens, dim)` to `(batch, dim)`."""
        return states.mean(1)


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

    def weights(self, states: Tensor) -> Tensor:
        """How much each token counts: `(batch, tokens, 1)`, above 0, with the sum 1 over the tokens."""
        return self.score(self.norm(states)).softmax(1)

    def forward(self, states: Tensor) -> Tensor:
        """States `(batch, tokens, dim)` to `(batch, dim)`."""
        return (self.weights(states) * states).sum(1)


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
        A module from `(batch, tokens, dim)` to `(batch, dim)`.

    Raises:
        ValueError: If there is no pooling of that name.
    """
    return pick(POOLS, name, "pool")(dim)
