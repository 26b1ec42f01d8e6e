"""What the hybrid network can be told: sizes, neurons, paths, and which of them fit together."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from neurofmx.layers.wiring import motor_neurons
from neurofmx.models.configs import require_divides

_ARCHITECTURE: dict[str, JsonValue] = {"group": "architecture"}
_SPIKING: dict[str, JsonValue] = {"group": "spiking"}
_POPULATION: dict[str, JsonValue] = {"group": "population"}


class HybridConfig(BaseModel):
    """Settings of the hybrid spiking-liquid-Mamba network.

    Example:
        >>> HybridConfig(hidden_dim=64, num_layers=2).spiking_units
        128
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input_dim: int | None = Field(
        None,
        ge=1,
        description="Channels of a token; null if tokens have hidden_dim, as those of the pipeline's tokenizers.",
        json_schema_extra={"group": "architecture"},
    )
    output_dim: int | None = Field(
        None,
        ge=1,
        description="Channels of the output; null for the hidden states, which the pipeline's head reads.",
        json_schema_extra={"group": "architecture"},
    )
    num_layers: int = Field(
        6, ge=1, description="Number of hybrid blocks.", json_schema_extra={"group": "architecture"}
    )
    hidden_dim: int = Field(
        512, ge=1, description="Channels of the residual stream.", json_schema_extra={"group": "architecture"}
    )
    liquid_units: int = Field(
        256, ge=1, description="Liquid units per block.", json_schema_extra={"group": "architecture"}
    )
    spiking_units: int = Field(
        128, ge=1, description="Spiking neurons per block.", json_schema_extra={"group": "architecture"}
    )

    use_liquid: bool = Field(
        True,
        description="False leaves the spiking and the Mamba path alone.",
        json_schema_extra={"group": "architecture"},
    )
    liquid_backbone: Literal["cfc", "ltc", "ncp"] = Field(
        "cfc",
        description="Kind of liquid cell: closed form, solved step by step, or one of both (ncp_cell) wired sparsely "
        "as a neural circuit policy.",
        json_schema_extra={"group": "architecture"},
    )
    ncp_cell: Literal["ltc", "cfc"] = Field(
        "ltc",
        description="What liquid_backbone=ncp wires: neurons that are solved step by step, or a closed-form cell for "
        "each layer of the circuit, which has no compiled loops.",
        json_schema_extra=_ARCHITECTURE,
    )
    ncp_sparsity: float = Field(
        0.5,
        ge=0.1,
        le=0.9,
        description="Share of synapses that the wiring of liquid_backbone=ncp leaves out.",
        json_schema_extra=_ARCHITECTURE,
    )
    ncp_motor_share: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Share of its liquid units that are motor neurons; it must leave three others, of which 2 in 5 are "
        "command neurons.",
        json_schema_extra=_ARCHITECTURE,
    )
    ncp_seed: int = Field(
        0,
        ge=0,
        description="Seed of its wiring, which is the same in all blocks, folds and seeds of training.",
        json_schema_extra=_ARCHITECTURE,
    )
    ltc_unfolds: int = Field(
        6,
        ge=1,
        description="Steps of the solver in a token, of ltc and of an ncp of such cells; the error falls as one over "
        "them, and time rises with them.",
        json_schema_extra=_ARCHITECTURE,
    )
    cfc_mode: Literal["default", "pure", "no_gate"] = Field(
        "default",
        description="Form of a cfc, wired or not: gated between two states, the solution of its equation, or added "
        "without a gate. Only the default of a cfc without wiring has compiled loops.",
        json_schema_extra={"group": "architecture"},
    )
    backbone_units: int = Field(
        128,
        ge=1,
        description="Width of the hidden layer of a cfc; the others, and a wired cfc, have none.",
        json_schema_extra={"group": "architecture"},
    )

    use_spikes: bool = Field(
        True,
        description="False lets the normalised tokens pass without spiking neurons.",
        json_schema_extra={"group": "architecture"},
    )
    spike_threshold: float = Field(
        1.0,
        gt=0,
        description="Firing threshold at the start, learnt per neuron.",
        json_schema_extra={"group": "spiking"},
    )
    beta: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="Membrane decay per step at the start, learnt per neuron.",
        json_schema_extra={"group": "spiking"},
    )
    num_spike_steps: int = Field(32, ge=1, description="Spike steps per token.", json_schema_extra={"group": "spiking"})
    surrogate: Literal["fast_sigmoid", "atan", "straight_through", "sigmoid", "triangular", "gaussian"] = Field(
        "fast_sigmoid",
        description="Derivative of a spike used in training; the last three are computed by plain torch, not compiled.",
        json_schema_extra={"group": "spiking"},
    )
    surrogate_slope: float = Field(
        25.0,
        gt=0,
        description="Sharpness of that derivative; 1 or 2 are usual for atan, triangular and gaussian.",
        json_schema_extra={"group": "spiking"},
    )
    learn_beta: bool = Field(
        True, description="Train the decays of potential, synaptic current and adaptation.", json_schema_extra=_SPIKING
    )
    learn_threshold: bool = Field(
        True,
        description="Train the thresholds and their rise. With spike_to_mamba_method=potential and reset=zero no "
        "gradient reaches them.",
        json_schema_extra=_SPIKING,
    )
    synaptic_tau: float | None = Field(
        None,
        gt=0,
        description="Time constant of a synaptic current in spike steps; null for inputs that act at once.",
        json_schema_extra=_SPIKING,
    )
    threshold_adaptation: float = Field(
        0.0,
        ge=0,
        description="Rise of the threshold of a neuron that fires at every step; 0 for thresholds that do not adapt.",
        json_schema_extra=_SPIKING,
    )
    adaptation_tau: float = Field(
        100.0, gt=0, description="Time constant of that rise in spike steps.", json_schema_extra=_SPIKING
    )
    reset: Literal["subtract", "zero"] = Field(
        "subtract",
        description="After a spike, subtract the threshold or set the potential to zero.",
        json_schema_extra={"group": "spiking"},
    )

    use_population_coding: bool = Field(
        False,
        description="Carry every spiking unit by a population of neurons with different thresholds.",
        json_schema_extra=_POPULATION,
    )
    population_size: int = Field(5, ge=1, description="Neurons of a population.", json_schema_extra=_POPULATION)
    threshold_distribution: Literal["uniform", "gaussian", "logarithmic"] = Field(
        "uniform",
        description="How a population's thresholds are spread: equally far apart, dense near the mean, or at equal "
        "ratios.",
        json_schema_extra=_POPULATION,
    )
    threshold_spread: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Half the width of their range, in units of spike_threshold.",
        json_schema_extra=_POPULATION,
    )
    encoding_scheme: Literal["rate", "temporal", "hybrid"] = Field(
        "rate",
        description="What carries the value: how many spikes a token has, how early the first one comes, or both; "
        "spike_to_mamba_method=potential reads no spikes and takes rate alone.",
        json_schema_extra=_POPULATION,
    )

    use_mamba: bool = Field(
        True, description="False leaves the spiking and the liquid path alone.", json_schema_extra={"group": "mamba"}
    )
    integration_mode: Literal["sequential", "parallel", "bidirectional"] = Field(
        "bidirectional",
        description="How the liquid and the Mamba path meet: one behind the other, side by side and merged by a gate, "
        "or side by side with exchange and cross-attention between them.",
        json_schema_extra={"group": "mamba"},
    )
    mamba_d_state: int = Field(
        16, ge=1, description="States per channel of the Mamba block.", json_schema_extra={"group": "mamba"}
    )
    mamba_d_conv: int = Field(
        4, ge=1, description="Width of its causal convolution in tokens.", json_schema_extra={"group": "mamba"}
    )
    mamba_expand: int = Field(
        2, ge=1, description="Its inner channels per hidden channel.", json_schema_extra={"group": "mamba"}
    )
    mamba_scales: int = Field(
        1,
        ge=1,
        description="Scans of the Mamba block with step sizes of their own, from fast to slow, merged by a gate.",
        json_schema_extra={"group": "mamba"},
    )
    moe_experts: int = Field(
        0,
        ge=0,
        description="Feed-forward layers behind each block, of which a token passes some; 0 for none, else 2 or more.",
        json_schema_extra={"group": "mamba"},
    )
    moe_top_k: int = Field(
        2, ge=1, description="How many of them a token passes.", json_schema_extra={"group": "mamba"}
    )
    moe_expand: int = Field(
        2, ge=1, description="Their hidden channels per hidden channel.", json_schema_extra={"group": "mamba"}
    )
    moe_balance: float = Field(
        0.01,
        ge=0,
        description="Weight in training of how unevenly they are used.",
        json_schema_extra={"group": "mamba"},
    )
    spike_to_mamba_method: Literal["rate", "temporal", "potential"] = Field(
        "temporal",
        description="How spikes are read back into tokens: the share of a token's steps with one, a mean over all "
        "earlier steps in which recent ones weigh more, or membrane potentials in their place.",
        json_schema_extra={"group": "mamba"},
    )
    spike_temporal_tau: float = Field(
        20.0,
        gt=0,
        description="Time constant of the temporal method in spike steps.",
        json_schema_extra={"group": "mamba"},
    )

    use_state_exchange: bool = Field(
        True,
        description="Liquid and Mamba path steer each other's dynamics, with integration_mode=bidirectional alone: "
        "sequential and parallel have no exchange, ignore true and refuse false.",
        json_schema_extra={"group": "mamba"},
    )
    use_adaptive_gating: bool = Field(
        True,
        description="False takes the plain mean of the paths. In sequential mode there is nothing to merge, and both "
        "values do the same.",
        json_schema_extra={"group": "mamba"},
    )
    num_gate_heads: int = Field(
        4,
        ge=1,
        description="Heads of the gate; must divide hidden_dim. In sequential mode there is no gate.",
        json_schema_extra={"group": "mamba"},
    )
    gate_temperature: float = Field(
        1.0, gt=0, description="Softness of the gate's choice.", json_schema_extra={"group": "mamba"}
    )
    use_cross_attention: bool = Field(
        True,
        description="Cross-attention between the paths, with integration_mode=bidirectional alone: sequential and "
        "parallel have none and ignore this.",
        json_schema_extra={"group": "mamba"},
    )
    attention_type: Literal["bidirectional", "liquid_to_mamba", "mamba_to_liquid"] = Field(
        "bidirectional",
        description="Which way cross-attention carries information: both, or one. Of use_cross_modal_attention the "
        "spikes stand where the names say mamba.",
        json_schema_extra={"group": "attention"},
    )
    cross_attn_heads: int = Field(
        8,
        ge=1,
        description="Its heads; must divide liquid_units and mamba_expand * hidden_dim.",
        json_schema_extra={"group": "mamba"},
    )
    cross_attn_window: int | None = Field(
        128,
        ge=1,
        description="Tokens that cross-attention sees, between the paths as well as to the spikes; null for all "
        "that came before.",
        json_schema_extra={"group": "mamba"},
    )
    attention_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of attention weights dropped in training.",
        json_schema_extra={"group": "attention"},
    )
    use_cross_modal_attention: bool = Field(
        False,
        description="Cross-attention between the liquid path and the spikes, in every mode.",
        json_schema_extra={"group": "attention"},
    )
    num_attention_heads: int = Field(
        8,
        ge=1,
        description="Heads of that attention; where it is used they must divide liquid_units and spiking_units.",
        json_schema_extra={"group": "attention"},
    )
    temporal_attention: bool = Field(
        False,
        description="True lets all cross-attention look at several time scales, merged by learnt weights.",
        json_schema_extra={"group": "attention"},
    )
    temporal_scales: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 4, 16),
        min_length=1,
        description="Those time scales in tokens, each with cross_attn_window keys.",
        json_schema_extra={"group": "attention"},
    )

    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of each block's output dropped in training.",
        json_schema_extra={"group": "regularisation"},
    )
    layer_norm_eps: float = Field(
        1e-5,
        gt=0,
        description="Added to variances in layer normalisation.",
        json_schema_extra={"group": "regularisation"},
    )
    initializer_range: float = Field(
        0.02,
        gt=0,
        description="Standard deviation of the first weights of the input and output projections. In the pipeline the "
        "tokenizer and the head stand there: their first weights are as many times larger than usual as this is than "
        "0.02.",
        json_schema_extra={"group": "regularisation"},
    )
    recompute_tokens: int | None = Field(
        None,
        ge=1,
        description="Train in pieces of so many tokens, of which the backward pass makes all but the ends anew: "
        "slower, with memory for one piece in place of the whole length; null keeps everything.",
        json_schema_extra={"group": "computation"},
    )
    kernels: Literal["auto", "reference", "library", "numba", "cuda"] = Field(
        "auto",
        description="Computation of recurrences, convolutions and attention; library is snnTorch, ncps and, on CUDA, "
        "mamba-ssm.",
        json_schema_extra={"group": "computation"},
    )

    @property
    def gates(self) -> bool:
        """Whether an adaptive gate merges two paths."""
        return self._two_paths and self.use_adaptive_gating and self.integration_mode != "sequential"

    @property
    def attends(self) -> bool:
        """Whether the paths look at each other."""
        return self._two_paths and self.use_cross_attention and self.integration_mode == "bidirectional"

    @property
    def _two_paths(self) -> bool:
        """Whether a liquid and a Mamba path meet."""
        return self.use_mamba and self.use_liquid

    @model_validator(mode="after")
    def _parts_meet(self) -> Self:
        """Refuses a network without a path, and to switch off an exchange that the mode does not have."""
        if not (self.use_mamba or self.use_liquid):
            raise ValueError("use_mamba=False and use_liquid=False leave no path; set one of them to True")
        if not self.use_state_exchange and not (self._two_paths and self.integration_mode == "bidirectional"):
            raise ValueError(
                f"use_state_exchange=False needs two paths that exchange states: integration_mode=bidirectional with "
                f"use_mamba and use_liquid; here are integration_mode={self.integration_mode}, "
                f"use_mamba={self.use_mamba}, use_liquid={self.use_liquid}; leave use_state_exchange out"
            )
        if self.use_population_coding and not self.use_spikes:
            raise ValueError("use_population_coding=True needs spikes, here is use_spikes=False; set one the other way")
        return self

    @property
    def rereads_spikes(self) -> bool:
        """Whether a path reads the spikes after the liquid cell did."""
        return self.use_mamba and self.integration_mode != "sequential"

    @model_validator(mode="after")
    def _spikes_can_look_and_be_seen(self) -> Self:
        """Refuses attention between liquid path and spikes that can't be split into heads or that nothing reads."""
        if len(set(self.temporal_scales)) < len(self.temporal_scales):
            raise ValueError(f"temporal_scales={list(self.temporal_scales)} names a scale twice; name each once")
        if not self.use_cross_modal_attention:
            return self
        if not (self.use_spikes and self.use_liquid):
            raise ValueError(
                "use_cross_modal_attention=True needs spikes and a liquid path; here are "
                f"use_spikes={self.use_spikes} and use_liquid={self.use_liquid}"
            )
        if self.attention_type != "liquid_to_mamba":
            require_divides("num_attention_heads", self.num_attention_heads, "liquid_units", self.liquid_units)
        elif not self.rereads_spikes:
            raise ValueError(
                "attention_type=liquid_to_mamba leaves use_cross_modal_attention without effect where no path reads "
                "the spikes again (integration_mode=sequential, use_mamba=false): choose bidirectional or "
                "mamba_to_liquid"
            )
        if self.rereads_spikes and self.attention_type != "mamba_to_liquid":
            require_divides("num_attention_heads", self.num_attention_heads, "spiking_units", self.spiking_units)
        return self

    @model_validator(mode="after")
    def _experts_suffice(self) -> Self:
        """Refuses a choice among fewer experts than are chosen."""
        if self.moe_experts and self.moe_experts < max(2, self.moe_top_k):
            raise ValueError(
                f"moe_experts={self.moe_experts} must be 0, or 2 or more and at least moe_top_k={self.moe_top_k}"
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        """Refuses heads that do not divide the channels they split, and a circuit without room for its layers."""
        if self.liquid_backbone == "ncp" and self.liquid_units < 4:
            raise ValueError(
                f"liquid_units={self.liquid_units} must be 4 or more for liquid_backbone=ncp, whose neurons are motor, "
                "command and inter neurons; ltc and cfc take any number"
            )
        motor = motor_neurons(self.liquid_units, self.ncp_motor_share)
        if self.liquid_backbone == "ncp" and motor >= self.liquid_units - 2:
            raise ValueError(
                f"ncp_motor_share={self.ncp_motor_share} makes {motor} of liquid_units={self.liquid_units} motor "
                "neurons, and three must be left for command and inter neurons: lower the share or raise liquid_units"
            )
        if self.kernels == "library":
            self._library_has_such_neurons()
        if self.use_population_coding and self.spike_to_mamba_method == "potential" and self.encoding_scheme != "rate":
            raise ValueError(
                f"encoding_scheme={self.encoding_scheme} would do nothing, as spike_to_mamba_method=potential reads no "
                "spikes: use encoding_scheme=rate, or read spikes by rate or temporal"
            )
        if self.gates:
            require_divides("num_gate_heads", self.num_gate_heads, "hidden_dim", self.hidden_dim)
        if self.attends:
            inner = self.mamba_expand * self.hidden_dim
            require_divides("cross_attn_heads", self.cross_attn_heads, "liquid_units", self.liquid_units)
            require_divides("cross_attn_heads", self.cross_attn_heads, "mamba_expand * hidden_dim", inner)
        return self

    def _library_has_such_neurons(self) -> None:
        """Refuses what snnTorch does not compute, or computes otherwise."""
        if self.surrogate in ("triangular", "gaussian"):
            raise ValueError(f"surrogate={self.surrogate} is none of snnTorch's: use kernels=auto or reference")
        if self.threshold_adaptation or (self.synaptic_tau is not None and self.reset == "zero"):
            raise ValueError(
                "kernels=library: snnTorch has no adaptive threshold, and resets synaptic neurons to zero with their "
                "input: use kernels=auto or reference"
            )
