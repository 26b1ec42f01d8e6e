"""What the head and the compared networks can be told, with defaults, bounds and the reasons for a refusal.

A config is checked completely before anything is built. Nothing here needs torch, so reading params stays fast.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pool = Literal["last", "mean", "attention"]


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
    tie_embeddings: bool = Field(
        default=False,
        description="Answer the next token with the vectors that tokens are read by, in place of a second set of them.",
        json_schema_extra={"group": "architecture"},
    )


class LstmConfig(BaseModel):
    """Size of the LSTM. Section `models.<name>` of params.yaml with family `lstm`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=64, ge=1, description="Width of tokens and states.")
    num_layers: int = Field(default=2, ge=1, description="Stacked layers.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of features dropped between layers in training.")


class MambaConfig(BaseModel):
    """Size of the plain Mamba stack. Section `models.<name>` of params.yaml with family `mamba`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=64, ge=1, description="Width of tokens and states.")
    num_layers: int = Field(default=2, ge=1, description="Stacked blocks.")
    d_state: int = Field(default=16, ge=1, description="States per inner channel.")
    d_conv: int = Field(default=4, ge=1, description="Width of the causal convolution in tokens.")
    expand: int = Field(default=2, ge=1, description="Inner channels per hidden channel.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of each block's output dropped in training.")
    kernels: Literal["auto", "reference", "library", "numba", "cuda"] = Field(
        default="auto", description="Computation of convolution and scan; library is mamba-ssm on CUDA."
    )


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


def require_divides(key: str, heads: int, size_name: str, size: int) -> None:
    """Raises with the divisors that are allowed."""
    if size % heads:
        allowed = ", ".join(str(number) for number in range(1, min(size, 64) + 1) if size % number == 0)
        raise ValueError(f"{key}={heads} must divide {size_name}={size}; allowed up to 64: {allowed}")
