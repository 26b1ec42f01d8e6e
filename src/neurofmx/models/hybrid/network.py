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
from neurofmx.layers.mixture import MixtureOfExperts
from neurofmx.layers.spike_statistics import spike_statistics
from neurofmx.layers.spiking_neurons import SpikingNeurons
from neurofmx.layers.wired_cfc import WiredCfC
from neurofmx.models.hybrid.block import BlockState, HybridBlock
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.enhanced_block import EnhancedHybridBlock
from neurofmx.models.hybrid.operations import block_operations

_KERNELS = {CfC: "cfc", LTC: "ltc", WiredCfC: "wired_cfc"}  # of the layers whose path depends on no device


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
        block = EnhancedHybridBlock if config.use_cross_modal_attention else HybridBlock
        self.blocks = nn.ModuleList(block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_dim, eps=config.layer_norm_eps)
        self.output_projection = _projection(config.hidden_dim, config.output_dim, spread=config.initializer_range)
        self._tokens = 0
        self._spike_counts: Tensor | None = None
        self._spike_rates: Tensor | None = None
        self._auxiliary: Tensor | None = None

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
            ValueError: If a token has the wrong number of channels, or all weights are of half precision.
        """
        if self.norm.weight.dtype in (torch.float16, torch.bfloat16):
            raise ValueError(
                f"decays and thresholds must stay float32, got {self.norm.weight.dtype}: instead of model.half() use "
                "neurofmx.layers.inference.in_precision(model, 'bfloat16'), or torch.autocast for training"
            )
        require_shape("x", x, batch=None, length=None, channels=self.config.input_dim or self.config.hidden_dim)
        states: Sequence[BlockState | None] = hidden_states or [None] * len(self.blocks)
        if self.config.recompute_tokens is None or not torch.is_grad_enabled():
            y, carried, counts, auxiliary = self._run(x, states)
        else:
            y, carried, counts, auxiliary = self._recomputed(x, states, self.config.recompute_tokens)
        if not torch.compiler.is_exporting():  # what is exported has no place for it
            self._keep(x.shape[1], counts, auxiliary)
        return y, carried

    def _keep(self, tokens: int, counts: Tensor, auxiliary: Tensor | None) -> None:
        """Keeps what is asked about a pass afterwards."""
        self._tokens, self._spike_counts, self._auxiliary = tokens, counts, auxiliary
        steps = tokens * self.config.num_spike_steps
        neurons = max(1, counts.shape[2])  # none without spikes, whose rate is 0
        self._spike_rates = counts.sum(2).mean(1) / (neurons * steps)

    def step(
        self, token: Tensor, hidden_states: Sequence[BlockState] | None = None
    ) -> tuple[Tensor, tuple[BlockState, ...]]:
        """Runs the network over one token of a stream.

        Equal to one pass over all tokens: on a CPU with compiled kernels to the last bit once the network is prepared
        by `exact_rows`, or for `int8`, of `neurofmx.layers.inference`; else up to rounding, as a BLAS library sums one
        row in another order than many. Call it inside `torch.inference_mode()`, which is faster.

        Args:
            token: One token (batch, input_dim), or (batch, hidden_dim) where the config has no input_dim.
            hidden_states: What the call on the previous token, or `forward` on the previous stretch, returned.

        Returns:
            Outputs (batch, output_dim), or (batch, hidden_dim) where the config has no output_dim; and the hidden
            states to hand to the next call.

        Raises:
            ValueError: If a token has the wrong number of channels.
        """
        y, carried = self(token.unsqueeze(1), hidden_states)
        return y.squeeze(1), carried

    def _run(
        self, x: Tensor, states: Sequence[BlockState | None]
    ) -> tuple[Tensor, tuple[BlockState, ...], Tensor, Tensor | None]:
        """Outputs, hidden states, numbers of spikes (num_layers, batch, neurons) and what is added to the loss."""
        tokens, carried, counts = self.input_projection(x), [], []
        for block, state in zip(self.blocks, states, strict=True):
            tokens, state, spikes = block(tokens, state)
            carried.append(state)
            counts.append(spikes)
        return self.output_projection(self.norm(tokens)), tuple(carried), torch.stack(counts), self._imbalance()

    def _imbalance(self) -> Tensor | None:
        """What uneven use of experts costs, mean over the blocks; nothing without experts and outside of training."""
        known = [layer.balance for layer in self._mixtures() if layer.balance is not None]
        return self.config.moe_balance * torch.stack(known).mean() if known else None

    def _recomputed(
        self, x: Tensor, states: Sequence[BlockState | None], tokens: int
    ) -> tuple[Tensor, tuple[BlockState, ...], Tensor, Tensor | None]:
        """The same in pieces of so many tokens, of which the backward makes all but inputs and states anew."""
        outputs: list[Tensor] = []
        counts, auxiliary = torch.zeros((), device=x.device), None
        for piece in x.split(tokens, 1):
            y, states, spikes, extra = checkpoint(self._run, piece, states, use_reentrant=False)
            outputs.append(y)
            counts = counts + spikes
            if extra is not None:
                extra = extra * (piece.shape[1] / x.shape[1])
                auxiliary = extra if auxiliary is None else auxiliary + extra
        return torch.cat(outputs, 1), tuple(state for state in states if state is not None), counts, auxiliary

    @property
    def spike_counts(self) -> Tensor:
        """Spikes of every neuron in the last forward pass, block by block (num_layers, batch, neurons), no gradient.

        Raises:
            RuntimeError: If nothing has passed the network yet.
        """
        if self._spike_counts is None:
            raise RuntimeError("spikes are counted in the forward pass: call the model on data before")
        return self._spike_counts

    @property
    def block_reports(self) -> list[dict[str, float]]:
        """What each block did in the last forward pass, and the energy it would have taken.

        `rate`, `sparsity`, `population_sparsity`, `spikes_per_token` and `synops_per_token` are those of
        `SpikeStatistics`, `nj_per_token_*` those of `Operations.energy`; empty without spikes.

        Raises:
            RuntimeError: If nothing has passed the network yet.
        """
        steps, reports = self.config.num_spike_steps, []
        if not self.config.use_spikes:
            return reports
        for block, counts in zip(self.blocks, self.spike_counts, strict=True):
            assert isinstance(block, HybridBlock)
            operations = block_operations(block, self._tokens)
            found = spike_statistics(counts, tokens=self._tokens, steps=steps, fan_out=operations.fan_out)
            energies = operations.energy(found.synops_per_token)
            reports.append(found._asdict() | {f"nj_per_token_{name}": value for name, value in energies.items()})
        return reports

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

    def _mixtures(self) -> list[MixtureOfExperts]:
        """The experts of all blocks."""
        return [layer for layer in self.modules() if isinstance(layer, MixtureOfExperts)]

    def take_auxiliary_loss(self) -> Tensor | None:
        """Hands over what the last pass in training adds to the loss: the uneven use of experts, pieces by length.

        Returns:
            A scalar with its gradient; `None` without experts, outside of training, and when asked a second time.
        """
        taken, self._auxiliary = self._auxiliary, None
        for layer in self._mixtures():
            layer.balance = None  # so that nothing keeps the graph alive
        return taken

    @property
    def kernels(self) -> str:
        """What computes the recurrences on the device of the weights, so that a score can name it."""
        device, paths = next(self.parameters()).device, dict[str, Path]()
        for layer in self.modules():
            if isinstance(layer, Mamba):
                paths["selective_scan"] = layer.path_on(device)
            elif isinstance(layer, SpikingNeurons):
                paths[layer.kernel] = layer.path_on(device)
            elif isinstance(layer, CfC | LTC | WiredCfC):
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
