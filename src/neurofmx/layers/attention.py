"""Causal attention from one path to another, with a cache so that streaming equals one pass.

Shapes: B batch, L length of the stretch, T keys (the stretch's and the cached ones before), H heads,
E channels per head. The cache holds keys, and values behind them, of the tokens that later queries can still see,
(B, T, 2 H E).
Symbols: `Q, K, V` queries, keys and values, `d = E`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor, nn

from neurofmx.kernels.dropout import draw_seed
from neurofmx.kernels.path import Path
from neurofmx.kernels.window_attention import Measured, measured_window_attention, window_attention
from neurofmx.tables import pick

AttentionType = Literal["bidirectional", "liquid_to_spike", "spike_to_liquid"]
DIRECTIONS: dict[str, tuple[str, ...]] = {
    "bidirectional": ("liquid_to_spike", "spike_to_liquid"),
    "liquid_to_spike": ("liquid_to_spike",),
    "spike_to_liquid": ("spike_to_liquid",),
}


class CrossAttentionModule(nn.Module):
    """One path looks at another: `x + softmax(Q K^T / sqrt(d)) V W_o`, `Q` from itself, `K, V` from the other.

    A token sees the other path up to its own time and no further. While `measures` is set, which
    `neurofmx.evaluation.attention` does, `last_entropy` holds the mean entropy of the last forward pass.

    Args:
        query_dim: Channels of the path that looks, and of the output.
        context_dim: Channels of the path looked at.
        num_heads: Number of heads; must divide `query_dim`.
        dropout: Share of attention weights dropped in training, 0 to below 1.
        window: Tokens seen, the own one included, 1 or more; `None` for all earlier ones. With a window, cost and
            cache stay linear in the length.
        path: What computes, see `neurofmx.kernels.window_attention`.

    Raises:
        ValueError: If `num_heads` does not divide `query_dim`, or `window` or `dropout` is out of range.

    Source:
        Vaswani et al. (2017), Attention Is All You Need, equation 1; Beltagy et al. (2020), Longformer, section 3.1
        (sliding window).
    """

    def __init__(
        self,
        query_dim: int,
        context_dim: int,
        *,
        num_heads: int,
        dropout: float = 0.0,
        window: int | None = None,
        path: Path = "auto",
    ) -> None:
        super().__init__()
        if num_heads < 1 or query_dim % num_heads:
            raise ValueError(f"num_heads must divide query_dim={query_dim}, got {num_heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, got {dropout}")
        if window is not None and window < 1:
            raise ValueError(f"window must be 1 token or more, got {window}; None means no limit")
        self.heads, self.dropout, self.window = num_heads, dropout, window
        self.path: Path = path
        self.measures, self.last_entropy = False, _no_tensor()
        self.query = nn.Linear(query_dim, query_dim, bias=False)
        self.key_value = nn.Linear(context_dim, 2 * query_dim, bias=False)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, query: Tensor, context: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Adds what the query path finds in the context path.

        Args:
            query: The path that looks (B, L, query_dim).
            context: The path looked at (B, L, context_dim), the same tokens.
            state: Keys and values of the stretches before (B, T, 2 query_dim); `None` at the start.

        Returns:
            The enhanced query path (B, L, query_dim), and the keys and values to hand to the next call.
        """
        cache = self._extend(context, state)
        dropout = self.dropout if self.training else 0.0
        found, entropy = self._find(self.query(query), cache, dropout=dropout, measures=self.measures)
        self.last_entropy = None if entropy is None else entropy.mean()
        return query + self.output(found), self._visible_later(cache)

    @torch.no_grad()
    def entropy(self, query: Tensor, context: Tensor, state: Tensor | None = None) -> Tensor:
        """How spread out the attention is: 0 where every query looks at one token.

        It looks once more; a pass that is yet to come reports the same without, see `neurofmx.evaluation.attention`.

        Args:
            query: The path that looks (B, L, query_dim).
            context: The path looked at (B, L, context_dim).
            state: Keys and values of the stretches before (B, T, 2 query_dim); `None` at the start.

        Returns:
            Shannon entropy of the attention weights in nats, mean over batch, heads and queries; a scalar without
            gradient.
        """
        _, entropy = self._find(self.query(query), self._extend(context, state), dropout=0.0, measures=True)
        assert entropy is not None
        return entropy.mean()

    def _find(self, queries: Tensor, cache: Tensor, *, dropout: float, measures: bool) -> tuple[Tensor, Tensor | None]:
        """What queries (B, L, H E) find in keys and values, and entropies (B, H, L) where they are asked for."""
        found = self._attend(queries, cache, dropout=dropout, measures=measures)
        return found if isinstance(found, Measured) else (found, None)

    def _attend(self, queries: Tensor, cache: Tensor, *, dropout: float, measures: bool) -> Tensor | Measured:
        """The kernel, as far as the window reaches."""
        attend = measured_window_attention if measures else window_attention
        return attend(
            queries,
            cache,
            heads=self.heads,
            window=self.window,
            dropout=dropout,
            seed=draw_seed(queries.device) if dropout else None,
            path=self.path,
        )

    def _extend(self, context: Tensor, state: Tensor | None) -> Tensor:
        """Keys and values of this stretch behind the cached ones."""
        keys_values = self.key_value(context)
        return keys_values if state is None else torch.cat([state, keys_values], 1)

    def _visible_later(self, cache: Tensor) -> Tensor:
        """The part of the cache that the next token's window reaches."""
        return cache if self.window is None else cache[:, max(0, cache.shape[1] - self.window + 1) :]


def _no_tensor() -> Tensor | None:
    """Nothing yet, of a type that may become something."""
    return None


CrossModalState = dict[str, Tensor]


@dataclass(frozen=True)
class CrossModalInfo:
    """What a cross-modal attention reports beside its outputs.

    Args:
        state: Keys and values by direction, to hand to the next call.
        measure: Computes the entropies, when someone asks.
    """

    state: CrossModalState
    measure: Callable[[], dict[str, Tensor]]

    @cached_property
    def entropy(self) -> dict[str, Tensor]:
        """Mean attention entropy in nats by direction: what the pass measured, else computed when first read."""
        return self.measure()


class CrossModalAttention(nn.Module):
    """Lets a liquid and a spiking (or Mamba) path look at each other.

    Both directions read the paths as they came in, so their order does not matter. The names say where information
    flows: in `liquid_to_spike` the spike path looks at the liquid one.

    Args:
        liquid_dim: Channels of the liquid path.
        spike_dim: Channels of the other path.
        num_heads: Number of heads; must divide the channels of every path that looks.
        attention_type: `bidirectional`, or one of the directions.
        dropout: Share of attention weights dropped in training.
        window: Tokens seen, the own one included; `None` for all earlier ones.
        path: What computes, see `neurofmx.kernels.window_attention`.
        one_way: Makes the module of a direction, called as `CrossAttentionModule` is.

    Raises:
        ValueError: If `attention_type` is unknown or `num_heads` does not divide.
    """

    def __init__(
        self,
        liquid_dim: int,
        spike_dim: int,
        num_heads: int = 8,
        attention_type: AttentionType = "bidirectional",
        dropout: float = 0.1,
        *,
        window: int | None = None,
        path: Path = "auto",
        one_way: Callable[..., CrossAttentionModule] = CrossAttentionModule,
    ) -> None:
        super().__init__()
        sizes = {"liquid_to_spike": (spike_dim, liquid_dim), "spike_to_liquid": (liquid_dim, spike_dim)}
        self.directions = nn.ModuleDict(
            {
                name: one_way(*sizes[name], num_heads=num_heads, dropout=dropout, window=window, path=path)
                for name in pick(DIRECTIONS, attention_type, "attention_type")
            }
        )

    def forward(
        self, liquid: Tensor, spike: Tensor, state: CrossModalState | None = None
    ) -> tuple[Tensor, Tensor, CrossModalInfo]:
        """Enhances each path by the other, as far as the attention type goes.

        Args:
            liquid: Liquid path (B, L, liquid_dim).
            spike: Spiking or Mamba path (B, L, spike_dim).
            state: Keys and values by direction of the stretches before; `None` at the start.

        Returns:
            The enhanced liquid path, the enhanced spike path (shapes as they came), and the info: the state to hand
            to the next call and the attention entropies.
        """
        seen = state or {}
        enhanced, caches = {"liquid_to_spike": spike, "spike_to_liquid": liquid}, {}
        for name, attention in self.directions.items():
            paths = _looking(name, liquid, spike)
            enhanced[name], caches[name] = attention(*paths, seen.get(name))
        known = self._measured()
        measure = partial(self.entropies, liquid.detach(), spike.detach(), state) if known is None else lambda: known
        return enhanced["spike_to_liquid"], enhanced["liquid_to_spike"], CrossModalInfo(caches, measure)

    def _measured(self) -> dict[str, Tensor] | None:
        """Entropies that the last pass measured, or `None` where nobody had asked."""
        last = {name: attention.last_entropy for name, attention in self.directions.items()}
        return None if None in last.values() else last  # type: ignore[return-value]

    def entropies(self, liquid: Tensor, spike: Tensor, state: CrossModalState | None = None) -> dict[str, Tensor]:
        """How spread out the attention is in each direction.

        Args:
            liquid: Liquid path (B, L, liquid_dim).
            spike: Spiking or Mamba path (B, L, spike_dim).
            state: Keys and values by direction of the stretches before; `None` at the start.

        Returns:
            Mean entropy in nats by direction.
        """
        seen = state or {}
        measured = {}
        for name, attention in self.directions.items():
            assert isinstance(attention, CrossAttentionModule)
            measured[name] = attention.entropy(*_looking(name, liquid, spike), seen.get(name))
        return measured


def _looking(direction: str, liquid: Tensor, spike: Tensor) -> tuple[Tensor, Tensor]:
    """The path that looks and the path looked at."""
    return (spike, liquid) if direction == "liquid_to_spike" else (liquid, spike)
