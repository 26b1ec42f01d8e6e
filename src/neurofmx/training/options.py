"""How a network is trained. Section `train` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainOptions(BaseModel):
    """Settings of the training loop, the same for every network that is compared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(default=1e-4, gt=0, description="Highest learning rate of AdamW.")
    weight_decay: float = Field(default=0.01, ge=0, description="Decoupled weight decay of AdamW.")
    batch_size: int = Field(default=32, ge=1, description="Windows a step reads.")
    num_epochs: int = Field(default=15, ge=1, description="Passes over the training windows, at most.")
    min_batches: int = Field(
        default=1, ge=1, description="Least batches of an epoch; a small dataset is passed over several times."
    )
    max_batches: int | None = Field(
        default=None,
        ge=1,
        description="Most batches of an epoch. Of a larger dataset each epoch reads windows drawn anew, and validation "
        "an even share as large; null for all.",
    )
    patience: int = Field(default=5, ge=1, description="Epochs without a better validation loss before training stops.")
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1, description="Share of all steps with a rising rate.")
    gradient_clip: float = Field(default=1.0, gt=0, description="Longest gradient, Euclidean norm over all weights.")
    gradient_accumulation: int = Field(default=1, ge=1, description="Batches whose gradients are added up for a step.")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Share of probability spread over all classes.")
    input_noise: float = Field(
        default=0.0, ge=0, description="Standard deviation of noise added to training windows (standardised units)."
    )
    input_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of channels silenced in each training window."
    )
    mixed_precision: bool = Field(default=True, description="bfloat16 products where the processor has them.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where to train; auto prefers CUDA.")
    threads: int = Field(default=1, ge=1, description="CPU threads of one training; part of what fixes its bits.")
    workers: int = Field(default=0, ge=0, description="Trainings at once, each in a process; 0 for one a CPU core.")
