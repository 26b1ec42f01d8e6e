"""Which attention weights are dropped: bits of a hash, so that every path drops the same ones without storing them.

Symbols: `q` query, `k` key, `n = batch_index heads + head`, `s` and `s'` the two halves of the seed, all arithmetic
modulo 2^32.

    row     r = mix(mix(s + n G) + q G)
    column  c = mix(s') + k G
    kept    where mix'(r ^ c) >= dropout 2^32

`G` is 2^32 divided by the golden ratio, whose multiples spread evenly; `mix` and `mix'` are multiplications between
shifts, the second without the last shift, which no comparison of the highest bits would notice.

Source:
    Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, section 5 (a hash of a counter);
    Wellons (2018), Prospecting for hash functions (the multipliers of `lowbias32`).
"""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN, FIRST, SECOND = 0x9E3779B9, 0x7FEB352D, 0x846CA68B
_WORD = 0xFFFFFFFF


def threshold_of(dropout: float) -> int:
    """What a hash must reach for its weight to be kept.

    Args:
        dropout: Share to drop, 0 to below 1.

    Returns:
        A number of 32 bits.
    """
    return min(round(dropout * 2**32), _WORD)


def draw_seed(device: torch.device) -> Tensor:
    """A seed from torch's own generator, so that `torch.manual_seed` decides what is dropped.

    Args:
        device: Where it is wanted.

    Returns:
        63 random bits, a scalar int64.
    """
    return torch.randint(2**63 - 1, (), device=device)


def kept(seed: Tensor, rows: Tensor, queries: Tensor, keys: Tensor, dropout: float) -> Tensor:
    """Which weights stay.

    Args:
        seed: The seed, a scalar int64.
        rows: `batch_index heads + head` (rows,), int64.
        queries: Positions of the queries (queries,).
        keys: Positions of the keys (keys,).
        dropout: Share to drop.

    Returns:
        True where a weight stays (rows, queries, keys).
    """
    low, high = seed & _WORD, seed >> 32 & _WORD
    by_row = _mix(low + rows * GOLDEN & _WORD)[:, None]
    by_query = _mix(by_row + queries * GOLDEN & _WORD)[:, :, None]
    return _scatter(by_query ^ (_mix(high) + keys * GOLDEN & _WORD)) >= threshold_of(dropout)


def _scatter(word: Tensor) -> Tensor:
    """A hash of 32 bits whose highest are the best; int64 wraps around, which leaves its lowest 32 bits right."""
    word = (word ^ word >> 16) * FIRST & _WORD
    return (word ^ word >> 15) * SECOND & _WORD


def _mix(word: Tensor) -> Tensor:
    """A hash of 32 bits, all of them good."""
    word = _scatter(word)
    return word ^ word >> 16
