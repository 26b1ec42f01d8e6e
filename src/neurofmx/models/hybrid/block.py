"""One hybrid block: spikes in front, the liquid and the Mamba path behind, a residual connection around."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from neurofmx.kernels.lif_neuron import NeuronState
from neurofmx.layers.attention import CrossModalState
from neurofmx.layers.mamba import MambaState
from neurofmx.layers.spike_to_mamba import Encoded, SpikeToMambaAdapter
from neurofmx.models.hybrid import block_parts as parts
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.integration import BidirectionalState, PairState, integrate

PathState = Tensor | MambaState | PairState | BidirectionalState


class BlockState(NamedTuple):
    """What a hybrid block carries from one stretch to the next.

    Args:
        membrane: State of the spiking neurons: potentials (batch, neurons), and what else changes slowly in them; None
            without spikes.
        trace: Trace of their spikes (batch, spiking_units), or of populations neuron by neuron (batch, neurons); None
            without spikes.
        paths: State of the paths behind: of a liquid or a Mamba path alone, or that of the integration mode.
        attention: Keys and values of the attention between liquid path and spikes; empty without one.
    """

    membrane: NeuronState | None
    trace: Tensor | None
    paths: PathState
    attention: CrossModalState


class HybridBlock(nn.Module):
    """Spikes, liquid dynamics and Mamba in one pre-norm residual block.

    Tokens are normalised, encoded as spikes, read back into tokens, normalised again (the readouts of spikes differ
    in scale by orders of magnitude), and pass the liquid and Mamba paths in the order of the integration mode. Without
    spikes the normalised tokens go to the paths as they are. Behind that, where the config has experts, each token
    passes some of them.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_dim, eps=config.layer_norm_eps)
        if config.use_spikes:
            self.encoder = parts.encoder(config)
            self.adapter = SpikeToMambaAdapter(
                config.spiking_units,
                config.hidden_dim,
                method=config.spike_to_mamba_method,
                tau=config.spike_temporal_tau,
            )
            self.token_norm = nn.LayerNorm(config.hidden_dim, eps=config.layer_norm_eps)
        self.spikes = config.use_spikes
        self.integration = integrate(config)
        self.dropout = nn.Dropout(config.dropout)
        self.experts = parts.experts(config) if config.moe_experts else None

    def forward(self, x: Tensor, state: BlockState | None = None) -> tuple[Tensor, BlockState, Tensor]:
        """Runs the block over a stretch of tokens.

        Args:
            x: Tokens (batch, length, hidden_dim).
            state: State that the previous stretch ended with; `None` at the start.

        Returns:
            Tokens (batch, length, hidden_dim), the state at their end, and the number of spikes of every neuron
            (batch, neurons), without gradient; no neurons without spikes.
        """
        membrane, trace, paths, seen = (None, None, None, None) if state is None else state
        if self.spikes:
            encoded = self.adapter.read(self.encoder, self.norm(x), membrane, trace)
            y, paths, seen = self._integrate(encoded, paths, seen)
            membrane, trace, counts = encoded.membrane, encoded.trace, encoded.counts
        else:
            y, paths = self.integration(self.norm(x), paths)
            seen, counts = {}, x.new_zeros((x.shape[0], 0))
        y = x + self.dropout(y)
        y = y if self.experts is None else self.experts(y)
        return y, BlockState(membrane, trace, paths, seen), counts

    def _integrate(
        self, encoded: Encoded, paths: PathState | None, seen: CrossModalState | None
    ) -> tuple[Tensor, PathState, CrossModalState]:
        """The paths behind the spikes, and their state."""
        y, after = self.integration(self.token_norm(encoded.tokens), paths)
        return y, after, {}
