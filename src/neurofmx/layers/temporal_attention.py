"""Causal attention from one path to another at several time scales, with a cache so that streaming equals one pass.

Shapes: B batch, L length of the stretch, T keys (the stretch's and the cached ones before), H heads, E channels per
head, S scales. Symbols: `Q, K, V` as in `neurofmx.layers.attention`, `s` a time scale in tokens, `g` shares that sum to
1 over the scales of a head, `W` window.

    K_s[t] = mean of K[t-s+1..t]      V_s[t] likewise
    y[t] = sum_s g_s softmax_i(Q[t].K_s[t - s i] / sqrt(E)) V_s[t - s i],    i = 0..W-1

At a scale of `s` a query sees means over `s` tokens, `s` tokens apart, so that they follow each other without a gap:
with as many keys it sees `s` times as far, and as much less sharply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, pad

from neurofmx.kernels.path import Path
from neurofmx.kernels.window_attention import Measured
from neurofmx.layers.attention import AttentionType, CrossAttentionModule, CrossModalAttention

SCALES = (1, 4, 16)

Attend = Callable[[Tensor, Tensor], Tensor | Measured]


class TemporalCrossAttention(CrossAttentionModule):
    """One path looks at another at several time scales, which share queries, keys and values.

    Args:
        query_dim: Channels of the path that looks, and of the output.
        context_dim: Channels of the path looked at.
        num_heads: Number of heads; must divide `query_dim`.
        scales: Time scales in tokens, each 1 or more, none twice.
        dropout: Share of attention weights dropped in training, 0 to below 1.
        window: Keys seen at every scale, 1 or more: the reach in tokens is `window` times the scale. `None` for all.
        path: What computes, see `neurofmx.kernels.window_attention`.

    Raises:
        ValueError: If `num_heads` does not divide `query_dim`, or `window` or `scales` is out of range.

    Source:
        Fan et al. (2021), Multiscale Vision Transformers, ICCV, section 3.1 (attention to pooled keys and values);
        Beltagy et al. (2020), Longformer, section 3.1 (dilated sliding window).
    """

    def __init__(
        self,
        query_dim: int,
        context_dim: int,
        *,
        num_heads: int,
        scales: Sequence[int] = SCALES,
        dropout: float = 0.0,
        window: int | None = None,
        path: Path = "auto",
    ) -> None:
        super().__init__(query_dim, context_dim, num_heads=num_heads, dropout=dropout, window=window, path=path)
        if not scales or min(scales) < 1 or len(set(scales)) < len(scales):
            raise ValueError(
                f"scales must be different numbers of tokens, 1 or more, got {tuple(scales)}; try {SCALES}"
            )
        self.scales = tuple(scales)
        self.preference = nn.Parameter(torch.zeros(num_heads, len(self.scales)))
        self.preference.no_weight_decay = True  # type: ignore[attr-defined]  # a preference, not a product

    @property
    def shares(self) -> Tensor:
        """How much each scale counts in each head (H, S); they sum to 1 over the scales and are equal at the start."""
        return self.preference.softmax(1)

    def _find(self, queries: Tensor, cache: Tensor, *, dropout: float, measures: bool) -> tuple[Tensor, Tensor | None]:
        """The scales one by one, and their mean by share."""
        merged, spread = queries.new_zeros(()), None
        for scale, share in zip(self.scales, self.shares.unbind(1), strict=True):
            apart = partial(self._attend, dropout=dropout, measures=measures)
            found, entropy = _in_phases(apart, queries, _pooled(cache, scale), scale)
            merged = merged + found.unflatten(2, (self.heads, -1)) * share[:, None]
            if entropy is not None:
                spread = entropy * share.detach()[:, None] + (0.0 if spread is None else spread)
        return merged.flatten(2), spread

    def _visible_later(self, cache: Tensor) -> Tensor:
        """The part of the cache that later means are made of."""
        if self.window is None:
            return cache
        return cache[:, max(0, cache.shape[1] - self.window * max(self.scales) + 1) :]


class TemporalCrossModalAttention(CrossModalAttention):
    """Lets a liquid and a spiking (or Mamba) path look at each other at several time scales.

    Args:
        liquid_dim: Channels of the liquid path.
        spike_dim: Channels of the other path.
        num_heads: Number of heads; must divide the channels of every path that looks.
        attention_type: `bidirectional`, or one of the directions.
        dropout: Share of attention weights dropped in training.
        scales: Time scales in tokens, each 1 or more, none twice.
        window: Keys seen at every scale; `None` for all earlier ones.
        path: What computes, see `neurofmx.kernels.window_attention`.

    Raises:
        ValueError: If `attention_type` is unknown, `num_heads` does not divide, or `scales` is out of range.
    """

    def __init__(
        self,
        liquid_dim: int,
        spike_dim: int,
        num_heads: int = 8,
        attention_type: AttentionType = "bidirectional",
        dropout: float = 0.1,
        *,
        scales: Sequence[int] = SCALES,
        window: int | None = None,
        path: Path = "auto",
    ) -> None:
        super().__init__(
            liquid_dim,
            spike_dim,
            num_heads,
            attention_type,
            dropout,
            window=window,
            path=path,
            one_way=partial(TemporalCrossAttention, scales=scales),
        )


def _pooled(cache: Tensor, scale: int) -> Tensor:
    """The mean of every token (B, T, channels) and those before it, as many as the scale, or as there are."""
    if scale == 1:
        return cache
    there = torch.arange(1, cache.shape[1] + 1, device=cache.device).clamp(max=scale)
    sums = avg_pool1d(pad(cache.transpose(1, 2), (scale - 1, 0)), scale, stride=1) * scale
    return (sums / there).transpose(1, 2)


def _in_phases(attend: Attend, queries: Tensor, keys_values: Tensor, scale: int) -> tuple[Tensor, Tensor | None]:
    """Attention to every so many keys: tokens that are a multiple of the scale apart are a sequence of their own.

    Tokens without a meaning fill queries and keys up to whole rounds. Those before the first query ask what nobody
    hears, and those behind the last are in no one's past.
    """
    past = keys_values.shape[1] - queries.shape[1]
    before, behind = past % scale, -keys_values.shape[1] % scale
    rounds = _apart(pad(queries, (0, 0, before, behind)), scale), _apart(pad(keys_values, (0, 0, 0, behind)), scale)
    found = attend(*rounds)
    y, entropy = found if isinstance(found, Measured) else (found, None)
    own = slice(before, before + queries.shape[1])
    if entropy is not None:
        entropy = _joined(entropy.transpose(1, 2), scale)[:, own].transpose(1, 2)
    return _joined(y, scale)[:, own], entropy


def _apart(tokens: Tensor, scale: int) -> Tensor:
    """Tokens (B, rounds scale, channels) as sequences of every so many (B scale, rounds, channels)."""
    return tokens if scale == 1 else tokens.unflatten(1, (-1, scale)).transpose(1, 2).flatten(0, 1)


def _joined(tokens: Tensor, scale: int) -> Tensor:
    """The reverse."""
    return tokens if scale == 1 else tokens.unflatten(0, (-1, scale)).transpose(1, 2).flatten(1, 2)
