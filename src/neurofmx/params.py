"""params.yaml as frozen sections: what is wrong in it is refused before a stage does any work.

Only the scripts of `pipeline/` read it. Everything else takes plain arguments and works in a notebook without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML, YAMLError

from neurofmx.datasets import DATASETS
from neurofmx.datasets.shared.base import Dataset
from neurofmx.foundation.starts import starts_with
from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.plan import FROZEN, Benchmark, Block, Download, Evaluate, Item, Run, Simulate, Suite
from neurofmx.plan_foundation import KnownTruth, Multimodal, Pretrain, Transfer
from neurofmx.prepared import Prepared, check_beside, check_heads, check_prepared
from neurofmx.preprocessing import PREPROCESS
from neurofmx.sections import ParamsError, build, mapping, problems_of, say, taken_for
from neurofmx.tables import pick
from neurofmx.tokenizers.cutting.cut import CutOptions
from neurofmx.training.options import TrainOptions
from neurofmx.variants import name_problems, variant_problems

PLAYED = "mujoco_cloning"  # the kind whose policies can be scored in the simulator
STUDIED = "hybrid"  # the family of section `model`


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
    benchmark: Benchmark = Benchmark()
    pretrain: Pretrain = Pretrain()
    transfer: Transfer = Transfer()
    multimodal: Multimodal = Multimodal()
    known_truth: KnownTruth = KnownTruth()
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
    def _benchmarks_are_known(self) -> Params:
        for name in self.benchmark.suites:
            pick(self.suites, name, "suite in benchmark.suites")
        return self

    @model_validator(mode="after")
    def _robots_are_built(self) -> Params:
        for name in self.simulate.datasets:
            if self._of_run(name, "simulate.datasets", kind=PLAYED).kind != PLAYED:
                raise ValueError(f"simulate.datasets: {name} is no recording of an expert; its kind must be {PLAYED}")
        return self

    @model_validator(mode="after")
    def _foundation_is_known(self) -> Params:
        """Datasets of pretraining, transfer and joint answers are there and fit together."""
        for name in self.pretrain.names:
            self.pretrain.named(name)
        features = getattr(self.named("linear").config, "features", "auto")
        for name, item in self.pretrain.datasets.items():
            pick(self.datasets, name, "dataset in pretrain.datasets")
            if item.modality == "text":
                raise ValueError(f"pretrain.datasets: {name} is a text, of which nothing can be masked; leave it out")
            check_prepared(name, self.pretraining(name), features=features)
            check_beside(name, self.pretraining(name))
        for start in self.transfer.starts:
            pick(dict.fromkeys(starts_with(self.pretrain.names)), start, "start in transfer.starts")
        for section, named in (
            ("transfer.datasets", self.transfer.datasets),
            *((f"multimodal.sets.{name}", datasets) for name, datasets in self.multimodal.sets.items()),
        ):
            for name in named:
                if self._of_run(name, section).modality == "text":
                    raise ValueError(
                        f"{section}: {name} is a text; these are answered from measurements alone, leave it out"
                    )
        if self.transfer.datasets and not self.pretrain.names:
            raise ValueError(
                f"transfer.datasets={list(self.transfer.datasets)}: needs a pretraining; name it in "
                "pretrain.names and its datasets in pretrain.datasets"
            )
        asked = self.transfer.datasets or self.multimodal.sets or self.pretrain.names or self.known_truth.names
        if asked and "neurofmx" not in self.models:
            raise ValueError(
                "models.neurofmx: pretrain, transfer, multimodal and known_truth read its settings; add the section"
            )
        return self

    @model_validator(mode="after")
    def _tokens_are_wide_enough(self) -> Params:
        """Heads of tokenizers divide the networks of this run; those of a suite are asked when it runs."""
        multimodal = {*self.transfer.datasets, *(name for names in self.multimodal.sets.values() for name in names)}
        for name in self.run.datasets:
            also = ("neurofmx",) if name in multimodal else ()
            check_heads(name, self.dataset(name), self._widths("model", *self.run.compare, *also))
        for name in self.pretrain.datasets:
            check_heads(name, self.pretraining(name), self._widths("neurofmx"))
        return self

    def _widths(self, *names: str) -> dict[str, int]:
        """Channels of a token by key, of those of these models that are networks."""
        found = {}
        for name in names:
            config = self.named(name).config
            width = getattr(getattr(config, "sizes", config), "hidden_dim", None)  # NeuroFMx has it by its size
            if width is not None:
                found["model.hidden_dim" if name == "model" else f"models.{name}.hidden_dim"] = width
        return found

    @model_validator(mode="after")
    def _what_is_beside_is_read(self) -> Params:
        """Datasets that are read as one are there, fit together, and stand nowhere that reads them apart."""
        pairs = self.multimodal.beside
        for name, other in pairs.items():
            for each in (name, other):
                self._of_run(each, "multimodal.beside")
            if other == name or other in pairs:
                why = "is the dataset itself" if other == name else "has something beside it itself"
                raise ValueError(f"multimodal.beside.{name}={other}: {why}; name another one")
            if self.train_of(name).curriculum == "length":
                raise ValueError(
                    f"multimodal.beside.{name}: train.curriculum=length: such windows are read whole; set "
                    f"datasets.{name}.train.curriculum to none or noise"
                )
        for name in self.run.datasets:
            other = pairs.get(name, "")
            check_beside(name, self.dataset(name), other, self.dataset(other) if other else None)
        for section, datasets in (
            ("transfer.datasets", self.transfer.datasets),
            *((f"multimodal.sets.{name}", datasets) for name, datasets in self.multimodal.sets.items()),
        ):
            if both := [name for name in datasets if name in pairs]:
                raise ValueError(
                    f"{section}: {both[0]} is read with {pairs[both[0]]} beside it (multimodal.beside), and each "
                    "dataset is read by itself here; leave it out of one of them"
                )
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
                name,
                self._prepare(name, item),
                features=getattr(self.named("linear").config, "features", "auto"),
                text_lengths=self.evaluate.text_lengths,
                carried=self.evaluate.text_context == "carried",
            )
        for name in ("linear", *run.compare):
            pick(self.models, name, f"model in {section}.compare")
        for name in getattr(run, "references", ()):
            pick(run.datasets, name, f"dataset of {section}.references in {section}.datasets")
        if len(set(run.compare)) < len(run.compare):
            raise ValueError(f"{section}.compare={list(run.compare)}: names a model twice")
        if "linear" in run.compare:
            raise ValueError(f"{section}.compare: 'linear' is always built as the baseline; leave it out of the list")

    def dataset(self, name: str) -> Prepared:
        """A dataset that `run` names, ready to be downloaded, cleaned and cut.

        Raises:
            ValueError: With the nearest name if there is none of that name.
        """
        return self._prepare(name, pick(self.run.datasets, name, "dataset in run.datasets of params.yaml"))

    def _of_run(self, name: str, section: str, *, kind: str | None = None) -> Item:
        """What `run` takes of a dataset that a section names.

        Args:
            name: The dataset.
            section: Who names it, for the message.
            kind: The kind that it must have there; None for any.

        Raises:
            ValueError: If `run` has none of that name, with the nearest one and, where params.yaml has its block, the
                command that adds it.
        """
        try:
            return pick(self.run.datasets, name, f"dataset of {section} in run.datasets")
        except ValueError as error:
            if name not in self.datasets:
                raise
            item = self._usual(name, kind)
            raise ValueError(
                f"{error}; add it to them first: neurofmx config set "
                f"'run.datasets.{name}={{kind: {item.kind}, modality: {item.modality}}}'"
            ) from error

    def _usual(self, name: str, kind: str | None) -> Item:
        """How a dataset that `run` does not name would stand there: as in a suite, else as its name tells."""
        for suite in self.suites.values():
            if name in suite.datasets and kind in (None, suite.datasets[name].kind):
                return suite.datasets[name]
        kind = kind or name
        known = kind in DATASETS
        return Item(kind=kind if known else "KIND", modality=DATASETS[kind].modalities[0] if known else "MODALITY")

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
            problems = [*taken_for((), tree, params), *name_problems(tree)]
            if not problems:
                return params
    raise ParamsError(f"{source}:\n" + "\n".join(f"  {problem}" for problem in problems))


def check_suite(tree: Mapping[str, Any], suite: str, *, source: str = "params") -> None:
    """Check a suite's variants, each as params.yaml would be with its values; arguments as of `check_params`.

    Raises:
        ParamsError: If any of them cannot be run.
        ValueError: If there is no such suite.
    """
    if problems := list(variant_problems(tree, suite, check_params)):
        raise ParamsError(f"{source}:\n" + "\n".join(f"  {problem}" for problem in problems))


def _section_problems(tree: Mapping[str, Any]) -> Iterable[str]:
    """Check the sections whose class depends on their key, so that a message can name the full key."""
    sections = {("model",): (STUDIED, tree.get("model"))}
    models = mapping(tree.get("models"), "models")
    sections |= {("models", str(name)): (str(name), values) for name, values in models.items()}
    for key, (family, values) in sections.items():
        if family in MODELS:
            yield from problems_of(key, MODELS[family].config, mapping(values, ".".join(key)))
    for name, whose in (("input_dim", "tokenizer"), ("output_dim", "head")):
        if (given := mapping(tree.get("model")).get(name)) is not None:
            yield f"model.{name}={given}: a run derives it, as its {whose} has hidden_dim channels there; leave it null"


def _model(family: str, values: Mapping[str, Any]) -> Model:
    return Model(family=family, config=pick(MODELS, family, "model").config(**values))
