"""Behaviour decoding: what is asked of a dataset, by the model's own answers or by a linear probe on frozen states.

A model's stored answers come first, then those of its head, then a probe that learnt from the training windows. The
line says which (`read_by`). The linear model answers the same windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.benchmark.drawn import Drawn
from neurofmx.benchmark.entry import entry
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.metrics.correlation import pearson, spearman
from neurofmx.benchmark.probe import fit_probe
from neurofmx.benchmark.protocol import Answers, as_array
from neurofmx.benchmark.reading import Reading
from neurofmx.evaluation.gate import drawn_scores
from neurofmx.evaluation.metrics import score
from neurofmx.headline import as_values
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample


class Shuffled(NamedTuple):
    """What was answered where windows have each other's answers.

    Args:
        answers: Of the model that learnt from them, `(seeds, n, width)`.
        chance: Of `chance_outputs`, `(n, width)`.
        truth: Their truth, `n` long.
        block: Stretch that each window lies in, `(n,)`.
    """

    answers: np.ndarray
    chance: np.ndarray
    truth: np.ndarray
    block: np.ndarray


def probed(material: Material, reading: Reading, *, windows: Windows | None = None) -> np.ndarray:
    """Answers of a linear probe to a fold's test windows, `(n, task.width)`.

    Args:
        material: The dataset.
        reading: States of the fold.
        windows: Whose answers it learns, in place of the dataset's own.
    """
    windows, part = windows or material.windows, material.parts[reading.fold]
    train, validation, test = reading.features(material.options.steps)
    y, task = windows.y, windows.task
    probe = fit_probe(train, y[part.train], validation, y[part.validation], task, strengths=material.options.strengths)
    return probe.readout(test)


def head_answers(material: Material, reading: Reading) -> np.ndarray:
    """A fold's test windows answered by the model's own head, `(n, task.width)`."""
    assert isinstance(reading.encoder, Answers)
    sample = Sample.of(material.windows, reading.fold, material.parts[reading.fold].test)
    return as_array(reading.encoder.answer(sample))


def decoding(
    material: Material,
    answers: np.ndarray,
    *,
    linear: np.ndarray,
    chance: np.ndarray,
    truth: np.ndarray,
    block: np.ndarray,
    read_by: str,
    shuffled: Shuffled | None = None,
) -> dict[str, Any]:
    """The line of the part.

    Args:
        material: The dataset.
        answers: Of the model, `(seeds, n, width)`.
        linear: Of the tuned linear model, the same or one seed.
        chance: Of `chance_outputs`, `(n, width)`.
        truth: Of these windows, as `headline` takes it.
        block: Stretch that each window lies in, `(n,)`.
        read_by: Who answered.
        shuffled: The control.
    """
    task = material.windows.task
    ours, theirs, none = scores_of([answers, linear, chance], truth, block, material)
    asked = {"linear": (linear, truth, block), "chance": (chance, truth, block)}
    control: dict[str, Any] = {}
    if shuffled is not None:
        found = scores_of([shuffled.answers, shuffled.chance], shuffled.truth, shuffled.block, material)
        control = dict(zip(("shuffled", "shuffled_chance"), found, strict=True))
        asked["shuffled"] = shuffled.answers, shuffled.truth, shuffled.block
    beside = {name: (_by_seed(said), *how) for name, (said, *how) in asked.items()}
    return entry(
        task.headline,
        ours,
        linear=theirs,
        chance=none.value,
        lower_is_better=task.lower_is_better,
        worthless=worthless(task),
        metrics=numbers(material, answers, truth, block),
        beside={name: numbers(material, *each) for name, each in beside.items()},
        variables=variables(material, answers, truth, block),
        variables_beside={name: variables(material, *each) for name, each in beside.items()},
        read_by=read_by,
        windows=len(truth),
        **control,
    )


def _by_seed(answers: np.ndarray) -> np.ndarray:
    """Answers of one or several seeds as `(seeds, n, width)`."""
    return answers if answers.ndim == 3 else answers[None]


def scores_of(
    answers: Sequence[np.ndarray], truth: np.ndarray, block: np.ndarray, material: Material
) -> tuple[Drawn, ...]:
    """Headline scores of several answers on the same draws."""
    options = material.options
    whole, drawn = drawn_scores(answers, truth, block, material.windows.task, draws=options.draws)
    return tuple(Drawn(float(value), each, options.confidence) for value, each in zip(whole, drawn, strict=True))


def worthless(task: Task) -> float | None:
    """What guessing is worth by a task's headline; None where that depends on the data."""
    guessed = {"auc": 0.5, "r2": 0.0, "balanced_accuracy": 1 / task.width, "accuracy": 1 / task.width}
    return guessed.get(task.headline)


def numbers(material: Material, answers: np.ndarray, truth: np.ndarray, block: np.ndarray) -> dict[str, float]:
    """All scores, means over seeds; of values also errors and correlations, means over variables.

    The p of a correlation is the largest over variables and seeds.
    """
    task = material.windows.task
    found = [score(each, truth, task) for each in answers]
    named = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    if each := variables(material, answers, truth, block):
        for name in ("mse", "mae", "pearson", "spearman"):
            named[name] = float(np.mean([one[name] for one in each.values()]))
        for name in ("pearson_p", "spearman_p"):
            named[name] = float(np.max([one[name] for one in each.values()]))
    return named


def variables(
    material: Material, answers: np.ndarray, truth: np.ndarray, block: np.ndarray
) -> dict[str, dict[str, float]]:
    """R2, both errors and both correlations of each variable, means over seeds; of an angle, cosine and sine.

    The p of a correlation is the largest over seeds, and counts blocks as independent, not windows.
    """
    task = material.windows.task
    if task.kind not in ("regression", "circular"):
        return {}
    true, independent = as_values(truth, task), max(3, len(np.unique(block)))
    names = task.names if task.kind == "regression" else (f"cos {task.target}", f"sin {task.target}")
    by_seed = [
        (pearson(true, each, independent=independent), spearman(true, each, independent=independent))
        for each in answers
    ]
    error, distance = np.mean((answers - true) ** 2, axis=(0, 1)), np.mean(np.abs(answers - true), axis=(0, 1))
    spread = np.maximum(true.var(0), 1e-300)
    return {
        name: {
            "r2": float(1 - error[k] / spread[k]),
            "mse": float(error[k]),
            "mae": float(distance[k]),
            "pearson": float(np.mean([one.r[k] for one, _ in by_seed])),
            "pearson_p": float(np.max([one.p[k] for one, _ in by_seed])),
            "spearman": float(np.mean([one.r[k] for _, one in by_seed])),
            "spearman_p": float(np.max([one.p[k] for _, one in by_seed])),
        }
        for k, name in enumerate(names)
    }
