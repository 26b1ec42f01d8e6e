"""params.yaml as frozen sections: what is wrong in it is refused before a stage does any work.

Only the scripts of `pipeline/` read it. Everything else takes plain arguments and works in a notebook without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML, YAMLError

from neurofmx.datasets import DATASETS
from neurofmx.datasets.base import Dataset
from neurofmx.evaluation.robustness import Robustness
from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.prepared import Prepared, check_prepared
from neurofmx.preprocessing import PREPROCESS
from neurofmx.sections import ParamsError, build, mapping, problems_of, say
from neurofmx.tables import pick
from neurofmx.tokenizers.cut import CutOptions
from neurofmx.training.options import TrainOptions
from neurofmx.training.pretrain_options import PretrainOptions
from neurofmx.variants import variant_problems

PLAYED = "mujoco_cloning"  # the kind whose policies can be scored in the simulator
STUDIED = "hybrid"  # the family of section `model`
Start = Literal["scratch", "probe", "finetune"]
FROZEN = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """A seed counted twice would make an interval too narrow."""
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError("must be different numbers, none below 0")
    return seeds


Seeds = Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_distinct)]


class Download(BaseModel):
    """Where recordings are looked for before their public source."""

    model_config = FROZEN

    mirror: str | None = Field(
        default=None, description="Folder or URL with datasets in their archives' layout; NEUROFMX_MIRROR overrides it."
    )


class Evaluate(BaseModel):
    """How scores are made."""

    model_config = FROZEN

    seeds: Seeds = Field(default=(42,), description="Each seed trains every fold of every network.")
    draws: int = Field(default=2000, ge=100, description="Bootstrap draws.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Probability that an interval aims to cover.")
    precision: Literal["float32", "bfloat16", "float16", "int8"] = Field(
        default="float32", description="Of the matrices of a trained network when it answers; training is not affected."
    )
    text_context: Annotated[float, Field(ge=0, lt=1)] | Literal["carried"] = Field(
        default=0.0,
        description="What a language model has read before a token of the test it is asked about: at least this share "
        "of a window (0: each window stands alone, windows do not overlap), or `carried`: all of the text before.",
    )
    robustness: Robustness = Field(
        default=Robustness(), description="What is done to trained networks to see what they keep."
    )


class Simulate(BaseModel):
    """Which learnt policies move their robot in the simulator, and for how long."""

    model_config = FROZEN

    datasets: tuple[str, ...] = Field(default=(), description="Datasets of `run` of kind mujoco_cloning.")
    episodes: int = Field(default=20, ge=1, description="Episodes that each policy plays.")


class Item(BaseModel):
    """What a run or a suite takes of a dataset."""

    model_config = FROZEN

    kind: str = Field(description="Who reads it: a key of `neurofmx.datasets.DATASETS`.")
    modality: str = Field(description="Which of the kind's recordings: a key of `neurofmx.preprocessing.PREPROCESS`.")


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
            raise ValueError(
                f"datasets: two of them are {', '.join(twice)}; a pretraining takes a kind and modality once: give one "
                "block more sessions"
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


class Run(BaseModel):
    """What plain `dvc repro` builds."""

    model_config = FROZEN

    datasets: dict[str, Item] = Field(min_length=1, description="Keys of `datasets`, with kind and modality.")
    compare: tuple[str, ...] = Field(default=(), description="Models to compare with, keys of `models`.")


class Suite(Run):
    """Datasets, models and seeds under one name, so that two runs with that name are comparable."""

    seeds: Seeds = Field(description="Each seed trains every fold of every network.")
    common: dict[str, Any] = Field(default={}, description="Values for all variants, by dotted keys of params.yaml.")
    variants: dict[str, dict[str, Any] | None] = Field(
        default={}, description="Runs of the suite, the baseline first: each with values by dotted keys."
    )
    study: Literal["four_way", "modes", "ablation"] | None = Field(
        default=None, description="What its table and figure are about; null for ratios to the baseline alone."
    )


class Block(BaseModel):
    """A dataset's block, not yet read by its kind."""

    model_config = FROZEN

    options: dict[str, Any] | None = Field(description="What is downloaded and asked; see the kind's module.")
    preprocess: dict[str, Any] | None = Field(description="How it is cleaned; see its modality's module.")
    tokenize: dict[str, Any] = Field(description="How it is cut into windows.")
    head: dict[str, Any] = Field(default={}, description="Keys of section `head` with another value for this dataset.")
    train: dict[str, Any] = Field(default={}, description="Keys of section `train` with another value for it.")


class Model(BaseModel):
    """A model with its settings: section `model`, or one of `models`."""

    model_config = FROZEN

    family: str = Field(description="Key of the table of models, and name of the file it stands in.")
    config: BaseModel


class Params(BaseModel):
    """The whole of params.yaml."""

    model_config = FROZEN

    datasets: dict[str, Block] = Field(description="Options, cleaning and windows of each dataset.")
    download: Download = Download()
    model: Model = Field(description="The model under study.")
    models: dict[str, Model] = Field(description="The models it is compared with.")
    head: HeadConfig = HeadConfig()
    train: TrainOptions = TrainOptions()
    evaluate: Evaluate = Evaluate()
    simulate: Simulate = Simulate()
    pretrain: Pretrain = Pretrain()
    transfer: Transfer = Transfer()
    multimodal: Multimodal = Multimodal()
    suites: dict[str, Suite] = Field(default={}, description="Named runs over many datasets.")
    run: Run

    @field_validator("model", mode="before")
    @classmethod
    def _model(cls, section: Any) -> Model:
        return _model(STUDIED, mapping(section))

    @field_validator("models", mode="before")
    @classmethod
    def _models(cls, section: Any) -> dict[str, Model]:
        return {name: _model(name, mapping(values or {})) for name, values in mapping(section).items()}

    @model_validator(mode="after")
    def _all_is_known(self) -> Params:
        for name in (*self.datasets, *self.models, *self.suites):
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ValueError(f"name {name!r}: use a-z, 0-9 and _ only, as DVC joins names with '-' and '@'")
        if STUDIED in self.models:
            raise ValueError(f"models.{STUDIED}: it is the model under study; set it in section `model`")
        for name, block in self.datasets.items():
            self._options(name, name, block) if name in DATASETS else None
            self._own_settings_are_known(name)
        for section, run in {
            "run": self.run,
            **{f"suites.{name}": suite for name, suite in self.suites.items()},
        }.items():
            self._run_is_known(section, run)
        return self

    @model_validator(mode="after")
    def _robots_are_built(self) -> Params:
        for name in self.simulate.datasets:
            if pick(self.run.datasets, name, "dataset of simulate.datasets in run.datasets").kind != PLAYED:
                raise ValueError(f"simulate.datasets: {name} is no recording of an expert; its kind must be {PLAYED}")
        return self

    @model_validator(mode="after")
    def _foundation_is_known(self) -> Params:
        """Datasets of pretraining, transfer and joint answers are there and fit together."""
        features = getattr(self.named("linear").config, "features", "auto")
        for name, item in self.pretrain.datasets.items():
            pick(self.datasets, name, "dataset in pretrain.datasets")
            if item.modality == "text":
                raise ValueError(f"pretrain.datasets: {name} is a text, of which nothing can be masked; leave it out")
            check_prepared(name, self.pretraining(name), features=features)
        for section, named in (
            ("transfer.datasets", self.transfer.datasets),
            *((f"multimodal.sets.{name}", datasets) for name, datasets in self.multimodal.sets.items()),
        ):
            for name in named:
                pick(self.run.datasets, name, f"dataset of {section} in run.datasets")
        if self.transfer.datasets and not self.pretrain.names:
            raise ValueError(
                f"transfer.datasets={list(self.transfer.datasets)}: needs a pretraining; name it in "
                "pretrain.names and its datasets in pretrain.datasets"
            )
        if (self.transfer.datasets or self.multimodal.sets or self.pretrain.names) and "neurofmx" not in self.models:
            raise ValueError("models.neurofmx: pretrain, transfer and multimodal read its settings; add the section")
        return self

    def pretraining(self, name: str) -> Prepared:
        """A dataset that `pretrain` names, ready to be downloaded, cleaned and cut.

        Raises:
            ValueError: With the nearest name if there is none of that name.
        """
        return self._prepare(name, pick(self.pretrain.datasets, name, "dataset in pretrain.datasets of params.yaml"))

    def _run_is_known(self, section: str, run: Run) -> None:
        for name, item in run.datasets.items():
            pick(self.datasets, name, f"dataset in {section}.datasets")
            check_prepared(
                name, self._prepare(name, item), features=getattr(self.named("linear").config, "features", "auto")
            )
        for name in ("linear", *run.compare):
            pick(self.models, name, f"model in {section}.compare")
        self._all_can_answer(section, run)
        if len(set(run.compare)) < len(run.compare):
            raise ValueError(f"{section}.compare={list(run.compare)}: names a model twice")
        if "linear" in run.compare:
            raise ValueError(f"{section}.compare: 'linear' is always built as the baseline; leave it out of the list")

    def _all_can_answer(self, section: str, run: Run) -> None:
        """Refuse a model that has nothing to read in a text."""
        texts = [name for name, item in run.datasets.items() if item.modality == "text"]
        for name in run.compare:
            family = MODELS[self.models[name].family]
            if texts and family.classical and not family.text:
                raise ValueError(f"{section}.compare: {name} reads samples, {texts[0]} is a text; leave it out")

    def dataset(self, name: str, *, suite: str | None = None) -> Prepared:
        """A dataset that `run`, or also a suite, names, ready to be downloaded, cleaned and cut.

        Raises:
            ValueError: With the nearest name if there is none of that name.
        """
        where = "run.datasets" if suite is None else f"run.datasets or suites.{suite}.datasets"
        return self._prepare(name, pick(self.items(suite), name, f"dataset in {where} of params.yaml"))

    def items(self, suite: str | None = None) -> dict[str, Item]:
        """What `run` takes of each dataset, and a suite beside it.

        Raises:
            ValueError: With the nearest name if there is no such suite.
        """
        return self.run.datasets | ({} if suite is None else self.suite(suite).datasets)

    def suite(self, name: str) -> Suite:
        """The suite of that name; raises ValueError with the nearest name if there is none."""
        return pick(self.suites, name, "suite in params.yaml")

    def _prepare(self, name: str, item: Item) -> Prepared:
        """Read a block by its kind and modality."""
        block = self.datasets[name]
        if "modality" in pick(DATASETS, item.kind, "kind of dataset").model_fields:  # one format for many
            block = block.model_copy(update={"options": {**(block.options or {}), "modality": item.modality}})
        dataset = self._options(name, item.kind, block)
        if item.modality not in dataset.modalities:
            raise ValueError(f"{name}: modality={item.modality}: kind {item.kind} has {', '.join(dataset.modalities)}")
        key = ("datasets", name)
        cleaning = build((*key, "preprocess"), pick(PREPROCESS, item.modality, "modality").options, block.preprocess)
        return Prepared(dataset, item.modality, cleaning, build((*key, "tokenize"), CutOptions, block.tokenize))

    @staticmethod
    def _options(name: str, kind: str, block: Block) -> Dataset:
        return build(("datasets", name, "options"), pick(DATASETS, kind, "kind of dataset"), block.options)

    def _own_settings_are_known(self, dataset: str) -> None:
        """Refuse what a dataset's block says of head and training before anything is built."""
        self.head_of(dataset)
        self.train_of(dataset)

    def head_of(self, dataset: str) -> HeadConfig:
        """Section `head` with what a dataset's block says otherwise."""
        other = self.datasets[dataset].head
        return build(("datasets", dataset, "head"), HeadConfig, {**self.head.model_dump(), **other})

    def train_of(self, dataset: str) -> TrainOptions:
        """Section `train` with what a dataset's block says otherwise."""
        other = self.datasets[dataset].train
        return build(("datasets", dataset, "train"), TrainOptions, {**self.train.model_dump(), **other})

    def named(self, name: str) -> Model:
        """The model under study (`model`) or a compared one.

        Raises:
            ValueError: If there is none of that name.
        """
        return self.model if name == "model" else pick(self.models, name, "model")


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Args:
        path: The file.

    Returns:
        All sections, frozen.

    Raises:
        ParamsError: Naming each wrong key, its value, what is allowed, and the nearest name where one was mistyped.
    """
    return check_params(read_tree(path), source=str(path))


def read_tree(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """params.yaml as nested mappings, unchecked.

    Raises:
        ParamsError: If there is no such file, or it is no YAML.
    """
    try:
        # YAML 1.2, as DVC writes it: a YAML 1.1 reader takes 1e-05 for a string
        return YAML(typ="safe").load(path)
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run this in the root of the repository") from error
    except YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error


def check_params(tree: Any, *, source: str = "params") -> Params:
    """Check sections that are already read.

    Args:
        tree: Nested mappings as in params.yaml.
        source: Where they come from, for the message.

    Returns:
        All sections, frozen.

    Raises:
        ParamsError: If anything is wrong.
    """
    tree = mapping(tree)
    problems = list(_section_problems(tree))
    if not problems:
        try:
            params = Params(**tree)
        except ValidationError as error:
            problems = [say((), Params, problem) for problem in error.errors()]
        else:
            problems = list(variant_problems(tree, check_params))
            if not problems:
                return params
    raise ParamsError(f"{source}:\n" + "\n".join(f"  {problem}" for problem in problems))


def _section_problems(tree: Mapping[str, Any]) -> Iterable[str]:
    """Check the sections whose class depends on their key, so that a message can name the full key."""
    sections = {("model",): (STUDIED, tree.get("model"))}
    sections |= {("models", str(name)): (str(name), values) for name, values in mapping(tree.get("models")).items()}
    for key, (family, values) in sections.items():
        if family in MODELS:
            yield from problems_of(key, MODELS[family].config, mapping(values))
    for name, whose in (("input_dim", "tokenizer"), ("output_dim", "head")):
        if (given := mapping(tree.get("model")).get(name)) is not None:
            yield f"model.{name}={given}: a run derives it, as its {whose} has hidden_dim channels there; leave it null"


def _model(family: str, values: Mapping[str, Any]) -> Model:
    return Model(family=family, config=pick(MODELS, family, "model").config(**values))
