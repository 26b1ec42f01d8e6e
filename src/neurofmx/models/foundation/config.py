"""What NeuroFMx can be told: its sizes and the grid of its time steps."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.models.configs import require_divides


class Sizes(NamedTuple):
    """What fixes the number of parameters of NeuroFMx, beside what a dataset brings, and what it is trained with."""

    hidden_dim: int
    num_layers: int
    latents: int
    latent_layers: int
    population_layers: int
    num_attention_heads: int
    feedforward: int
    recompute: bool = False


NEUROFMX_SIZES: dict[str, Sizes] = {
    "tiny": Sizes(64, 2, latents=8, latent_layers=1, population_layers=1, num_attention_heads=4, feedforward=2),
    # four Mamba blocks of width 256 have under 2 M parameters: what is left of 20 M stands in attention over latents
    "small": Sizes(256, 4, latents=16, latent_layers=6, population_layers=6, num_attention_heads=8, feedforward=8),
    "medium": Sizes(512, 8, latents=24, latent_layers=4, population_layers=5, num_attention_heads=8, feedforward=4),
    # what one of 150 M keeps for its backward pass is what fills a device
    "large": Sizes(
        768,
        16,
        latents=32,
        latent_layers=4,
        population_layers=6,
        num_attention_heads=12,
        feedforward=4,
        recompute=True,
    ),
}


class NeurofmxConfig(BaseModel):
    """Size and grid of NeuroFMx. Section `models.<name>` of params.yaml with family `neurofmx`.

    Example:
        >>> NeurofmxConfig(size="small", latents=4).sizes.latents
        4
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: Literal["tiny", "small", "medium", "large"] = Field(
        default="tiny", description="Sizes that the keys below leave null: under 1, about 20, 50 and 150 M parameters."
    )
    hidden_dim: int | None = Field(
        default=None, ge=1, description="Width of tokens, latents and states; null for that of `size`."
    )
    num_layers: int | None = Field(default=None, ge=1, description="Mamba blocks along the steps; null for `size`'s.")
    latents: int | None = Field(default=None, ge=1, description="Latents at each time step; null for `size`'s.")
    latent_layers: int | None = Field(
        default=None, ge=0, description="Blocks of self-attention among the latents of a step; null for `size`'s."
    )
    population_layers: int | None = Field(
        default=None, ge=1, description="Blocks of the population transformer; null for `size`'s."
    )
    num_attention_heads: int | None = Field(
        default=None, ge=1, description="Attention heads; must divide hidden_dim; null for `size`'s."
    )
    feedforward: int | None = Field(
        default=None,
        ge=1,
        description="Width of the feed-forward layers in units of hidden_dim; null for `size`'s.",
    )
    step_s: float | None = Field(
        default=None,
        gt=0,
        description="Time step that the latents lie on, s; null for that of the tokens, of windows with more than 16 "
        "of them a multiple (of a text never).",
    )
    window: int = Field(
        default=1,
        ge=1,
        description="Steps whose tokens a latent sees, its own included; what was before, the Mamba blocks carry.",
    )
    causal: bool = Field(
        default=True, description="False lets latents see the tokens of the whole window, later ones too; no streaming."
    )
    shortest_s: float | None = Field(
        default=None, gt=0, description="Shortest period of the time embedding, s; null for half a step."
    )
    d_state: int = Field(default=16, ge=1, description="States per inner channel of a Mamba block.")
    d_conv: int = Field(default=4, ge=1, description="Width of its causal convolution in steps.")
    expand: int = Field(default=2, ge=1, description="Inner channels of a Mamba block per hidden channel.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of each block's output dropped in training.")
    attention_dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of attention dropped in training.")
    recompute: bool | None = Field(
        default=None,
        description="Activations are made anew in the backward pass: slower, with less memory; null for that "
        "of `size`, true for large.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the products of a pass, also in training; bfloat16 is for GPUs."
    )
    kernels: Literal["auto", "reference", "library", "numba", "cuda"] = Field(
        default="auto", description="Computation of convolution and scan; library is mamba-ssm on CUDA."
    )

    @property
    def sizes(self) -> Sizes:
        """The sizes of `size`, with those that are given in their place."""
        preset = NEUROFMX_SIZES[self.size]
        given = {name: getattr(self, name) for name in Sizes._fields}
        return preset._replace(**{name: value for name, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        sizes = self.sizes
        require_divides("num_attention_heads", sizes.num_attention_heads, "hidden_dim", sizes.hidden_dim)
        return self
