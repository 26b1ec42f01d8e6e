"""The sections of params.yaml that say what a run is made of: what is built, scored, simulated, and by which suites."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from neurofmx.benchmark.settings import BenchmarkOptions
from neurofmx.evaluation.robustness import Robustness

FROZEN = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """A seed counted twice would make an interval too narrow."""
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError("must be different numbers, none below 0")
    return seeds


def _rising(lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths are columns of a table."""
    if list(lengths) != sorted(set(lengths)):
        raise ValueError("must rise from one to the next")
    return lengths


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
    timed: bool = Field(
        default=False,
        description="Whether a network's answers are timed, beside those in float32: what a study of precision needs.",
    )
    text_context: Annotated[float, Field(ge=0, lt=1)] | Literal["carried"] = Field(
        default=0.0,
        description="What a language model has read before a token of the test it is asked about: at least this share "
        "of a window (0: each window stands alone, windows do not overlap), or `carried`: all of the text before, "
        "for which no places may be learnt.",
    )
    text_lengths: Annotated[tuple[Annotated[int, Field(ge=2)], ...], AfterValidator(_rising)] = Field(
        default=(),
        description="Tokens of the windows in which a trained language model reads the test as well, each alone, "
        "shortest first: whether it uses more context than it was trained with.",
    )
    robustness: Robustness = Field(
        default=Robustness(), description="What is done to trained networks to see what they keep."
    )


class Simulate(BaseModel):
    """Which learnt policies move their robot in the simulator, and for how long."""

    model_config = FROZEN

    datasets: tuple[str, ...] = Field(default=(), description="Datasets of `run` of kind mujoco_cloning.")
    episodes: int = Field(default=20, ge=1, description="Episodes that each policy plays.")


class Benchmark(BenchmarkOptions):
    """Which suites are benchmarked by the pipeline, and how."""

    suites: tuple[str, ...] = Field(default=(), description="Suites whose stage `benchmark` is built, such as core_v1.")

    @property
    def asked(self) -> BenchmarkOptions:
        """The settings alone, as a frozen suite holds them."""
        return BenchmarkOptions(**{name: getattr(self, name) for name in BenchmarkOptions.model_fields})


class Item(BaseModel):
    """What a run or a suite takes of a dataset."""

    model_config = FROZEN

    kind: str = Field(description="Who reads it: a key of `neurofmx.datasets.DATASETS`.")
    modality: str = Field(description="Which of the kind's recordings: a key of `neurofmx.preprocessing.PREPROCESS`.")


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
    study: Literal["four_way", "modes", "ablation", "context", "memory", "sweep", "precision"] | None = Field(
        default=None,
        description="What its table and figure are about; null for ratios to the baseline alone. Of context and memory "
        "the figure shows scores by length; a sweep ranks its variants by validation loss; one of precision has bytes "
        "and times of answers in place of what training costs.",
    )
    references: dict[str, float] = Field(
        default={}, description="What decoders of others reach on a dataset of the suite, in its headline metric."
    )


class Block(BaseModel):
    """A dataset's block, not yet read by its kind."""

    model_config = FROZEN

    options: dict[str, Any] | None = Field(description="What is downloaded and asked; see the kind's module.")
    preprocess: dict[str, Any] | None = Field(description="How it is cleaned; see its modality's module.")
    tokenize: dict[str, Any] = Field(description="How it is cut into windows.")
    head: dict[str, Any] = Field(default={}, description="Keys of section `head` with another value for this dataset.")
    train: dict[str, Any] = Field(default={}, description="Keys of section `train` with another value for it.")
