"""The hybrid spiking-liquid-Mamba network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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
        self._spike_rates: Tensor | None = None

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
        states: Sequence[BlockState | None] = hidden_states or [None] * len(self.blocks)
        if self.config.recompute_tokens is None or not torch.is_grad_enabled():
            y, carried, self._spike_rates = self._run(x, states)
            return y, carried
        return self._recomputed(x, states, self.config.recompute_tokens)

    def _run(self, x: Tensor, states: Sequence[BlockState | None]) -> tuple[Tensor, tuple[BlockState, ...], Tensor]:
        """Outputs, hidden states and spike rates (num_layers,) of a stretch."""
        tokens, carried, rates = self.input_projection(x), [], []
        for block, state in zip(self.blocks, states, strict=True):
            tokens, state, rate = block(tokens, state)
            carried.append(state)
            rates.append(rate)
        return self.output_projection(self.norm(tokens)), tuple(carried), torch.stack(rates)

    def _recomputed(
        self, x: Tensor, states: Sequence[BlockState | None], tokens: int
    ) -> tuple[Tensor, tuple[BlockState, ...]]:
        """The same in pieces of so many tokens, of which the backward makes all but inputs and states anew."""
        outputs: list[Tensor] = []
        spikes = torch.zeros(len(self.blocks), device=x.device)
        for piece in x.split(tokens, 1):
            y, states, rates = checkpoint(self._run, piece, states, use_reentrant=False)
            outputs.append(y)
            spikes = spikes + rates * piece.shape[1]
        self._spike_rates = spikes / x.shape[1]
        return torch.cat(outputs, 1), tuple(state for state in states if state is not None)

    @property
    def spike_rates(self) -> Tensor:
        """Mean spikes per neuron and step of the last forward pass, block by block (num_layers,), without gradient.

        Raises:
            AttributeError: If the network was built without spikes.
            RuntimeError: If nothing has passed the network yet.
        """
        if not self.config.use_spikes:
            raise AttributeError("spike_rates: a network with use_spikes=False has no neurons that spike")
        if self._spike_rates is None:
            raise RuntimeError("spike_rate is known after the first forward pass: call the model on data before")
        return self._spike_rates

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
