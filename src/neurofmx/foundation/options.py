"""How the multimodal model is pretrained. Section `pretrain` of params.yaml, without its datasets.

Nothing here needs torch, so reading params stays fast.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from neurofmx.tables import pick

# keys of `self_supervision.SELF_SUPERVISION`, which needs torch; a test holds the two together
LOSSES = ("reconstruction", "forecast", "contrast", "temporal", "tri_modal", "species", "sessions", "confusion", "mmd")
# those that say how good states are; what is learnt against another part of the network, such as `species`, does not
JUDGED = ("reconstruction", "forecast", "contrast", "temporal", "tri_modal")
Balance = Literal["species", "datasets", "windows"]
Weight = Annotated[float, Field(ge=0)]


class MaskOptions(BaseModel):
    """What is hidden. Part `mask` of section `pretrain`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    units: float = Field(default=1.0, ge=0, description="Weight of rows in which units or channels are hidden.")
    time: float = Field(default=1.0, ge=0, description="Weight of rows in which stretches of time are hidden.")
    modality: float = Field(
        default=1.0, ge=0, description="Weight of rows in which a modality is hidden; rows of one modality count none."
    )
    share: float = Field(default=0.3, gt=0, lt=1, description="Share of the units, or of the time, that is hidden.")
    span_s: float = Field(default=0.2, gt=0, description="Length of a hidden stretch of time, s.")

    @model_validator(mode="after")
    def _something_is_hidden(self) -> MaskOptions:
        if not self.units + self.time:
            raise ValueError("units=0, time=0: rows with one modality need a plan; set one of them above 0")
        return self


class PretrainOptions(BaseModel):
    """Settings of a pretraining."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fold: int | None = Field(
        default=0,
        ge=0,
        description="Fold of each dataset whose training and validation windows are read; null reads those that fold 0 "
        "tests as well, for a model that is scored on other sessions.",
    )
    tolerance: float = Field(
        default=0.06, ge=0, description="Greatest distance of two modalities' anchors that are one moment, s."
    )
    balance: Balance = Field(
        default="species", description="What counts alike in a step: species, datasets or single windows."
    )
    drop_modalities: float = Field(
        default=0.2, ge=0, lt=1, description="Probability that a row loses a modality, never all of them."
    )
    mask: MaskOptions = Field(default=MaskOptions(), description="What is hidden to be reconstructed.")
    losses: dict[str, Weight] = Field(
        default={"reconstruction": 1.0, "forecast": 0.5, "contrast": 0.1},
        min_length=1,
        description="What the network is asked for, each with its weight (of `fixed`; 0 leaves it out): "
        "keys of `neurofmx.foundation.self_supervision.SELF_SUPERVISION`.",
    )
    spikes: Literal["gaussian", "poisson"] = Field(
        default="gaussian",
        description="Loss of spikes that are reconstructed or forecast: squared error in standardised units, or the "
        "likelihood of their counts under a `poisson` distribution, for bins that hold counts.",
    )
    stimuli: tuple[str, ...] = Field(
        default=(),
        description="Streams that were shown or played, such as `mine/video`, for the loss `tri_modal`; images are.",
    )
    weighting: Literal["fixed", "uncertainty", "gradnorm"] = Field(
        default="fixed", description="How several losses become one; the other two learn the weights."
    )
    gradnorm_alpha: float = Field(
        default=1.5,
        ge=0,
        description="Weighting `gradnorm`: how strongly losses that lag behind are pulled up; 0 only levels gradients.",
    )
    gradnorm_rate: float = Field(
        default=0.025, gt=0, description="Weighting `gradnorm`: learning rate of the weights of the losses."
    )
    ahead_s: tuple[PositiveFloat, ...] = Field(
        default=(0.1, 0.2), min_length=1, description="How far ahead forecasts go, s, shortest first."
    )
    forecast_discount: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Loss `forecast`: how much each entry of `ahead_s` counts beside the one before it.",
    )
    temperature: float = Field(
        default=0.1,
        gt=0.01,
        description="Losses `contrast`, `temporal` and `tri_modal`: what similarities are divided by.",
    )
    temperature_learnt: bool = Field(
        default=False, description="The temperature is learnt with the network, from `temperature` on."
    )
    mmd_bandwidths: tuple[PositiveFloat, ...] = Field(
        default=(1.0,),
        min_length=1,
        description="Loss `mmd`: standard deviations of its Gaussian kernels, in median distances of the states.",
    )
    reversal_gamma: float = Field(
        default=10.0, gt=0, description="How soon the reversed gradients of the domain branches rise to full strength."
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Highest learning rate of AdamW.")
    schedule: Literal["cosine", "constant", "linear", "inverse_sqrt", "one_cycle", "stable_decay"] = Field(
        default="cosine", description="How the rate falls after the warm-up; see `neurofmx.training.schedule`."
    )
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1, description="Share of all steps with a rising rate.")
    batch_size: int = Field(default=64, ge=2, description="Rows of a step, of all datasets together.")
    steps: int = Field(default=50, ge=1, description="Steps of an epoch; after each the state is kept.")
    num_epochs: int = Field(default=20, ge=1, description="Epochs.")
    weight_decay: float = Field(default=0.05, ge=0, description="Decoupled weight decay of AdamW.")
    gradient_clip: float | None = Field(
        default=1.0, gt=0, description="Longest gradient, Euclidean norm over all weights; null for any length."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where to train; auto prefers CUDA.")
    threads: int = Field(default=1, ge=1, description="CPU threads; part of what fixes the bits.")

    @field_validator("losses")
    @classmethod
    def _are_known(cls, losses: dict[str, float]) -> dict[str, float]:
        for name in losses:
            pick(dict.fromkeys(LOSSES), name, "loss of a pretraining")
        if not any(losses.values()):
            raise ValueError("all weights are 0: give one loss a weight above 0")
        asked = {name: weight for name, weight in losses.items() if weight}  # one that learns its weights has no 0
        if not set(asked) & set(JUDGED):
            raise ValueError(
                f"{', '.join(asked)} cannot say which epoch is the best: give {', '.join(JUDGED)}, or one of them, a "
                "weight above 0"
            )
        return asked
