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

Every integration with a liquid path is two halves, `start` with the liquid cell's first look and `finish` with all
behind it, so that a block can let the liquid path look elsewhere in between.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor, nn

from neurofmx.layers.attention import AttentionType, CrossModalState
from neurofmx.layers.mamba import MambaState
from neurofmx.models.hybrid import block_parts as parts
from neurofmx.models.hybrid.config import HybridConfig

# the layer is named after its use between liquid and spikes; here Mamba's features stand in the spikes' place
DIRECTIONS: dict[str, AttentionType] = {
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


class Integration(nn.Module, ABC):
    """How the paths meet: tokens (batch, length, hidden_dim) in, the same out, and the state of every recurrence."""

    @abstractmethod
    def start(self, c: Tensor, state: Any = None) -> tuple[Tensor, Tensor]:
        """Runs the liquid cell over the tokens.

        Args:
            c: Tokens (batch, length, hidden_dim).
            state: State that the previous stretch ended with; `None` at the start.

        Returns:
            Liquid states (batch, length, units), and the last one of the cell.
        """

    @abstractmethod
    def finish(self, c: Tensor, liquid: Tensor, after: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Does all that follows the liquid cell's first look.

        Args:
            c: Tokens (batch, length, hidden_dim).
            liquid: Liquid states (batch, length, units), as `start` made them or as something changed them.
            after: The cell's last state, for the next stretch.
            state: State that the previous stretch ended with; `None` at the start.

        Returns:
            Tokens (batch, length, hidden_dim), and the state at their end.
        """

    def forward(self, c: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Runs both halves over tokens (batch, length, hidden_dim)."""
        return self.finish(c, *self.start(c, state), state)


class LiquidIntegration(Integration):
    """The liquid path alone.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = parts.liquid(config)
        self.readout = nn.Linear(config.liquid_units, config.hidden_dim)

    def start(self, c: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Runs the liquid cell, whose state (batch, units) is all there is."""
        return self.liquid(c, state)

    def finish(self, c: Tensor, liquid: Tensor, after: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reads the liquid states."""
        return self.readout(liquid), after


class MambaIntegration(nn.Module):
    """The Mamba path alone.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.mamba = parts.mamba(config)

    def forward(self, c: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Runs the Mamba block over tokens (batch, length, hidden_dim)."""
        return self.mamba(c, state)


class SequentialIntegration(Integration):
    """First the liquid path, then Mamba on what it made.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = parts.liquid(config)
        self.between = nn.Linear(config.liquid_units, config.hidden_dim)
        self.mamba = parts.mamba(config)

    def start(self, c: Tensor, state: PairState | None = None) -> tuple[Tensor, Tensor]:
        """Runs the liquid cell."""
        return self.liquid(c, None if state is None else state.liquid)

    def finish(
        self, c: Tensor, liquid: Tensor, after: Tensor, state: PairState | None = None
    ) -> tuple[Tensor, PairState]:
        """Runs Mamba on the liquid states; the tokens themselves are not read again."""
        y, mamba = self.mamba(self.between(liquid), None if state is None else state.mamba)
        return y, PairState(after, mamba)


class ParallelIntegration(Integration):
    """Both paths on the same tokens, merged by the gate.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = parts.liquid(config)
        self.readout = nn.Linear(config.liquid_units, config.hidden_dim)
        self.mamba = parts.mamba(config)
        self.merge = parts.merger(config)

    def start(self, c: Tensor, state: PairState | None = None) -> tuple[Tensor, Tensor]:
        """Runs the liquid cell."""
        return self.liquid(c, None if state is None else state.liquid)

    def finish(
        self, c: Tensor, liquid: Tensor, after: Tensor, state: PairState | None = None
    ) -> tuple[Tensor, PairState]:
        """Runs Mamba on the same tokens and merges the paths."""
        y, mamba = self.mamba(c, None if state is None else state.mamba)
        return self.merge([self.readout(liquid), y]), PairState(after, mamba)


class BidirectionalIntegration(Integration):
    """Both paths look at each other and steer each other's dynamics; the module's docstring has the order.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.liquid = parts.liquid(config)
        self.again = nn.Linear(config.liquid_units, config.hidden_dim)
        self.readout = nn.Linear(config.liquid_units, config.hidden_dim)
        self.mamba = parts.mamba(config)
        inner = config.mamba_expand * config.hidden_dim
        self.attention = (
            parts.cross_attention(
                config, inner, heads=config.cross_attn_heads, direction=DIRECTIONS[config.attention_type]
            )
            if config.attends
            else None
        )
        self.exchange = parts.exchange(config) if config.use_state_exchange else None
        self.merge = parts.merger(config)

    def start(self, c: Tensor, state: BidirectionalState | None = None) -> tuple[Tensor, Tensor]:
        """Runs the liquid cell's first look."""
        return self.liquid(c, None if state is None else state.first)

    def finish(
        self, c: Tensor, liquid: Tensor, after: Tensor, state: BidirectionalState | None = None
    ) -> tuple[Tensor, BidirectionalState]:
        """Runs all else in the order of the module's docstring."""
        _, second, (conv, scan), seen = state or (None, None, (None, None), None)
        features, gate, conv = self.mamba.features(c, conv)
        liquid, features, seen = self._look(liquid, features, seen)
        selection, exchange = self.mamba.select(features), self.exchange
        if exchange is not None:
            selection = exchange.modulate_mamba(liquid, selection)
        mamba, scan = self.mamba.scan(features, gate, selection, scan)
        tau = None if exchange is None else exchange.modulate_liquid(mamba)
        liquid, second = self.liquid(self.again(liquid), second, tau=tau)
        merged = self.merge([self.readout(liquid), mamba])
        return merged, BidirectionalState(after, second, MambaState(conv, scan), seen)

    def _look(
        self, liquid: Tensor, features: Tensor, seen: CrossModalState | None
    ) -> tuple[Tensor, Tensor, CrossModalState]:
        """The paths after cross-attention, or as they are where the config switched it off."""
        if self.attention is None:
            return liquid, features, {}
        liquid, features, info = self.attention(liquid, features, seen)
        return liquid, features, info.state


INTEGRATIONS: dict[str, type[Integration]] = {
    "sequential": SequentialIntegration,
    "parallel": ParallelIntegration,
    "bidirectional": BidirectionalIntegration,
}


def integrate(config: HybridConfig) -> Integration | MambaIntegration:
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
