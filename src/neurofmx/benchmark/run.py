"""The benchmark: models on the datasets of a suite, part by part, beside chance and the linear model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurofmx.benchmark.across import GATE, across
from neurofmx.benchmark.by_modality import by_modality
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.one import PARTS, Asked
from neurofmx.benchmark.protocol import Limited, NotTrainedError, seeds_of
from neurofmx.benchmark.reference import Reference
from neurofmx.benchmark.settings import BenchmarkOptions
from neurofmx.benchmark.suite import Deviation, FrozenSuite, deviations, frozen, load_suite
from neurofmx.evaluation.report import rounded
from neurofmx.foundation.held_out import check_unseen
from neurofmx.tokenizers.cutting.windows import Windows, load_windows

TOKENS = Path("data/tokens")
SEEDS = (42, 43, 44)
SUITE = "core-v1"  # that is asked where none is named
Suite = str | Path | FrozenSuite | Mapping[str, Windows | Path]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Benchmark:
    """What came out.

    Args:
        facts: JSON-able: `suite`, `frozen`, `deviations`, `options`, `models`, `datasets`, `pretraining` (what a model
            is not asked, as it has seen it), `beyond` (what a model does not read), `results` (a model on a dataset,
            with its parts), `across` (each part over datasets) and `by_modality` (means of the reconstruction).
    """

    facts: dict[str, Any]

    def line(self, model: str, dataset: str) -> dict[str, Any]:
        """A model's parts on a dataset.

        Raises:
            KeyError: If it was not asked.
        """
        for line in self.facts["results"]:
            if (line["model"], line["dataset"]) == (model, dataset):
                return line["parts"]
        raise KeyError(f"no result of {model} on {dataset}")

    @property
    def deviations(self) -> list[str]:
        """What is not as the suite has it, a sentence each."""
        return [each["said"] for each in self.facts["deviations"]]


@dataclass(frozen=True)
class NeuroFMXBenchmark:
    """The benchmark: called with models, it asks them about every dataset of its suite.

    Args:
        suite: Name of a frozen suite such as `core-v1`, its file, or windows or their files by name,
            which are then no frozen suite.
        tokens: Folder with the windows of each dataset of a named suite, `<dataset>.h5`; a dataset that is not there is
            left out, and the result says so.
        linear: Stored answers of the tuned linear model by dataset; it is fitted where there are none.
        seeds: Of models that name none; None for those of the suite.
        options: How the parts are asked; None for the suite's.
        kinds: Who reads each dataset, to be held against the suite; None for what the suite says.

    Example:
        >>> from neurofmx.benchmark import NeuroFMXBenchmark
        >>> NeuroFMXBenchmark().suite
        'core-v1'
    """

    suite: Suite = SUITE
    tokens: Path = TOKENS
    linear: Mapping[str, np.ndarray] | None = None
    seeds: tuple[int, ...] | None = None
    options: BenchmarkOptions | None = None
    kinds: Mapping[str, str] | None = None

    def __call__(self, models: Any) -> Benchmark:
        """Ask models.

        Args:
            models: Any object with `tokens -> states` (`neurofmx.benchmark.protocol.Encoder`), or several by name.

        Returns:
            All numbers; `neurofmx.benchmark.outputs.write` makes files of them.

        Raises:
            ValueError: If there is no such suite, no dataset, a model has the gate's name, or one returns states of a
                wrong shape.
        """
        named = models if isinstance(models, Mapping) else {getattr(models, "name", "model"): models}
        if GATE in named:
            raise ValueError(f"a model is named {GATE!r}, as is what all models are held against: give it another name")
        known = {name: tuple(getattr(model, "pretrained_on", ())) for name, model in named.items()}  # a generator ends
        held = _held(self.suite)
        options = self.options or (held.options if held else BenchmarkOptions())
        seeds = self.seeds or (held.seeds if held else SEEDS)
        there = dict(self.suite) if isinstance(self.suite, Mapping) else _there(held, self.tokens)
        if not there:
            raise ValueError(
                f"no dataset of the suite has windows in {self.tokens}: make them with `dvc repro tokenize`"
            )
        results, found, unsure, beyond = [], {}, [], []
        for dataset, source in there.items():
            path = source if isinstance(source, Path) else None
            windows = source if isinstance(source, Windows) else load_windows(source)
            found[dataset] = frozen(windows, kind=_kind(dataset, held, self.kinds), path=path)
            material = Material(dataset, windows, options)
            reference = Reference(material, linear=(self.linear or {}).get(dataset))
            for name, model in named.items():
                _log.info("benchmark: %s on %s", name, dataset)
                asked = Asked(model, name, material, reference, seeds=seeds)
                if why := seen(known[name], windows):
                    unsure.append(_outside(name, dataset, why))
                elif why := model.cannot(windows) if isinstance(model, Limited) else "":
                    beyond.append(_outside(name, dataset, why))
                results.append(asked.left_out(why) if why else _line(asked))
        of = {name: seeds_of(model, seeds) for name, model in named.items()}
        differ = [] if held is None else _said(deviations(held, found, seeds=of, options=options, run=seeds))
        differ += _unasked(held, results, beyond)
        facts = {
            "suite": held.name if held else "own windows",
            "frozen": held is not None and not differ,
            "deviations": differ,
            "options": options.model_dump(mode="json"),
            "models": {name: {"seeds": list(each)} for name, each in of.items()},
            "datasets": {name: each.model_dump(mode="json") for name, each in found.items()},
            "pretraining": unsure,
            "beyond": beyond,
            "results": results,
            "by_modality": {"reconstruction": by_modality(results)},
            "across": {
                part: across(results, part, draws=options.draws, confidence=options.confidence) for part in PARTS
            },
        }
        return Benchmark(_defined(rounded(facts)))


def benchmark(models: Any, suite: Suite = SUITE, **how: Any) -> Benchmark:
    """Ask models about every dataset of a suite: `NeuroFMXBenchmark(suite, **how)(models)`.

    Args:
        models: Any object with `tokens -> states` (`neurofmx.benchmark.protocol.Encoder`), or several by name.
        suite: As of `NeuroFMXBenchmark`.
        **how: Its other arguments: `tokens`, `linear`, `seeds`, `options`, `kinds`.

    Returns:
        All numbers; `neurofmx.benchmark.outputs.write` makes files of them.

    Raises:
        ValueError: As `NeuroFMXBenchmark`.
        TypeError: If it has no such argument.

    Example:
        >>> from neurofmx.benchmark import benchmark
        >>> result = benchmark(lambda tokens: tokens.x, {})
        Traceback (most recent call last):
        ...
        ValueError: no dataset of the suite has windows in data/tokens: make them with `dvc repro tokenize`
    """
    return NeuroFMXBenchmark(suite, **how)(models)


def _held(suite: Suite) -> FrozenSuite | None:
    """The frozen suite that a run is held against; None of windows alone."""
    if isinstance(suite, Mapping):
        return None
    return suite if isinstance(suite, FrozenSuite) else load_suite(suite)


def _defined(value: Any) -> Any:
    """The same with None for what is no number, as JSON has no word for that."""
    if isinstance(value, Mapping):
        return {name: _defined(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_defined(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _line(asked: Asked) -> dict[str, Any]:
    """A model's line, or why there is none: a model that was not trained on a dataset leaves the others to be asked."""
    try:
        return asked.line()
    except (FileNotFoundError, NotTrainedError) as error:
        return asked.left_out(str(error))


def seen(known: Sequence[Any], windows: Windows) -> str:
    """Why a model is not asked about some windows: it was pretrained on their recordings, or that cannot be known."""
    try:
        if known:
            check_unseen(known, windows)
    except ValueError as error:
        return str(error)
    return ""


def _outside(model: str, dataset: str, why: str) -> dict[str, str]:
    """A dataset that a model is not asked about."""
    return {"model": model, "dataset": dataset, "said": f"{model} is not asked about {dataset}: {why}"}


def _unasked(
    suite: FrozenSuite | None, results: Sequence[Mapping[str, Any]], beyond: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Models that were asked nothing about a dataset of a frozen suite, though they read such."""
    ruled = {(each["model"], each["dataset"]) for each in beyond}
    gaps = [
        Deviation(line["dataset"], f"what {line['model']} answers", "all models", "nothing")
        for line in results
        if suite is not None
        and (line["model"], line["dataset"]) not in ruled
        and all(part["absent"] for part in line["parts"].values())
    ]
    return _said(gaps)


def _there(suite: FrozenSuite | None, tokens: Path) -> dict[str, Path]:
    """Files of windows that exist."""
    files = {name: tokens / f"{name}.h5" for name in (suite.datasets if suite else ())}
    return {name: path for name, path in files.items() if path.is_file()}


def _kind(dataset: str, suite: FrozenSuite | None, kinds: Mapping[str, str] | None) -> str:
    if kinds and dataset in kinds:
        return kinds[dataset]
    return suite.datasets[dataset].kind if suite and dataset in suite.datasets else dataset


def _said(differing: Sequence[Deviation]) -> list[dict[str, str]]:
    """Deviations, each with its sentence."""
    return [{**each._asdict(), "said": str(each)} for each in differing]
