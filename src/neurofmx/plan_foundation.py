"""What params.yaml says of the multimodal model: pretraining, transfer, several modalities together, known truth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from neurofmx.foundation.options import PretrainOptions
from neurofmx.known_truth.options import KnownTruthOptions
from neurofmx.plan import FROZEN, Item

Start = Literal["scratch", "probe", "finetune"]


class Pretrain(PretrainOptions):
    """What the multimodal model is pretrained on, and how."""

    names: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ...] = Field(
        default=(),
        max_length=1,
        description="What the pretraining is called: its weights are data/checkpoints/pretrained/<name>; [] for none.",
    )
    datasets: dict[str, Item] = Field(
        default={},
        description="Keys of `datasets`, with kind and modality; those of one session are joined by time stamps.",
    )

    @model_validator(mode="after")
    def _named_and_given(self) -> Pretrain:
        if bool(self.names) != bool(self.datasets):
            raise ValueError(
                f"names={list(self.names)}, datasets={list(self.datasets)}: a pretraining needs a name and a "
                "dataset or more; leave both empty for none"
            )
        streams = [self.stream(name) for name in self.datasets]
        if twice := sorted({name for name in streams if streams.count(name) > 1}):
            alike = [name for name, stream in zip(self.datasets, streams, strict=True) if stream == twice[0]]
            raise ValueError(
                f"datasets: {' and '.join(alike)} are both {twice[0]}, one stream of the model; a pretraining takes a "
                f"kind and modality once: let the options of {alike[0]} name the sessions of both, and leave out "
                f"{', '.join(alike[1:])}"
            )
        return self

    def stream(self, dataset: str) -> str:
        """What the model calls the stream of a dataset: `cao2021/spikes`."""
        item = self.datasets[dataset]
        return f"{item.kind}/{item.modality}"


class Transfer(BaseModel):
    """On which datasets the pretrained model is held against one from scratch, and with how much of their data."""

    model_config = FROZEN

    datasets: tuple[str, ...] = Field(default=(), description="Datasets of `run`, of sessions not pretrained on.")
    starts: tuple[Start, ...] = Field(
        default=("scratch", "probe", "finetune"),
        min_length=1,
        description="From scratch; pretrained and frozen but for head and embeddings of the new sessions; or "
        "pretrained, all trained.",
    )
    shares: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        default=(10, 25, 50, 100),
        min_length=1,
        description="Shares of the training and validation windows, %, by whole blocks; a smaller lies in a larger.",
    )

    @field_validator("datasets", "starts", "shares")
    @classmethod
    def _are_distinct(cls, given: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(given)) < len(given):
            raise ValueError(f"{list(given)} names one twice; DVC would make two stages of one name")
        return given


class Multimodal(BaseModel):
    """Which datasets of the same sessions are answered together, beside each alone."""

    model_config = FROZEN

    sets: dict[str, Annotated[tuple[str, ...], Field(min_length=2)]] = Field(
        default={}, description="Name of each set, and its datasets, which `run` names."
    )
    tolerance: float = Field(
        default=0.06, ge=0, description="Greatest distance of two modalities' anchors that are one moment, s."
    )
    drop_modalities: float = Field(
        default=0.2, ge=0, lt=1, description="Probability in training that a row loses a modality, never all of them."
    )


class KnownTruth(KnownTruthOptions):
    """Simulated sessions whose truth is known, and the model pretrained on them."""

    names: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ...] = Field(
        default=(),
        max_length=1,
        description="What the comparison is called: metrics/known_truth/<name>.json, .md and .png; [] for none.",
    )
