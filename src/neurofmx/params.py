"""params.yaml as frozen sections: what is wrong in it is refused before a stage does any work.

Only the scripts of `pipeline/` read it. Everything else takes plain arguments and works in a notebook without it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML, YAMLError

from neurofmx.datasets import DATASETS
from neurofmx.datasets.base import Dataset
from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tables import pick
from neurofmx.tokenizers.cut import CutOptions
from neurofmx.training.options import TrainOptions

STUDIED = "hybrid"  # the family of section `model`
FROZEN = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


class ParamsError(ValueError):
    """params.yaml holds something it must not; the message names key, value and what is allowed."""


class Download(BaseModel):
    """Where recordings are looked for before their public source."""

    model_config = FROZEN

    mirror: str | None = Field(
        default=None, description="Folder or URL with datasets in their archives' layout; NEUROFMX_MIRROR overrides it."
    )


class Evaluate(BaseModel):
    """How scores are made."""

    model_config = FROZEN

    seeds: tuple[int, ...] = Field(
        default=(42,), min_length=1, description="Each seed trains every fold of every network."
    )
    draws: int = Field(default=2000, ge=100, description="Bootstrap draws.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Probability that an interval aims to cover.")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError("must be different numbers, none below 0")
        return seeds


class Run(BaseModel):
    """What plain `dvc repro` builds."""

    model_config = FROZEN

    datasets: dict[str, str] = Field(min_length=1, description="Datasets and the modality of each.")
    compare: tuple[str, ...] = Field(default=(), description="Models to compare with, keys of `models`.")


class Model(BaseModel):
    """A model with its settings: section `model`, or one of `models`."""

    model_config = FROZEN

    family: str = Field(description="Key of the table of models, and name of the file it stands in.")
    config: BaseModel


class Params(BaseModel):
    """The whole of params.yaml."""

    model_config = FROZEN

    datasets: dict[str, Dataset] = Field(description="Options of each dataset.")
    download: Download = Download()
    preprocess: dict[str, BaseModel] = Field(description="Options of each modality.")
    tokenize: dict[str, CutOptions] = Field(description="Windows of each modality.")
    model: Model = Field(description="The model under study.")
    models: dict[str, Model] = Field(description="The models it is compared with.")
    head: HeadConfig = HeadConfig()
    train: TrainOptions = TrainOptions()
    evaluate: Evaluate = Evaluate()
    run: Run

    @field_validator("datasets", mode="before")
    @classmethod
    def _datasets(cls, section: Any) -> dict[str, Dataset]:
        return {name: pick(DATASETS, name, "dataset")(**(options or {})) for name, options in _mapping(section).items()}

    @field_validator("preprocess", mode="before")
    @classmethod
    def _preprocess(cls, section: Any) -> dict[str, BaseModel]:
        return {
            name: pick(PREPROCESS, name, "modality").options(**(values or {}))
            for name, values in _mapping(section).items()
        }

    @field_validator("tokenize")
    @classmethod
    def _tokenize(cls, section: dict[str, CutOptions]) -> dict[str, CutOptions]:
        for name in section:
            pick(PREPROCESS, name, "modality")
        return section

    @field_validator("model", mode="before")
    @classmethod
    def _model(cls, section: Any) -> Model:
        return _model(STUDIED, _mapping(section))

    @field_validator("models", mode="before")
    @classmethod
    def _models(cls, section: Any) -> dict[str, Model]:
        return {name: _model(name, _mapping(values or {})) for name, values in _mapping(section).items()}

    @model_validator(mode="after")
    def _run_is_known(self) -> Params:
        for name, modality in self.run.datasets.items():
            dataset = pick(self.datasets, name, "dataset in run.datasets")
            if modality != dataset.modality:
                raise ValueError(f"run.datasets.{name}={modality}: its modality is {dataset.modality}")
            for section in ("preprocess", "tokenize"):
                pick(getattr(self, section), modality, f"modality in section {section}")
            self._fits(dataset)
        for name in ("linear", *self.run.compare):
            pick(self.models, name, "model in run.compare")
        if len(set(self.run.compare)) < len(self.run.compare):
            raise ValueError(f"run.compare={list(self.run.compare)}: names a model twice")
        if "linear" in self.run.compare:
            raise ValueError("run.compare: 'linear' is always built as the baseline; leave it out of the list")
        for name in (*self.datasets, *self.models):
            if not re.fullmatch(r"[a-z0-9_]+", name):
                raise ValueError(f"name {name!r}: use a-z, 0-9 and _ only, as DVC joins names with '-' and '@'")
        if STUDIED in self.models:
            raise ValueError(f"models.{STUDIED}: it is the model under study; set it in section `model`")
        return self

    def _fits(self, dataset: Dataset) -> None:
        """Refuse options that cannot go together for a dataset that will be built."""
        reach, gap = getattr(self.preprocess[dataset.modality], "reach", 0.0), dataset.split.gap
        if dataset.split.kind == "blocks" and reach > gap:
            raise ValueError(
                f"preprocess.{dataset.modality}: smoothing reaches {reach:g} s, over the gap of {gap:g} s that split "
                f"{dataset.split.name} of {dataset.name} leaves; lower sigma_ms to {250 * gap:g}"
            )
        self._tokens_divide(dataset.modality)
        features = getattr(self.named("linear").config, "features", "auto")
        if features == "csp" and dataset.task.kind != "classification":
            raise ValueError(
                f"models.linear.features=csp: needs classes, {dataset.name} asks for a {dataset.task.kind}"
            )

    def _tokens_divide(self, modality: str) -> None:
        """Refuse windows that do not hold a whole number of tokens, where the section fixes the rate."""
        window, rate = self.tokenize[modality], getattr(self.preprocess[modality], "rate", None)
        if rate is None:
            return
        samples = round(window.stop * rate) - round(window.start * rate)
        if samples < 1 or samples % window.patch:
            raise ValueError(
                f"tokenize.{modality}.patch={window.patch}: must divide the {samples} samples of a window, which "
                f"start={window.start:g} and stop={window.stop:g} s make at {rate:g} Hz"
            )

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name; raises ValueError with the nearest name if params.yaml has none."""
        return pick(self.datasets, name, "dataset in params.yaml")

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
    try:
        # YAML 1.2, as DVC writes it: a YAML 1.1 reader takes 1e-05 for a string
        tree = YAML(typ="safe").load(path)
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run this in the root of the repository") from error
    except YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from error
    return check_params(tree, source=str(path))


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
    tree = _mapping(tree)
    problems = list(_section_problems(tree))
    if not problems:
        try:
            return Params(**tree)
        except ValidationError as error:
            problems = [_say((), Params, problem) for problem in error.errors()]
    raise ParamsError(f"{source}:\n" + "\n".join(f"  {problem}" for problem in problems))


def _section_problems(tree: Mapping[str, Any]) -> Iterable[str]:
    """Check the sections whose class depends on their key, so that a message can name the full key."""
    for name, values in _mapping(tree.get("datasets")).items():
        if name in DATASETS:
            yield from _check(("datasets", name), DATASETS[name], values)
    for name, values in _mapping(tree.get("preprocess")).items():
        if name in PREPROCESS:
            yield from _check(("preprocess", name), PREPROCESS[name].options, values)
    sections = {("model",): (STUDIED, tree.get("model"))}
    sections |= {("models", str(name)): (str(name), values) for name, values in _mapping(tree.get("models")).items()}
    for key, (family, values) in sections.items():
        if family in MODELS:
            yield from _check(key, MODELS[family].config, _mapping(values))


def _check(key: tuple[str, ...], section: type[BaseModel], values: Any) -> list[str]:
    if not isinstance(values, Mapping | None):
        return [f"{'.'.join(key)}={values}: must hold keys and values"]
    try:
        section(**_mapping(values))
    except ValidationError as error:
        return [_say(key, section, problem) for problem in error.errors()]
    return []


def _say(key: tuple[str, ...], section: type[BaseModel], problem: Any) -> str:
    """One problem as `key=value: what is allowed`."""
    where = ".".join(str(part) for part in (*key, *problem["loc"]) if part != "__root__")
    given = problem["input"]
    shown = "" if isinstance(given, (Mapping, BaseModel)) else f"={given}"
    if problem["type"] == "extra_forbidden":
        owner = _owner(section, problem["loc"][:-1])
        return f"{where}{shown}: unknown key; {_allowed(str(problem['loc'][-1]), owner.model_fields)}"
    if problem["type"] == "literal_error":
        options = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"{where}{shown}: {_allowed(str(given), options)}"
    return f"{where}{shown}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _owner(section: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    """The section class that holds the key at the end of `path`."""
    for part in path:
        field = section.model_fields.get(part)
        kind = field.annotation if field else None
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            section = kind
        elif field is not None:  # a dictionary of sections: its values' class
            inner = [
                arg for arg in getattr(kind, "__args__", ()) if isinstance(arg, type) and issubclass(arg, BaseModel)
            ]
            section = inner[0] if inner else section
    return section


def _allowed(given: str, names: Iterable[str]) -> str:
    names = list(names)
    nearest = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}allowed: {', '.join(names)}"


def _model(family: str, values: Mapping[str, Any]) -> Model:
    return Model(family=family, config=pick(MODELS, family, "model").config(**values))


def _mapping(section: Any) -> Mapping[str, Any]:
    """A section that must be a mapping; an empty one may be left blank in YAML."""
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ParamsError(f"a section of params.yaml must hold keys and values, found {section!r}")
    return section
