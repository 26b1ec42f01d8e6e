"""A mixture of experts: feed-forward layers of which every token passes a few.

Symbols: `x` token, `r` router, E experts, `k` of them chosen, `p` shares, `f` and `P` how often an expert is chosen and
how much share it gets, over all tokens of a pass.

    p = softmax(r(x))        y = sum over the k largest p_i of p_i expert_i(x)
    balance = E sum_i f_i P_i

Nothing is dropped where many tokens want one expert, so what a token gets depends on no other token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.layers.elementwise import RowSiLU


class MixtureOfExperts(nn.Module):
    """Feed-forward layers chosen token by token, behind a normalisation and beside a residual connection.

    Args:
        dim: Channels of the tokens.
        experts: Number of experts, 2 or more.
        top_k: How many of them a token passes, 1 to `experts`.
        expand: Hidden channels of an expert per channel.
        dropout: Share of what they add that is dropped in training.
        eps: Added to variances in the normalisation.

    Raises:
        ValueError: If `experts` or `top_k` is out of range.

    Source:
        Fedus, Zoph and Shazeer (2022), Switch Transformers, JMLR 23, equations 1 to 6 (shares, and balance, for k = 1);
        Shazeer et al. (2017), Outrageously Large Neural Networks, section 2.1 (k of E); Pioro et al. (2024), MoE-Mamba,
        arXiv:2401.04081 (such a layer behind every Mamba layer).
    """

    def __init__(
        self, dim: int, *, experts: int, top_k: int = 2, expand: int = 2, dropout: float = 0.0, eps: float = 1e-5
    ) -> None:
        super().__init__()
        if experts < 2:
            raise ValueError(f"experts must be 2 or more, got {experts}")
        if not 1 <= top_k <= experts:
            raise ValueError(f"top_k must be 1 or more and at most experts={experts}, got {top_k}")
        self.top_k = top_k
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.router = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, expand * dim), RowSiLU(), nn.Linear(expand * dim, dim)) for _ in range(experts)
        )
        self.dropout = nn.Dropout(dropout)
        self.balance: Tensor | None = None

    def shares(self, x: Tensor) -> Tensor:
        """How much the router gives to each expert.

        Args:
            x: Normalised tokens (..., dim).

        Returns:
            Shares (..., experts) in float32 or wider, which sum to 1.
        """
        logits = self.router(x)
        return logits.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Adds to every token what its experts make of it, and in training leaves `balance` behind.

        Args:
            x: Tokens (batch, length, dim).

        Returns:
            Tokens (batch, length, dim).
        """
        tokens = self.norm(x).flatten(0, 1)
        shares = self.shares(tokens)
        weights, chosen = shares.topk(self.top_k, -1)
        self.balance = balance(shares, chosen) if self.training else None
        found = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, place = (chosen == number).nonzero(as_tuple=True)
            made = expert(tokens[token]) * weights[token, place, None]
            found = found.index_add(0, token, made.to(found.dtype))
        return x + self.dropout(found.view_as(x))


def balance(shares: Tensor, chosen: Tensor) -> Tensor:
    """How unevenly tokens go to experts: 1 if all get as much, at most the number of experts, and 0 without tokens.

    Args:
        shares: What the router gives to each expert (tokens, experts).
        chosen: Which experts a token passes (tokens, k).

    Returns:
        A scalar, to be made small in training; its gradient goes through the shares alone.
    """
    experts = shares.shape[1]
    tokens, choices = max(1, len(shares)), max(1, chosen.numel())
    often = torch.bincount(chosen.flatten(), minlength=experts).to(shares.dtype) / choices
    return experts * (often * (shares.sum(0) / tokens)).sum()
