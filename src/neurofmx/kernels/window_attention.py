"""Causal attention with a sliding window, over keys and values of the same tokens and of those carried over.

Symbols: `Q, K, V` queries, keys and values of one head, E numbers each; the last query stands at the last key, and a
query sees the keys within the window up to its own.

    p[q, k] = softmax_k(Q[q].K[k] / sqrt(E))
    y[q] = sum_k p[q, k] kept[q, k] / (1 - dropout) V[k]      H[q] = -sum_k p[q, k] log p[q, k]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda
from neurofmx.kernels.dropout import kept
from neurofmx.kernels.path import Path, resolve
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick


class _Settings(NamedTuple):
    """What is no sequence, under the names of `window_attention`, and whether the entropy is asked for."""

    heads: int
    window: int | None
    dropout: float
    seed: Tensor | None
    measures: bool


class Measured(NamedTuple):
    """Outputs, and how spread out the attention was that made them.

    Args:
        y: Outputs (batch, length, heads E).
        entropy: Shannon entropy of every query's weights in nats (batch, heads, length), before any weight is dropped
            and without gradient: 0 where a query looks at one key, and the logarithm of the number of keys at most.
    """

    y: Tensor
    entropy: Tensor


def window_attention(
    queries: Tensor,
    keys_values: Tensor,
    *,
    heads: int,
    window: int | None = None,
    dropout: float = 0.0,
    seed: Tensor | None = None,
    path: Path = "auto",
) -> Tensor:
    """Lets every query look at the keys before it, in several heads.

    Args:
        queries: Queries (batch, length, heads E), as a linear layer gives them.
        keys_values: Keys, and values behind them (batch, keys, 2 heads E), as one linear layer gives them; the tokens
            carried over come first, so there are at least as many as queries.
        heads: Number of heads.
        window: Keys that a query sees, its own included, 1 or more; `None` for all earlier ones.
        dropout: Share of weights dropped, 0 to below 1; nothing is dropped without a seed.
        seed: Scalar int64 that decides which weights are dropped, see `neurofmx.kernels.dropout`; `None` for none.
        path: `auto`, `reference` (plain torch), `numba` (compiled loops for the CPU), `cuda` or `library` (both torch's
            `scaled_dot_product_attention`, which draws what it drops from torch's generator and not from the seed).

    Returns:
        Outputs (batch, length, heads E); float32 for 16-bit inputs, except from torch's own attention.

    Raises:
        ValueError: If a shape, a size or `path` is wrong, or the path cannot compute on this device.
        ImportError: If the package behind the path is missing.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, equation 1; Beltagy et al. (2020), Longformer, section 3.1
        (sliding window).
    """
    return _run(queries, keys_values, path, _Settings(heads, window, dropout, seed, measures=False))[0]


def measured_window_attention(
    queries: Tensor,
    keys_values: Tensor,
    *,
    heads: int,
    window: int | None = None,
    dropout: float = 0.0,
    seed: Tensor | None = None,
    path: Path = "auto",
) -> Measured:
    """Does what `window_attention` does, and says how spread out the attention was.

    The compiled loops add the entropy up beside the outputs, and the reference has the weights at hand. Torch's own
    attention (`cuda` and `library`) hands no weights out, so there the scores are computed a second time.

    Args:
        queries: As `window_attention` takes them, and so with all that follows.
        keys_values: Keys, and values behind them.
        heads: Number of heads.
        window: Keys that a query sees.
        dropout: Share of weights dropped.
        seed: What decides which.
        path: What computes.

    Returns:
        The same outputs to the bit, and the entropies.

    Raises:
        ValueError: As `window_attention`.
        ImportError: As `window_attention`.
    """
    y, entropy = _run(queries, keys_values, path, _Settings(heads, window, dropout, seed, measures=True))
    assert entropy is not None
    return Measured(y, entropy.detach())


Found = tuple[Tensor, Tensor | None]


def _run(queries: Tensor, keys_values: Tensor, path: Path, settings: _Settings) -> Found:
    """Checks what was given and hands it to a path."""
    heads, window, dropout, seed, _ = settings
    batch, length, width = require_shape("queries", queries, batch=None, length=None, channels=None)
    _, keys, _ = require_shape("keys_values", keys_values, batch=batch, keys=None, channels=2 * width)
    if keys < length:
        raise ValueError(f"keys_values must hold a key for every query, got {keys} for length={length}")
    if heads < 1 or width % heads:
        raise ValueError(f"heads must divide the {width} channels of queries, got {heads}")
    if window is not None and window < 1:
        raise ValueError(f"window must be 1 token or more, got {window}; None means no limit")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be 0 or more and below 1, got {dropout}")
    if not (dropout > 0 and seed is not None):
        settings = settings._replace(dropout=0.0, seed=None)
    return pick(_PATHS, resolve(path, queries.device), "path")(queries, keys_values, settings)


def visible(queries: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """Which key each query sees.

    Args:
        queries: Positions of the queries (queries,).
        keys: Positions of the keys (keys,).
        window: Keys that a query sees; `None` for all earlier ones.

    Returns:
        True where it sees it (queries, keys).
    """
    age = queries[:, None] - keys
    return (age >= 0) if window is None else (age >= 0) & (age < window)


Block = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _blocks(queries: Tensor, keys_values: Tensor, settings: _Settings) -> Iterator[Block]:
    """Blocks of queries as long as the window, with the keys and values that they see, and the positions of both.

    Queries, keys and values come as (batch, heads, tokens, E).
    """
    heads, window, *_ = settings
    apart = queries.unflatten(2, (heads, -1)).transpose(1, 2)
    both = keys_values.unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    positions = torch.arange(both.shape[3], device=both.device)
    stop = both.shape[3] - apart.shape[2]
    for block in apart.split(window or apart.shape[2], 2):
        first = 0 if window is None else max(0, stop - window + 1)
        begin, stop = stop, stop + block.shape[2]
        keys, values = both[:, :, :, first:stop].unbind(0)
        yield block, keys, values, positions[begin:stop], positions[first:stop]


def _together(blocks: list[Tensor]) -> Tensor:
    """Blocks of outputs (batch, heads, tokens, E) as one (batch, length, heads E)."""
    return torch.cat(blocks, 2).transpose(1, 2).flatten(2)


@full_precision
def _reference(queries: Tensor, keys_values: Tensor, settings: _Settings) -> Found:
    """The softmax written out."""
    found, entropies = [], []
    for block, keys, values, here, there in _blocks(queries, keys_values, settings):
        weights = _weights(settings, block, keys, here, there)
        entropies.append(torch.special.entr(weights.detach()).sum(-1) if settings.measures else None)
        found.append(_thinned(settings, weights, here, there) @ values)
    return _together(found), _all_of(entropies)


def _weights(settings: _Settings, queries: Tensor, keys: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """The softmax of one block (batch, heads, queries, keys)."""
    scores = queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5
    return scores.masked_fill(~visible(here, there, settings.window), -torch.inf).softmax(-1)


def _thinned(settings: _Settings, weights: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """The weights that stay, larger by the share of those that do not."""
    if settings.seed is None:
        return weights
    rows = torch.arange(weights.shape[0] * settings.heads, device=weights.device)
    stay = kept(settings.seed, rows, here, there, settings.dropout).view(weights.shape)
    return weights * stay / (1 - settings.dropout)


def _all_of(entropies: list[Tensor | None]) -> Tensor | None:
    """Entropies of all blocks (batch, heads, length), or `None` where nobody asked for them."""
    asked = [entropy for entropy in entropies if entropy is not None]
    return torch.cat(asked, 2) if asked else None


@full_precision
def _numba(queries: Tensor, keys_values: Tensor, settings: _Settings) -> Found:
    """The same in compiled loops."""
    widest = torch.promote_types(queries.dtype, keys_values.dtype)
    queries, keys_values = queries.to(widest), keys_values.to(widest)
    require_cpu("queries", queries)
    try:
        from neurofmx.kernels.cpu.direct import call
        from neurofmx.kernels.cpu.window_attention_op import window_attention_op
    except ImportError as error:
        raise no_numba(error) from error

    heads, window, dropout, seed, measures = settings
    y, marks, spread = call(window_attention_op, queries, keys_values, seed, heads, window, dropout, measures)
    if not measures:
        return y, None
    return y, -marks.detach()[:, :, 1].log() - spread.detach() * math.sqrt(heads / queries.shape[2])


def _cuda(queries: Tensor, keys_values: Tensor, settings: _Settings) -> Found:
    """Torch's own, on a GPU."""
    require_cuda("queries", queries)
    return _library(queries, keys_values, settings)


def _library(queries: Tensor, keys_values: Tensor, settings: _Settings) -> Found:
    """Torch's own attention, block by block; its fastest kernel takes no mask, so none is made that can be spared."""
    found, entropies = [], []
    for block, keys, values, here, there in _blocks(queries, keys_values, settings):
        # as many keys as queries are their own: nothing is carried over, and no block is longer than the window
        triangle = len(here) == len(there)
        mask = None if triangle else visible(here, there, settings.window)
        how = {"dropout_p": settings.dropout, "is_causal": triangle}
        found.append(scaled_dot_product_attention(block, keys, values, attn_mask=mask, **how))
        seen = _weights(settings, block.detach(), keys.detach(), here, there) if settings.measures else None
        entropies.append(None if seen is None else torch.special.entr(seen).sum(-1))
    return _together(found), _all_of(entropies)


_PATHS: dict[str, Callable[[Tensor, Tensor, _Settings], Found]] = {
    "reference": _reference,
    "numba": _numba,
    "cuda": _cuda,
    "library": _library,
}
