"""A suite under a name: datasets, their windows, splits and seeds, written down once, so that scores stay comparable.

What is frozen are hashes of what a score depends on: the samples, the answers, the split, of the file as a whole, and
the settings of the benchmark. A run is held against them, and whatever differs is said in all that it writes. It is
never refused: a suite with other windows is a result too, of another suite.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurofmx.atomic import atomic
from neurofmx.benchmark.protocol import NO_SEED
from neurofmx.benchmark.settings import BenchmarkOptions
from neurofmx.tables import pick
from neurofmx.tokenizers.cutting.windows import Windows, load_windows

FROZEN = ConfigDict(frozen=True, extra="forbid")
SUITES = "suites"  # folder of the frozen files, beside this module


class Deviation(NamedTuple):
    """Something that is not as the suite has it.

    Args:
        dataset: Which dataset; empty for the run as a whole.
        what: What differs, e.g. `split` or `seeds`.
        frozen: What the suite has.
        found: What was found.
    """

    dataset: str
    what: str
    frozen: str
    found: str

    def __str__(self) -> str:
        where = f"{self.dataset}: " if self.dataset else ""
        return f"{where}{self.what} is {self.found}, the suite has {self.frozen}"


class FrozenDataset(BaseModel):
    """What a suite holds of one dataset."""

    model_config = FROZEN

    kind: str = Field(description="Who reads it.")
    modality: str = Field(description="What was recorded.")
    task: str = Field(description="Kind of the task.")
    target: str = Field(description="What is asked.")
    headline: str = Field(description="The score that models are compared by.")
    shape: tuple[int, int, int] = Field(description="Windows, samples of a window, channels.")
    split: str = Field(description="Name of the split.")
    folds: int = Field(description="Folds of the split.")
    file_sha256: str = Field(description="Of the file of windows.")
    samples_sha256: str = Field(description="Of the samples, as they are before scaling.")
    answers_sha256: str = Field(description="Of the answers.")
    split_sha256: str = Field(description="Of the split: what each window of each fold is for, and the blocks.")


class FrozenSuite(BaseModel):
    """A suite as it was written down."""

    model_config = FROZEN

    name: str = Field(description="What it is called.")
    seeds: tuple[int, ...] = Field(description="Seeds of every model.")
    options: BenchmarkOptions = Field(description="How the parts are asked.")
    datasets: dict[str, FrozenDataset] = Field(description="Its datasets by name.")

    def save(self, path: Path) -> None:
        """Write it as JSON, the same bytes for the same suite."""
        with atomic(path) as part:
            part.write_text(json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")


def load_suite(name: str | Path) -> FrozenSuite:
    """Read a frozen suite.

    Args:
        name: Of one that comes with the package, such as `core-v1` (`core_v1` is the same), or a file.

    Raises:
        ValueError: If there is no such suite, naming the nearest, or the file is none.
    """
    if isinstance(name, Path):
        text = name.read_text()
    else:
        folder = files("neurofmx.benchmark").joinpath(SUITES)
        known = {each.name.removesuffix(".json"): each for each in folder.iterdir() if each.name.endswith(".json")}
        text = pick(known, name.replace("_", "-"), "frozen suite").read_text()
    try:
        return FrozenSuite.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(
            f"{name}: no frozen suite ({error.error_count()} problems, first: {error.errors()[0]})"
        ) from error


def freeze(
    name: str, tokens: Mapping[str, Path], kinds: Mapping[str, str], *, seeds: Sequence[int], options: BenchmarkOptions
) -> FrozenSuite:
    """Write a suite down from the windows as they are.

    Args:
        name: What it is to be called.
        tokens: File of windows of each dataset.
        kinds: Who reads each dataset.
        seeds: Of every model.
        options: How the parts are asked.

    Raises:
        FileNotFoundError: If windows are missing, naming the stage that makes them.
    """
    return FrozenSuite(
        name=name,
        seeds=tuple(seeds),
        options=options,
        datasets={key: frozen(load_windows(path), kind=kinds[key], path=path) for key, path in tokens.items()},
    )


def frozen(windows: Windows, *, kind: str, path: Path | None = None) -> FrozenDataset:
    """One dataset written down.

    Args:
        windows: Its windows.
        kind: Who reads it.
        path: Their file; None for windows that never were one.
    """
    return FrozenDataset(
        kind=kind,
        modality=windows.modality,
        task=windows.task.kind,
        target=windows.task.target,
        headline=windows.task.headline,
        shape=(int(windows.x.shape[0]), int(windows.x.shape[1]), int(windows.x.shape[2])),
        split=windows.split_name,
        folds=windows.folds,
        file_sha256=_file_hash(path) if path else "",
        samples_sha256=_hash(_samples(windows)),
        answers_sha256=_hash([windows.y]),
        split_sha256=_hash([windows.split, windows.block, windows.group]),
    )


def _samples(windows: Windows) -> list[np.ndarray]:
    """What a model reads, of windows and of what is beside them."""
    beside = [] if windows.beside is None else _samples(windows.beside)
    return [windows.x, windows.length, windows.present, *beside]


def deviations(
    suite: FrozenSuite,
    found: Mapping[str, FrozenDataset],
    *,
    seeds: Mapping[str, Sequence[int]],
    options: BenchmarkOptions,
    run: Sequence[int] | None = None,
) -> list[Deviation]:
    """Hold a run against the suite that it says it is.

    Args:
        suite: The suite.
        found: The datasets of the run.
        seeds: Seeds of each model; `(0,)` is right for a model that draws nothing.
        options: How the parts were asked.
        run: Seeds of models that name none; None for those of the suite.

    Returns:
        What differs; empty where nothing does. A file with other bytes and the same windows is no deviation.
    """
    differing = [Deviation(name, "the dataset", "it", "missing") for name in suite.datasets if name not in found]
    differing += [Deviation(name, "the dataset", "no such", "there") for name in found if name not in suite.datasets]
    for name, each in found.items():
        if (was := suite.datasets.get(name)) is not None:
            differing += _differing(name, was, each, leave={"file_sha256"})
    asked = suite.seeds if run is None else tuple(run)
    if asked != suite.seeds:  # (0,) would pass for a model that draws nothing
        differing.append(Deviation("", "seeds", said(suite.seeds), said(asked)))
    for model, those in seeds.items():
        if tuple(those) not in (suite.seeds, asked, NO_SEED):
            differing.append(Deviation("", f"seeds of {model}", said(suite.seeds), said(those)))
    return differing + _differing("", suite.options, options)


def _differing(name: str, suite: BaseModel, found: BaseModel, *, leave: Iterable[str] = ()) -> list[Deviation]:
    """Fields that are not the same."""
    fields = [field for field in type(suite).model_fields if field not in leave]
    pairs = [(field, getattr(suite, field), getattr(found, field)) for field in fields]
    return [Deviation(name, field, said(was), said(now)) for field, was, now in pairs if was != now]


def said(value: Any) -> str:
    """A value in a message; of a hash the beginning."""
    if isinstance(value, (tuple, list)):
        return ", ".join(said(each) for each in value)
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)


def _hash(arrays: Iterable[np.ndarray]) -> str:
    """Of the contents with their shapes and types."""
    whole = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
