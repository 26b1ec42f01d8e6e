"""How the liquid and the Mamba path meet inside a hybrid block.

All take tokens (batch, length, hidden_dim) and return the same, with the state of every recurrence in them.

The bidirectional order, for tokens `c`:

    l0 = liquid(c)                          first look, with the liquid cell's own time constants
    m0 = Mamba's convolved features of c
    l1, m1 = cross-attention(l0, m0)
    m2 = scan(m1, B + W l1, C + W l1)       the scan, steered by liquid states
    l2 = liquid(P l1, tau(m2))              second look, its time constants steered by Mamba's output
    output = gate(Q l2, m2)

Each path needs the other's states to be steered by, so one of them must run twice. The liquid cell does, because it
is the cheaper one; Mamba's scan and output projection run once. Both modulations then use true states: of `l1`, which
saw the tokens, and of `m2`, the block's final Mamba output, and never of a step that has not been computed yet. Both
looks share the cell's weights and carry a state each. Without exchange both looks stay, the second one with the cell's
own time constants: that is what the exchange is at zero weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurofmx.layers.attention import AttentionType, CrossModalAttention, CrossModalState
from neurofmx.layers.exchange import BidirectionalStateExchange
from neurofmx.layers.gating import AdaptiveGating
from neurofmx.layers.liquid import LiquidCell, liquid_cell
from neurofmx.layers.mamba import Mamba, MambaState
from neurofmx.models.configs import HybridConfig

# the layer is named after its use between liquid and spikes; here Mamba's features stand in the spikes' place
_DIRECTIONS: dict[str, AttentionType] = {
    "bidirectional": "bidirectional",
    "liquid_to_mamba": "liquid_to_spike",
    "mamba_to_liquid": "spike_to_liquid",
}


class PairState(NamedTuple):
    """State of a liquid and a Mamba path side by side or in a row.

    Args:
        liquid: Liquid state (batch, units).
        mamba: State of the Mamba block.
    """

    liquid: Tensor
    mamba: MambaState


class BidirectionalState(NamedTuple):
    """State of the bidirectional integration.

    Args:
        first: Liquid state of the first look (batch, units).
        second: Liquid state of the second look (batch, units).
        mamba: State of the Mamba block.
        attention: Keys and values of the cross-attention; empty without one.
    """

    first: Tensor
    second: Tensor
    mamba: MambaState
    attention: CrossModalState


class MeanOfPaths(nn.Module):
    """Merges paths with equal weights."""

    def forward(self, paths: Sequence[Tensor]) -> Tensor:
        """Averages the paths.

        Args:
            paths: The paths, each (batch, length, dim).

        Returns:
            Their mean (batch, length, dim).
        """
        return torch.stack(tuple(paths)).mean(0)


class LiquidIntegration(nn.Module):
    """The liquid path alone.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = _liquid(config)
        self.readout = nn.Linear(config.liquid_units, config.hidden_dim)

    def forward(self, c: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Runs the liquid cell over tokens (batch, length, hidden_dim); its state is (batch, units)."""
        liquid, after = self.liquid(c, state)
        return self.readout(liquid), after


class MambaIntegration(nn.Module):
    """The Mamba path alone.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.mamba = _mamba(config)

    def forward(self, c: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Runs the Mamba block over tokens (batch, length, hidden_dim)."""
        return self.mamba(c, state)


class SequentialIntegration(nn.Module):
    """First the liquid path, then Mamba on what it made.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = _liquid(config)
        self.between = nn.Linear(config.liquid_units, config.hidden_dim)
        self.mamba = _mamba(config)

    def forward(self, c: Tensor, state: PairState | None = None) -> tuple[Tensor, PairState]:
        """Runs both paths in a row over tokens (batch, length, hidden_dim)."""
        before_liquid, before_mamba = (None, None) if state is None else state
        liquid, after_liquid = self.liquid(c, before_liquid)
        y, after_mamba = self.mamba(self.between(liquid), before_mamba)
        return y, PairState(after_liquid, after_mamba)


class ParallelIntegration(nn.Module):
    """Both paths on the same tokens, merged by the gate.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = _liquid(config)
        self.readout = nn.Linear(config.liquid_units, config.hidden_dim)
        self.mamba = _mamba(config)
        self.merge = _merger(config)

    def forward(self, c: Tensor, state: PairState | None = None) -> tuple[Tensor, PairState]:
        """Runs both paths side by side over tokens (batch, length, hidden_dim)."""
        before_liquid, before_mamba = (None, None) if state is None else state
        liquid, after_liquid = self.liquid(c, before_liquid)
        mamba, after_mamba = self.mamba(c, before_mamba)
        return self.merge([self.readout(liquid), mamba]), PairState(after_liquid, after_mamba)


class BidirectionalIntegration(nn.Module):
    """Both paths look at each other and steer each other's dynamics; the module's docstring has the order.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = _liquid(config)
        self.again = nn.Linear(config.liquid_units, config.hidden_dim)
        self.readout = nn.Linear(config.liquid_units, config.hidden_dim)
        self.mamba = _mamba(config)
        self.attention = _attention(config) if config.attends else None
        self.exchange = _exchange(config) if config.use_state_exchange else None
        self.merge = _merger(config)

    def forward(self, c: Tensor, state: BidirectionalState | None = None) -> tuple[Tensor, BidirectionalState]:
        """Runs both paths over tokens (batch, length, hidden_dim)."""
        first, second, (conv, scan), seen = state or (None, None, (None, None), None)
        liquid, first = self.liquid(c, first)
        features, gate, conv = self.mamba.features(c, conv)
        liquid, features, seen = self._look(liquid, features, seen)
        selection, exchange = self.mamba.select(features), self.exchange
        if exchange is not None:
            selection = exchange.modulate_mamba(liquid, selection)
        mamba, scan = self.mamba.scan(features, gate, selection, scan)
        tau = None if exchange is None else exchange.modulate_liquid(mamba)
        liquid, second = self.liquid(self.again(liquid), second, tau=tau)
        merged = self.merge([self.readout(liquid), mamba])
        return merged, BidirectionalState(first, second, MambaState(conv, scan), seen)

    def _look(
        self, liquid: Tensor, features: Tensor, seen: CrossModalState | None
    ) -> tuple[Tensor, Tensor, CrossModalState]:
        """The paths after cross-attention, or as they are where the config switched it off."""
        if self.attention is None:
            return liquid, features, {}
        liquid, features, info = self.attention(liquid, features, seen)
        return liquid, features, info.state


def _liquid(config: HybridConfig) -> LiquidCell:
    """The liquid cell of the config."""
    return liquid_cell(
        config.liquid_backbone,
        config.hidden_dim,
        config.liquid_units,
        backbone_units=config.backbone_units,
        path=config.kernels,
    )


def _mamba(config: HybridConfig) -> Mamba:
    """The Mamba block of the config."""
    return Mamba(
        config.hidden_dim,
        d_state=config.mamba_d_state,
        d_conv=config.mamba_d_conv,
        expand=config.mamba_expand,
        path=config.kernels,
    )


def _attention(config: HybridConfig) -> CrossModalAttention:
    """The cross-attention of the config, between liquid states and Mamba's features."""
    return CrossModalAttention(
        config.liquid_units,
        config.mamba_expand * config.hidden_dim,
        config.cross_attn_heads,
        _DIRECTIONS[config.attention_type],
        dropout=config.attention_dropout,
        window=config.cross_attn_window,
        path=config.kernels,
    )


def _exchange(config: HybridConfig) -> BidirectionalStateExchange:
    """The state exchange of the config."""
    return BidirectionalStateExchange(config.liquid_units, config.hidden_dim, config.mamba_d_state)


def _merger(config: HybridConfig) -> nn.Module:
    """What makes one path of two."""
    if not config.use_adaptive_gating:
        return MeanOfPaths()
    return AdaptiveGating(config.hidden_dim, num_gate_heads=config.num_gate_heads, temperature=config.gate_temperature)


INTEGRATIONS: dict[str, type[nn.Module]] = {
    "sequential": SequentialIntegration,
    "parallel": ParallelIntegration,
    "bidirectional": BidirectionalIntegration,
}


def integrate(config: HybridConfig) -> nn.Module:
    """Builds the integration that the config asks for.

    Args:
        config: The network's settings.

    Returns:
        A module with `y, state = integration(tokens, state)`.
    """
    if not config.use_mamba:
        return LiquidIntegration(config)
    if not config.use_liquid:
        return MambaIntegration(config)
    return INTEGRATIONS[config.integration_mode](config)
