"""How much of its score a model keeps when its input is noisy or some of its neurons are silent.

    kept = (score - chance) / (clean score - chance)

is 1 where nothing is lost and 0 at chance or below; of perplexities it is made of their logarithms. Clean and harmed
answers, and those of chance, are scored on the same draws of blocks and seeds, so that the interval is that of the
ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neurofmx.evaluation.gate import drawn_scores, percentiles
from neurofmx.recordings.hdf5 import read_trees, write_trees
from neurofmx.recordings.task import Task

Harmed = Mapping[str, np.ndarray]  # condition -> answers (seeds, n, width)


class Robustness(BaseModel):
    """What a trained model is put through. Section `evaluate.robustness` of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    noise: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(), description="Standard deviations of noise on test windows, in those of the training windows."
    )
    silenced: tuple[Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        description="Spiking neurons silenced in every block, or input channels of a network without any: a number of "
        "them, or a share, which is the same harm to blocks of other sizes.",
    )

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.noise or self.silenced)


def noise_name(level: float) -> str:
    """Name of the condition of a noise level."""
    return f"noise_{level:g}"


def silenced_name(asked: float) -> str:
    """Name of the condition of a number of silenced neurons, or of a share."""
    return f"silenced_{asked:g}"


def kind_of(condition: str) -> str:
    """What was done to a model in a condition, by its name.

    Example:
        >>> [kind_of(name) for name in (noise_name(0.5), silenced_name(8), silenced_name(0.25))]
        ['noise', 'silenced', 'silenced_share']
    """
    kind, _, amount = condition.partition("_")
    return f"{kind}_share" if kind == "silenced" and float(amount) < 1 else kind


def silenced_count(asked: float, of: int) -> int:
    """How many are silenced where a number or a share is asked for: of a share at least one.

    Example:
        >>> [silenced_count(asked, of) for asked, of in ((8, 128), (8, 640), (0.1, 128), (0.1, 640), (0.1, 2))]
        [8, 8, 13, 64, 1]
    """
    return int(asked) if asked >= 1 else max(1, round(asked * of))


def save_harmed(path: Path, answers: Harmed) -> None:
    """Write answers under each condition."""
    write_trees(path, [{"condition": name, "outputs": outputs} for name, outputs in answers.items()])


def load_harmed(path: Path) -> dict[str, np.ndarray]:
    """Read answers under each condition; none where there is no such file."""
    if not path.is_file():
        return {}
    return {tree["condition"]: tree["outputs"] for tree in read_trees(path)}


def above_chance(scores: np.ndarray, chance: np.ndarray, task: Task) -> np.ndarray:
    """How far scores are above those of chance, in what adds up: differences, of perplexities those of logarithms."""
    return np.log(chance) - np.log(scores) if task.lower_is_better else scores - chance


def kept(harmed: np.ndarray, clean: np.ndarray, chance: np.ndarray, task: Task) -> np.ndarray:
    """Share of the score above chance that is left, NaN where the clean score is not above chance.

    Example:
        >>> task = Task("classification", "label", ("face", "house"))
        >>> kept(np.array([0.8]), np.array([0.9]), np.array([0.5]), task)
        array([0.75])
    """
    whole = above_chance(clean, chance, task)
    left = np.maximum(above_chance(harmed, chance, task), 0.0)
    return np.where(whole > 0, left / np.where(whole > 0, whole, 1.0), np.nan)


def robustness_report(
    clean: np.ndarray,
    harmed: Harmed,
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    chance: np.ndarray,
    what: str,
    of: int,
    linear: tuple[np.ndarray, Harmed],
    draws: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Scores under every condition, and what is kept of the clean one.

    Args:
        clean: Answers of the model `(seeds, n, width)`.
        harmed: Its answers under each condition, same shape.
        y: Truth, `n` long.
        block: Exchangeable stretch of each window `(n,)`.
        task: What was asked.
        chance: Answers of chance `(n, width)`.
        what: What `silenced` counts.
        of: How many of them there are.
        linear: Clean and harmed answers of the linear model.
        draws: Bootstrap draws.
        confidence: Share of the draws inside the intervals.

    Returns:
        By condition `score`, `kept` (value, low, high; None where undefined), and under noise the same of the linear
        model; `silenced` says what was silenced, `silenced_of` how many of them there are.
    """
    bootstrap = {"draws": draws, "confidence": confidence}

    def conditions(clean: np.ndarray, harmed: Harmed) -> dict[str, dict[str, Any]]:
        return {
            name: _condition(clean, outputs, chance, y, block, task, **bootstrap) for name, outputs in harmed.items()
        }

    found = conditions(clean, harmed)
    beside = conditions(linear[0], {name: linear[1][name] for name in harmed if name in linear[1]})
    for name, values in beside.items():
        found[name] |= {f"linear_{key}": value for key, value in values.items()}
    return {"conditions": found, "silenced": what, "silenced_of": of}


def _condition(
    clean: np.ndarray,
    harmed: np.ndarray,
    chance: np.ndarray,
    y: np.ndarray,
    block: np.ndarray,
    task: Task,
    *,
    draws: int,
    confidence: float,
) -> dict[str, Any]:
    """Score and share kept under one condition."""
    whole, drawn = drawn_scores((harmed, clean, chance), y, block, task, draws=draws)
    share, spread = (kept(scores[0], scores[1], scores[2], task) for scores in (whole, drawn))
    return {"score": float(whole[0]), "kept": ratio(share, spread, confidence)}


def ratio(value: Any, drawn: np.ndarray, confidence: float) -> dict[str, float] | None:
    """A ratio with its interval; None where it is undefined on all windows or in some draw."""
    if not (np.isfinite(value) and np.all(np.isfinite(drawn))):
        return None
    low, high = percentiles(drawn, confidence)
    return {"value": float(value), "low": low, "high": high}
