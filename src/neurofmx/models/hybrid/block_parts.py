"""The parts of a hybrid block, each as the config asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurofmx.layers.attention import AttentionType, CrossModalAttention
from neurofmx.layers.exchange import BidirectionalStateExchange
from neurofmx.layers.gating import AdaptiveGating
from neurofmx.layers.liquid import LiquidCell, circuit, liquid_cell
from neurofmx.layers.mamba import Mamba
from neurofmx.layers.mixture import MixtureOfExperts
from neurofmx.layers.multi_scale_mamba import MultiScaleMamba
from neurofmx.layers.population_encoder import PopulationSpikingEncoder
from neurofmx.layers.spike_encoder import AnySpikeEncoder, SpikeEncoder
from neurofmx.layers.temporal_attention import TemporalCrossModalAttention
from neurofmx.layers.wiring import Wiring
from neurofmx.models.hybrid.config import HybridConfig


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


def encoder(config: HybridConfig) -> AnySpikeEncoder:
    """The spike encoder of the config."""
    neurons: dict[str, Any] = {
        "beta": config.beta,
        "threshold": config.spike_threshold,
        "reset": config.reset,
        "surrogate": config.surrogate,
        "slope": config.surrogate_slope,
        "learn_beta": config.learn_beta,
        "learn_threshold": config.learn_threshold,
        "synaptic_tau": config.synaptic_tau,
        "threshold_adaptation": config.threshold_adaptation,
        "adaptation_tau": config.adaptation_tau,
        "path": config.kernels,
    }
    if not config.use_population_coding:
        steps = config.num_spike_steps
        return SpikeEncoder(config.hidden_dim, config.spiking_units, num_spike_steps=steps, **neurons)
    return PopulationSpikingEncoder(
        config.hidden_dim,
        config.spiking_units,
        config.num_spike_steps,
        config.population_size,
        threshold_distribution=config.threshold_distribution,
        threshold_spread=config.threshold_spread,
        encoding_scheme=config.encoding_scheme,
        **neurons,
    )


def wiring(config: HybridConfig) -> Wiring | None:
    """The wiring of the config's liquid cells, the same in every block; `None` where cells have all synapses."""
    if config.liquid_backbone != "ncp":
        return None
    shares = {"motor_share": config.ncp_motor_share, "sparsity": config.ncp_sparsity}
    return circuit(config.hidden_dim, config.liquid_units, seed=config.ncp_seed, **shares)


def liquid(config: HybridConfig) -> LiquidCell:
    """The liquid cell of the config."""
    return liquid_cell(
        config.liquid_backbone,
        config.hidden_dim,
        config.liquid_units,
        backbone_units=config.backbone_units,
        cfc_mode=config.cfc_mode,
        unfolds=config.ltc_unfolds,
        ncp_cell=config.ncp_cell,
        wiring=wiring(config),
        path=config.kernels,
    )


def mamba(config: HybridConfig) -> Mamba:
    """The Mamba block of the config."""
    sizes = {"d_state": config.mamba_d_state, "d_conv": config.mamba_d_conv, "expand": config.mamba_expand}
    if config.mamba_scales > 1:
        return MultiScaleMamba(config.hidden_dim, scales=config.mamba_scales, path=config.kernels, **sizes)
    return Mamba(config.hidden_dim, path=config.kernels, **sizes)


def cross_attention(config: HybridConfig, dim: int, *, heads: int, direction: AttentionType) -> CrossModalAttention:
    """The attention of the config between liquid states and another path.

    Args:
        config: The network's settings.
        dim: Channels of the other path, Mamba's features or spikes.
        heads: Number of heads.
        direction: Which path looks at which.

    Returns:
        The attention, at several time scales where the config asks for it.
    """
    settings = {"dropout": config.attention_dropout, "window": config.cross_attn_window, "path": config.kernels}
    if config.temporal_attention:
        scales = config.temporal_scales
        return TemporalCrossModalAttention(config.liquid_units, dim, heads, direction, scales=scales, **settings)
    return CrossModalAttention(config.liquid_units, dim, heads, direction, **settings)


def exchange(config: HybridConfig) -> BidirectionalStateExchange:
    """The state exchange of the config."""
    return BidirectionalStateExchange(config.liquid_units, config.hidden_dim, config.mamba_d_state)


def merger(config: HybridConfig) -> nn.Module:
    """What makes one path of two."""
    if not config.use_adaptive_gating:
        return MeanOfPaths()
    return AdaptiveGating(config.hidden_dim, num_gate_heads=config.num_gate_heads, temperature=config.gate_temperature)


def experts(config: HybridConfig) -> MixtureOfExperts:
    """The experts of the config."""
    return MixtureOfExperts(
        config.hidden_dim,
        experts=config.moe_experts,
        top_k=config.moe_top_k,
        expand=config.moe_expand,
        dropout=config.dropout,
        eps=config.layer_norm_eps,
    )
