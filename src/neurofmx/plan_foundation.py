"""What params.yaml says of the multimodal model: pretraining, transfer, several modalities together, known truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, PositiveFloat, field_validator, model_validator

from neurofmx.foundation.options import PretrainOptions
from neurofmx.foundation.starts import SCRATCH, Mode
from neurofmx.known_truth.options import KnownTruthOptions
from neurofmx.plan import FROZEN, Item
from neurofmx.sections import build
from neurofmx.tables import pick

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


class Pretraining(PretrainOptions):
    """One pretraining: its options, and what it learns from."""

    datasets: tuple[str, ...] = Field(min_length=1, description="Keys of `pretrain.datasets`.")


class Pretrain(PretrainOptions):
    """What the multimodal model is pretrained on, and how."""

    names: dict[Name, dict[str, Any] | None] = Field(
        default={},
        description="Pretrainings, each with what it has otherwise than this section: `datasets`, a list of those it "
        "learns from (all, where it names none), and any option, such as `losses: {species: 0.1}`. The weights are "
        "data/checkpoints/pretrained/<name>, one for each of `evaluate.seeds`.",
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
        return self

    def named(self, name: str) -> Pretraining:
        """The pretraining of a name: this section with what it has otherwise, in `mask` and `losses` key by key.

        Raises:
            ValueError: With the nearest name if there is none of that name, or if what it has otherwise is wrong.
        """
        other = pick(self.names, name, "pretraining in pretrain.names of params.yaml") or {}
        tree = self.model_dump(exclude={"names", "datasets"}) | {"datasets": tuple(self.datasets)}
        for key, value in other.items():
            inner = tree.get(key)
            tree[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, Mapping) else value
        made = build(("pretrain", "names", name), Pretraining, tree)
        for dataset in made.datasets:
            pick(self.datasets, dataset, f"dataset of pretrain.names.{name} in pretrain.datasets")
        for stream in made.stimuli:
            pick(dict.fromkeys(map(self.stream, self.datasets)), stream, "stream in pretrain.stimuli")
        self._refuse_one_stream_twice(made.datasets)
        return made

    def _refuse_one_stream_twice(self, datasets: tuple[str, ...]) -> None:
        streams = [self.stream(name) for name in datasets]
        if twice := sorted({name for name in streams if streams.count(name) > 1}):
            alike = [name for name, stream in zip(datasets, streams, strict=True) if stream == twice[0]]
            raise ValueError(
                f"pretrain.datasets: {' and '.join(alike)} are both {twice[0]}, one stream of the model; a pretraining "
                f"takes a kind and modality once: let the options of {alike[0]} name the sessions of both, and leave "
                f"out {', '.join(alike[1:])}"
            )

    def stream(self, dataset: str) -> str:
        """What the model calls the stream of a dataset: `cao2021/spikes`."""
        item = self.datasets[dataset]
        return f"{item.kind}/{item.modality}"


class Rates(BaseModel):
    """Learning rates of the ways to begin: what is pretrained may want smaller steps than what is new."""

    model_config = FROZEN

    scratch: PositiveFloat | None = Field(default=None, description="From scratch; null for that of section `train`.")
    probe: PositiveFloat | None = Field(default=None, description="As a probe; null for that of section `train`.")
    finetune: PositiveFloat | None = Field(default=None, description="Fine-tuned; null for that of section `train`.")

    def of(self, mode: Mode, *, otherwise: float) -> float:
        """The rate of a mode; `otherwise` where none is named."""
        named: float | None = getattr(self, mode)
        return otherwise if named is None else named


class Transfer(BaseModel):
    """On which datasets the pretrained models are held against one from scratch, and with how much of their data."""

    model_config = FROZEN

    datasets: tuple[str, ...] = Field(default=(), description="Datasets of `run`, of sessions not pretrained on.")
    starts: tuple[str, ...] = Field(
        default=(SCRATCH,),
        min_length=1,
        description="`scratch`; `probe_<name>`, pretrained and frozen but for head and embeddings of the new sessions; "
        "`finetune_<name>`, pretrained and all trained; each with a name of `pretrain.names`.",
    )
    learning_rate: Rates = Field(default=Rates(), description="Highest learning rate of each way to begin.")
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
    """Which datasets of the same sessions are read as one, and which are answered together, beside each alone."""

    model_config = FROZEN

    sets: dict[str, Annotated[tuple[str, ...], Field(min_length=2)]] = Field(
        default={}, description="Name of each set, and its datasets, which `run` names."
    )
    beside: dict[str, str] = Field(
        default={},
        description="Datasets of `run`, each with another one that was recorded at the same time and is read beside "
        "it, by all models: the film of a posture, the sound of a film. Its tokenizer must be one that reads both.",
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
