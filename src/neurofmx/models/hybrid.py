"""The hybrid spiking-liquid-Mamba network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neurofmx.kernels.path import Path, computed_by
from neurofmx.kernels.shapes import require_shape
from neurofmx.layers.cfc import CfC
from neurofmx.layers.ltc import LTC
from neurofmx.layers.mamba import Mamba
from neurofmx.layers.spike_encoder import SpikeEncoder
from neurofmx.models.configs import HybridConfig
from neurofmx.models.hybrid_block import BlockState, HybridBlock

_KERNELS = {SpikeEncoder: "lif_readout", CfC: "cfc", LTC: "ltc"}  # of the layers whose path depends on no device


class MambaLiquidSpikingNetwork(nn.Module):
    """Maps token sequences to token sequences with spiking, liquid and state-space dynamics.

    Causal: an output depends on its token and earlier ones. With the hidden states carried over, chunks of a
    recording give what the whole recording gives in one pass.

    Args:
        config: The network's settings.

    Example:
        >>> config = HybridConfig(input_dim=3, output_dim=2, hidden_dim=16, liquid_units=8, num_layers=1)
        >>> model = MambaLiquidSpikingNetwork(config).eval()
        >>> x = torch.randn(1, 6, 3)
        >>> whole, _ = model(x)
        >>> start, state = model(x[:, :4])
        >>> end, state = model(x[:, 4:], state)
        >>> torch.allclose(torch.cat([start, end], 1), whole, atol=1e-5)
        True
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__()
        self.config = config
        self.input_projection = _projection(config.input_dim, config.hidden_dim, spread=config.initializer_range)
        self.blocks = nn.ModuleList(HybridBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_dim, eps=config.layer_norm_eps)
        self.output_projection = _projection(config.hidden_dim, config.output_dim, spread=config.initializer_range)

    def forward(
        self, x: Tensor, hidden_states: Sequence[BlockState] | None = None
    ) -> tuple[Tensor, tuple[BlockState, ...]]:
        """Runs the network over a stretch of tokens.

        Args:
            x: Tokens (batch, length, input_dim), or (batch, length, hidden_dim) where the config has no input_dim.
            hidden_states: What the call on the previous stretch returned; `None` at the start.

        Returns:
            Outputs (batch, length, output_dim), or (batch, length, hidden_dim) where the config has no output_dim;
            and the hidden states to hand to the next call.

        Raises:
            ValueError: If a token has the wrong number of channels.
        """
        require_shape("x", x, batch=None, length=None, channels=self.config.input_dim or self.config.hidden_dim)
        states = hidden_states or [None] * len(self.blocks)
        tokens, carried = self.input_projection(x), []
        for block, state in zip(self.blocks, states, strict=True):
            tokens, state = block(tokens, state)
            carried.append(state)
        return self.output_projection(self.norm(tokens)), tuple(carried)

    @property
    def spike_rates(self) -> Tensor:
        """Mean spikes per neuron and step of the last forward pass, block by block (num_layers,)."""
        return torch.stack([block.spike_rate for block in self.blocks if isinstance(block, HybridBlock)])

    @property
    def spike_rate(self) -> Tensor:
        """Mean spikes per neuron and step of the last forward pass over all blocks, a scalar without gradient."""
        return self.spike_rates.mean()

    @property
    def kernels(self) -> str:
        """What computes the recurrences on the device of the weights, so that a score can name it."""
        device, paths = next(self.parameters()).device, dict[str, Path]()
        for layer in self.modules():
            if isinstance(layer, Mamba):
                paths["selective_scan"] = layer.path_on(device)
            elif isinstance(layer, SpikeEncoder | CfC | LTC):
                paths[_KERNELS[type(layer)]] = layer.path
        return computed_by(paths, device)


def _projection(inputs: int | None, outputs: int | None, *, spread: float) -> nn.Module:
    """A linear map with small random weights, or the identity where a size is left open."""
    if inputs is None or outputs is None:
        return nn.Identity()
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=spread)
    nn.init.zeros_(linear.bias)
    return linear
