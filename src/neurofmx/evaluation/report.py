"""The report: everything known about one model on one dataset, as one small JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neurofmx.evaluation.gate import interval, paired_difference
from neurofmx.evaluation.metrics import score
from neurofmx.headline import headline
from neurofmx.recordings.task import Task

DIGITS = 6
# what says how unlikely or how nearly equal something is, where 0 would say more than was found
SMALL = frozenset({"p", "p_holm", "corrected", "least_p", "pearson_p", "spearman_p", "largest_difference"})


@dataclass(frozen=True)
class Provenance:
    """What was scored on what, enough to run it again.

    Args:
        dataset: Name of the dataset.
        model: Name of the model.
        split: Name of the split, e.g. `runs-6fold-v1`.
        sha256: Hash of the file of windows.
        window: What a window holds, in words, e.g. `16 x 530 at 0.4 Hz`.
        seeds: Seeds the model was trained with, in the order of the outputs.
        kernels: Which kernels ran, e.g. `reference`; empty for a model without any.
        tokenizer: Class that made tokens of the windows, e.g. `SpikeTokenizer`; empty for a model without tokens.
        precision: Of the matrices of a network when it answered, e.g. `int8`; empty for a model that is none.
    """

    dataset: str
    model: str
    split: str
    sha256: str
    window: str
    seeds: tuple[int, ...]
    kernels: str = ""
    tokenizer: str = ""
    precision: str = ""


@dataclass(frozen=True)
class Cost:
    """What a model takes.

    Args:
        parameters: Trained numbers.
        train_seconds: Wall-clock time of training, s: the sum over the folds of one seed, which may train side by side.
        peak_memory_mib: Highest resident memory in training, MiB.
        spikes_per_neuron_per_step: Mean spikes of a neuron in a time step, 0 to 1; None for a model without spikes.
        weight_bytes: Weights and buffers of a network in the precision it answered in; None for a model that is none.
        attention_entropy: Mean entropy of the cross-attention of a query in nats, 0 where it looks at one token; None
            for a model without.
        spiking_blocks: Spikes, synaptic operations and estimated energy of every block, see `SpikeMeter.blocks`;
            with populations also the rate of every neuron and the mean time of a first spike, see
            `PopulationMeter.beside`; empty for a model without spikes.
    """

    parameters: int
    train_seconds: float
    peak_memory_mib: float
    spikes_per_neuron_per_step: float | None = None
    weight_bytes: int | None = None
    attention_entropy: float | None = None
    spiking_blocks: tuple[Mapping[str, Any], ...] = ()


def report(
    outputs: np.ndarray,
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    linear: np.ndarray,
    chance: np.ndarray,
    provenance: Provenance,
    cost: Cost,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, object]:
    """Score one model on one dataset, next to chance and to the linear model on the same windows.

    Args:
        outputs: Answers to the test windows of all folds, shape `(seeds, n, task.width)`; of a text log probabilities
            of the true tokens `(seeds, n, time)`.
        y: Truth of these windows: labels `(n,)`, values `(n, variables)` or angles `(n,)` in radians; of a text the
            words and bytes of each window `(n, 2)`.
        block: Exchangeable stretch each window lies in, shape `(n,)`.
        task: What was asked.
        linear: Answers of the tuned linear model, shape `(n, task.width)` or `(seeds, n, task.width)`.
        chance: Answers of `chance_outputs`, shape `(n, task.width)`.
        provenance: What was scored on what.
        cost: What the model takes.
        draws: Bootstrap draws.
        confidence: Share of the draws inside the intervals.
        seed: Of the draws.

    Returns:
        JSON-able dictionary, floats rounded to 6 digits. `metrics` are means over seeds; `std_over_seeds` is the sample
        deviation of the headline score, None for a single seed.

    Raises:
        ValueError: If shapes disagree or a score is undefined.
    """
    if outputs.ndim != 3 or len(outputs) != len(provenance.seeds):
        raise ValueError(
            f"outputs has shape {outputs.shape}; {len(provenance.seeds)} seeds need (seeds, n, width), one per seed"
        )
    bootstrap = {"draws": draws, "confidence": confidence, "seed": seed}
    chosen = interval(outputs, y, block, task, **bootstrap)
    difference = paired_difference(outputs, linear, y, block, task, **bootstrap)
    facts = {
        **asdict(provenance),
        "task": task.kind,
        "target": task.target,
        "windows": len(y),
        "blocks": len(np.unique(block)),
        "headline": task.headline,
        "score": chosen.value,
        "interval": {"low": chosen.low, "high": chosen.high, "confidence": confidence, "draws": draws},
        "std_over_seeds": _spread(outputs, y, task),
        "metrics": _mean_scores(outputs, y, task),
        "chance": score(chance, y, task),
        "linear": _mean_scores(linear if linear.ndim == 3 else linear[None], y, task)[task.headline],
        "difference": {name: getattr(difference, name) for name in ("value", "low", "high")},
        "beats_linear": difference.beats,
        "verdict": difference.verdict,
        **asdict(cost),
    }
    return {name: rounded(value) for name, value in facts.items()}


def _mean_scores(outputs: np.ndarray, y: np.ndarray, task: Task) -> dict[str, float]:
    """Every score, mean over seeds."""
    scores = [score(answers, y, task) for answers in outputs]
    return {name: float(np.mean([s[name] for s in scores])) for name in scores[0]}


def _spread(outputs: np.ndarray, y: np.ndarray, task: Task) -> float | None:
    """Sample deviation of the headline score over seeds."""
    if len(outputs) < 2:
        return None
    return float(np.std([headline(answers, y, task) for answers in outputs], ddof=1))


def rounded(value: object) -> object:
    """The same, with floats rounded and tuples as lists, as JSON has them; of what is `SMALL` three digits stay.

    Example:
        >>> rounded({"r2": 0.12345678, "p": 1.49012e-08})
        {'r2': 0.123457, 'p': 1.49e-08}
    """
    if isinstance(value, Mapping):
        return {name: _digits(v) if name in SMALL else rounded(v) for name, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [rounded(v) for v in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _digits(value: object) -> object:
    """A float in three digits however small it is; anything else as `rounded` has it."""
    return float(f"{value:.3g}") if isinstance(value, float) else rounded(value)
