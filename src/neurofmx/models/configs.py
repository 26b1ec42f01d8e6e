"""What a model can be told, with defaults, bounds and the reasons for a refusal.

A config is checked completely before anything is built. Nothing here needs torch, so reading params stays fast.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pool = Literal["last", "mean", "attention"]


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

    liquid_backbone: Literal["cfc", "ltc", "ncp"] = Field(
        "cfc",
        description="Kind of liquid cell: closed form, solved step by step, or that with a sparse wiring.",
        json_schema_extra={"group": "architecture"},
    )
    backbone_units: int = Field(
        128,
        ge=1,
        description="Width of the hidden layer of a cfc; the others have none.",
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
    surrogate: Literal["fast_sigmoid", "atan", "straight_through"] = Field(
        "fast_sigmoid", description="Derivative of a spike used in training.", json_schema_extra={"group": "spiking"}
    )
    surrogate_slope: float = Field(
        25.0, gt=0, description="Sharpness of that derivative.", json_schema_extra={"group": "spiking"}
    )
    reset: Literal["subtract", "zero"] = Field(
        "subtract",
        description="After a spike, subtract the threshold or set the potential to zero.",
        json_schema_extra={"group": "spiking"},
    )

    use_mamba: bool = Field(
        True, description="False leaves the spiking and the liquid path alone.", json_schema_extra={"group": "mamba"}
    )
    integration_mode: Literal["sequential", "parallel", "bidirectional"] = Field(
        "bidirectional", description="How the liquid and the Mamba path meet.", json_schema_extra={"group": "mamba"}
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
    spike_to_mamba_method: Literal["rate", "temporal", "potential"] = Field(
        "temporal", description="How spikes are read back into tokens.", json_schema_extra={"group": "mamba"}
    )
    spike_temporal_tau: float = Field(
        20.0,
        gt=0,
        description="Time constant of the temporal method in spike steps.",
        json_schema_extra={"group": "mamba"},
    )

    use_adaptive_gating: bool = Field(
        True, description="False takes the plain mean of the paths.", json_schema_extra={"group": "mamba"}
    )
    num_gate_heads: int = Field(
        4, ge=1, description="Heads of the gate; must divide hidden_dim.", json_schema_extra={"group": "mamba"}
    )
    gate_temperature: float = Field(
        1.0, gt=0, description="Softness of the gate's choice.", json_schema_extra={"group": "mamba"}
    )
    use_cross_attention: bool = Field(
        True,
        description="Cross-attention between the paths (bidirectional mode).",
        json_schema_extra={"group": "mamba"},
    )
    attention_type: Literal["bidirectional", "liquid_to_mamba", "mamba_to_liquid"] = Field(
        "bidirectional",
        description="Which way cross-attention carries information: both, or one.",
        json_schema_extra={"group": "attention"},
    )
    cross_attn_heads: int = Field(
        8,
        ge=1,
        description="Its heads; must divide liquid_units and mamba_expand * hidden_dim.",
        json_schema_extra={"group": "mamba"},
    )
    cross_attn_window: int | None = Field(
        128, ge=1, description="Tokens it sees; null for all earlier ones.", json_schema_extra={"group": "mamba"}
    )
    attention_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of attention weights dropped in training.",
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
        description="Computation of the recurrences; library is snnTorch, ncps and, on CUDA, mamba-ssm.",
        json_schema_extra={"group": "computation"},
    )

    @property
    def gates(self) -> bool:
        """Whether an adaptive gate merges two paths."""
        return self.use_mamba and self.use_adaptive_gating and self.integration_mode != "sequential"

    @property
    def attends(self) -> bool:
        """Whether the paths look at each other."""
        return self.use_mamba and self.use_cross_attention and self.integration_mode == "bidirectional"

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        """Refuses heads that do not divide the channels they split, and a circuit without room for its layers."""
        if self.liquid_backbone == "ncp" and self.liquid_units < 4:
            raise ValueError(
                f"liquid_units={self.liquid_units} must be 4 or more for liquid_backbone=ncp, whose neurons are motor, "
                "command and inter neurons; ltc and cfc take any number"
            )
        if self.gates:
            _require_divides("num_gate_heads", self.num_gate_heads, "hidden_dim", self.hidden_dim)
        if self.attends:
            inner = self.mamba_expand * self.hidden_dim
            _require_divides("cross_attn_heads", self.cross_attn_heads, "liquid_units", self.liquid_units)
            _require_divides("cross_attn_heads", self.cross_attn_heads, "mamba_expand * hidden_dim", inner)
        return self


def _require_divides(key: str, heads: int, size_name: str, size: int) -> None:
    """Raises with the divisors that are allowed."""
    if size % heads:
        allowed = ", ".join(str(number) for number in range(1, min(size, 64) + 1) if size % number == 0)
        raise ValueError(f"{key}={heads} must divide {size_name}={size}; allowed up to 64: {allowed}")


class LstmConfig(BaseModel):
    """Size of the LSTM. Section `models.<name>` of params.yaml with family `lstm`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=64, ge=1, description="Width of tokens and states.")
    num_layers: int = Field(default=2, ge=1, description="Stacked layers.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of features dropped between layers in training.")


class TransformerConfig(BaseModel):
    """Size of the transformer. Section `models.<name>` of params.yaml with family `transformer`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=64, ge=1, description="Width of tokens and states.")
    num_layers: int = Field(default=2, ge=1, description="Stacked blocks.")
    num_attention_heads: int = Field(default=4, ge=1, description="Attention heads; must divide hidden_dim.")
    feedforward: int = Field(default=2, ge=1, description="Width of the feed-forward layer in units of hidden_dim.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of features dropped in training.")
    attention_dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of attention dropped in training.")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_dim % (2 * self.num_attention_heads):
            raise ValueError(
                f"num_attention_heads={self.num_attention_heads}: must divide hidden_dim={self.hidden_dim} into heads "
                "of even width"
            )
        return self


class HeadConfig(BaseModel):
    """How states become an answer. Section `head` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Pool = Field(
        default="attention",
        description="Answer from the last state, the mean over the window, or a learnt mean.",
        json_schema_extra={"group": "architecture"},
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of pooled features dropped in training.",
        json_schema_extra={"group": "regularisation"},
    )
