"""One hybrid block: spikes in front, the liquid and the Mamba path behind, a residual connection around."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from neurofmx.layers.mamba import MambaState
from neurofmx.layers.spike_encoder import SpikeEncoder
from neurofmx.layers.spike_to_mamba import SpikeToMambaAdapter
from neurofmx.models.configs import HybridConfig
from neurofmx.models.integration import BidirectionalState, PairState, integrate


class BlockState(NamedTuple):
    """What a hybrid block carries from one stretch to the next.

    Args:
        membrane: Membrane potentials of the spiking neurons (batch, spiking_units); None without spikes.
        trace: Trace of their spikes (batch, spiking_units); None without spikes.
        paths: State of the paths behind: of a liquid or a Mamba path alone, or that of the integration mode.
    """

    membrane: Tensor | None
    trace: Tensor | None
    paths: Tensor | MambaState | PairState | BidirectionalState


class HybridBlock(nn.Module):
    """Spikes, liquid dynamics and Mamba in one pre-norm residual block.

    Tokens are normalised, encoded as spikes, read back into tokens, normalised again (the readouts of spikes differ
    in scale by orders of magnitude), and pass the liquid and Mamba paths in the order of the integration mode. Without
    spikes the normalised tokens go to the paths as they are.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_dim, eps=config.layer_norm_eps)
        if config.use_spikes:
            self.encoder = _encoder(config)
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

    def forward(self, x: Tensor, state: BlockState | None = None) -> tuple[Tensor, BlockState, Tensor]:
        """Runs the block over a stretch of tokens.

        Args:
            x: Tokens (batch, length, hidden_dim).
            state: State that the previous stretch ended with; `None` at the start.

        Returns:
            Tokens (batch, length, hidden_dim), the state at their end, and the mean number of spikes per neuron and
            step, a scalar without gradient (0 without spikes).
        """
        membrane, trace, paths = (None, None, None) if state is None else state
        if not self.spikes:
            y, paths = self.integration(self.norm(x), paths)
            return x + self.dropout(y), BlockState(None, None, paths), x.new_zeros(())
        tokens, membrane, trace, counts = self.adapter.read(self.encoder, self.norm(x), membrane, trace)
        rate = counts.mean() / (x.shape[1] * self.encoder.num_spike_steps)
        y, paths = self.integration(self.token_norm(tokens), paths)
        return x + self.dropout(y), BlockState(membrane, trace, paths), rate


def _encoder(config: HybridConfig) -> SpikeEncoder:
    """The spike encoder of the config."""
    return SpikeEncoder(
        config.hidden_dim,
        config.spiking_units,
        num_spike_steps=config.num_spike_steps,
        beta=config.beta,
        threshold=config.spike_threshold,
        reset=config.reset,
        surrogate=config.surrogate,
        slope=config.surrogate_slope,
        path=config.kernels,
    )
