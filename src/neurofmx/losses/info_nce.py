"""InfoNCE: which of all keys belongs to a query?

Symbols: `q[i], k[i]` unit vectors of pair i, N pairs, `tau` temperature.

    s[i, j] = q[i] . k[j] / tau        L = -mean_i log( exp s[i, i] / sum_j exp s[i, j] )

The mean is over queries with a wrong key beside their own: of its own key alone any query is sure, and learns nothing.
`log N - L` is in expectation a lower bound of the mutual information of queries and keys, and can itself never be above
`log N`: with few pairs much shared information cannot be seen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from neurofmx.kernels.precision import full_precision
from neurofmx.losses.masking import rows_where


def info_nce(
    queries: Tensor,
    keys: Tensor,
    *,
    temperature: Tensor | float = 0.1,
    symmetric: bool = True,
    mask: Tensor | None = None,
    negatives: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of finding each query's own key among all keys of the batch.

    Args:
        queries: Embeddings (N, D) of any length; only their direction counts.
        keys: Embeddings (N, D), row i the partner of query i.
        temperature: What similarities are divided by, above 0; a tensor may be learnt.
        symmetric: Whether keys look for their queries as well, and both losses are averaged.
        mask: Which pairs count (N,), bool: the others are neither asked nor anyone's negative, and may hold anything.
            None for all.
        negatives: Which key j is wrong for query i, (N, N), bool: False leaves it out, as windows that overlap must be.
            The diagonal does not matter. None for all others.

    Returns:
        A scalar, nats, at least 0; `log N` where all embeddings are equal; 0 where no query has a wrong key beside its
        own, which `has_negatives` tells from a loss of 0.

    Raises:
        ValueError: If shapes disagree, or the temperature is a number not above 0.

    Source:
        van den Oord et al. (2018), Representation learning with contrastive predictive coding, equations 4 and 5;
        symmetric: Radford et al. (2021), Learning transferable visual models from natural language supervision, fig. 3.

    Example:
        >>> round(info_nce(torch.eye(4), torch.eye(4), temperature=0.1).item(), 6)  # log(1 + 3 exp(-10))
        0.000136
    """
    if queries.shape != keys.shape or queries.ndim != 2:
        raise ValueError(f"queries {tuple(queries.shape)} and keys {tuple(keys.shape)}: give one shape (pairs, width)")
    pairs = len(queries)
    queries, keys = rows_where(mask, queries, keys)
    wrong = _wrong(negatives, mask, pairs, queries.device)
    logits = similarities(queries, keys, temperature)
    forward = _found(logits, wrong)
    return (forward + _found(logits.T, wrong.T)) / 2 if symmetric else forward


def has_negatives(pairs: int, *, mask: Tensor | None = None, negatives: Tensor | None = None) -> bool:
    """Whether any query has a wrong key to be told from; where none has, InfoNCE is 0 and says nothing.

    Args:
        pairs: Pairs of a batch, N.
        mask: As of `info_nce`.
        negatives: As of `info_nce`.

    Raises:
        ValueError: If the negatives are not bool (N, N).
    """
    device = next((each.device for each in (mask, negatives) if each is not None), torch.device("cpu"))
    return bool(_wrong(negatives, mask, pairs, device).any())


@full_precision
def similarities(queries: Tensor, keys: Tensor, temperature: Tensor | float) -> Tensor:
    """Cosines of all queries (N, D) with all keys (M, D), divided by a temperature, (N, M)."""
    if not isinstance(temperature, Tensor) and not temperature > 0:
        raise ValueError(f"temperature={temperature}: must be above 0, usually 0.05 to 0.5")
    return normalize(queries, dim=1) @ normalize(keys, dim=1).T / temperature


def _found(logits: Tensor, wrong: Tensor) -> Tensor:
    """Mean cross-entropy with the diagonal (N, N) against wrong keys, of queries that have any; 0 of nothing."""
    own = torch.arange(len(logits), device=logits.device)
    logits = logits.masked_fill(~(wrong | (own == own[:, None])), -math.inf)
    # a query without a wrong key has a cross-entropy of 0, and a gradient of 0
    return cross_entropy(logits, own, reduction="sum") / wrong.any(1).sum().clamp_min(1)


def _wrong(negatives: Tensor | None, mask: Tensor | None, pairs: int, device: torch.device) -> Tensor:
    """Which keys are wrong for which queries, of the pairs that count."""
    if negatives is None:
        negatives = torch.ones(pairs, pairs, dtype=torch.bool, device=device)
    if negatives.dtype != torch.bool or negatives.shape != (pairs, pairs):
        raise ValueError(f"negatives is {negatives.dtype} {tuple(negatives.shape)}: must be bool ({pairs}, {pairs})")
    wrong = negatives & ~torch.eye(pairs, dtype=torch.bool, device=negatives.device)
    return wrong if mask is None else wrong[mask][:, mask]
