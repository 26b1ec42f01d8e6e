"""How a network is trained. Section `train` of params.yaml."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TRAINING: dict[str, Any] = {"group": "training"}
REGULARISATION: dict[str, Any] = {"group": "regularisation"}
COMPUTATION: dict[str, Any] = {"group": "computation"}


class TrainOptions(BaseModel):
    """Settings of the training loop, the same for every network that is compared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(
        default=1e-4, gt=0, description="Highest learning rate of AdamW.", json_schema_extra=TRAINING
    )
    schedule: Literal["cosine", "constant", "linear", "inverse_sqrt", "one_cycle", "stable_decay"] = Field(
        default="cosine",
        description="How the rate falls after the warm-up; see `neurofmx.training.schedule`.",
        json_schema_extra=TRAINING,
    )
    warmup_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="Share of all steps with a rising rate.", json_schema_extra=TRAINING
    )
    batch_size: int = Field(default=32, ge=1, description="Windows a batch holds.", json_schema_extra=TRAINING)
    gradient_accumulation: int = Field(
        default=1, ge=1, description="Batches whose gradients are added up for a step.", json_schema_extra=TRAINING
    )
    num_epochs: int = Field(
        default=15, ge=1, description="Passes over the training windows, at most.", json_schema_extra=TRAINING
    )
    min_batches: int = Field(
        default=1,
        ge=1,
        description="Least batches of an epoch; a small dataset is passed over several times.",
        json_schema_extra=TRAINING,
    )
    max_batches: int | None = Field(
        default=None,
        ge=1,
        description="Most batches of an epoch. Of a larger dataset each epoch reads windows drawn anew, and validation "
        "an even share as large; null for all.",
        json_schema_extra=TRAINING,
    )
    patience: int = Field(
        default=5,
        ge=1,
        description="Epochs without a better validation loss before training stops.",
        json_schema_extra=TRAINING,
    )
    curriculum: Literal["none", "length", "noise"] = Field(
        default="none",
        description="What is easy at first: `length` starts with the beginnings of windows (a still image is always "
        "whole), `noise` with a part of `input_noise` and `input_dropout` (a text has neither).",
        json_schema_extra=TRAINING,
    )
    curriculum_start: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Share of the length or noise at first; each stage doubles it.",
        json_schema_extra=TRAINING,
    )
    curriculum_patience: int = Field(
        default=1,
        ge=1,
        description="Epochs without a better validation loss before the next stage; the last one begins half-way "
        "through `num_epochs` at the latest.",
        json_schema_extra=TRAINING,
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none",
        description="Whether rare classes count as much as frequent ones in the training loss of a classification; the "
        "validation loss counts windows.",
        json_schema_extra=TRAINING,
    )
    weight_decay: float = Field(
        default=0.01, ge=0, description="Decoupled weight decay of AdamW.", json_schema_extra=REGULARISATION
    )
    gradient_clip: float | None = Field(
        default=1.0,
        gt=0,
        description="Longest gradient, Euclidean norm over all weights; null for any length.",
        json_schema_extra=REGULARISATION,
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of probability spread over all classes of a classification.",
        json_schema_extra=REGULARISATION,
    )
    input_noise: float = Field(
        default=0.0,
        ge=0,
        description="Standard deviation of noise added to training windows (standardised units).",
        json_schema_extra=REGULARISATION,
    )
    input_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of channels silenced in each training window.",
        json_schema_extra=REGULARISATION,
    )
    mixed_precision: bool = Field(
        default=True, description="bfloat16 products where the processor has them.", json_schema_extra=TRAINING
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where to train; auto prefers CUDA.", json_schema_extra=TRAINING
    )
    use_cache: bool = Field(
        default=True,
        description="Keep all standardised windows in memory; false reads those of a batch from the file, for data "
        "larger than the memory of a training. The weights are the same to the last bit. The linear model and the "
        "scoring read all windows at once, whatever this says.",
        json_schema_extra=TRAINING,
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="CPU threads of one training; part of what fixes its bits.",
        json_schema_extra=COMPUTATION,
    )
    workers: int = Field(
        default=0,
        ge=0,
        description="Trainings at once, each in a process; 0 for as many as there are CPU cores for their `threads`. "
        "Decoders of several modalities are trained one after the other.",
        json_schema_extra=COMPUTATION,
    )
