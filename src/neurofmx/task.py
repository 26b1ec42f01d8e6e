"""What a decoder is asked for: a class, a value or an angle, and the score that answers are held by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskKind = Literal["classification", "regression", "circular"]
Headline = Literal["accuracy", "balanced_accuracy", "auc", "r2"]

# the scores that may stand as the headline of a task; the first is the one a task has by itself
HEADLINES: dict[TaskKind, tuple[Headline, ...]] = {
    "classification": ("accuracy", "balanced_accuracy", "auc"),
    "regression": ("r2",),
    "circular": ("r2",),
}


@dataclass(frozen=True)
class Task:
    """The question a dataset asks of every model.

    A model answers with `outputs (samples, width)`: one logit per class, one value per variable, or the
    cosine and sine of the angle.

    Args:
        kind: `classification` (a label per window), `regression` (values per window) or `circular` (an angle
            in radians per window).
        target: Name of the trial column or signal that holds the answer.
        names: Class names in the order of the labels, or the names of the regressed variables.
        score: The number that models are compared by, one of `HEADLINES[kind]`; default the first of them.

    Raises:
        ValueError: If `score` does not go with the kind, or asks for the area under the curve of more than two classes.

    Example:
        >>> Task("classification", "label", ("face", "house")).width
        2
        >>> Task("circular", "head_direction", ("head_direction",)).width
        2
        >>> Task("classification", "side", ("left", "right"), score="auc").headline
        'auc'
    """

    kind: TaskKind
    target: str
    names: tuple[str, ...]
    score: Headline | None = None

    def __post_init__(self) -> None:
        allowed = HEADLINES[self.kind]
        if self.score is not None and self.score not in allowed:
            raise ValueError(f"score={self.score!r}: a {self.kind} is scored by {', '.join(allowed)}")
        if self.score == "auc" and len(self.names) != 2:
            raise ValueError(
                f"score='auc' tells two classes apart, {self.target} has {len(self.names)}; use balanced_accuracy"
            )

    @property
    def width(self) -> int:
        """Numbers a model must return per window."""
        return 2 if self.kind == "circular" else len(self.names)

    @property
    def headline(self) -> Headline:
        """Name of the score that models are compared by."""
        return self.score or HEADLINES[self.kind][0]
