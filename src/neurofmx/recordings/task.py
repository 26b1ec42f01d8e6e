"""What a decoder is asked for: a class, a value, an angle or the next token, and the score of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskKind = Literal["classification", "regression", "circular", "next_token"]
Headline = Literal["accuracy", "balanced_accuracy", "auc", "r2", "perplexity"]
LOWER_IS_BETTER: frozenset[Headline] = frozenset({"perplexity"})

# the scores that may stand as the headline of a task; the first is the one a task has by itself
HEADLINES: dict[TaskKind, tuple[Headline, ...]] = {
    "classification": ("accuracy", "balanced_accuracy", "auc"),
    "regression": ("r2",),
    "circular": ("r2",),
    "next_token": ("perplexity",),
}


@dataclass(frozen=True)
class Task:
    """The question a dataset asks of every model.

    A model answers with `outputs (samples, width)`: one logit per class, one value per variable, or the
    cosine and sine of the angle. Asked for the next token it answers at every position of a window, with
    `outputs (samples, time)`: the logarithm of the probability that it gave to the token that came.

    Args:
        kind: `classification` (a label per window), `regression` (values per window), `circular` (an angle
            in radians per window) or `next_token` (after every token of a window, the one that follows).
        target: Name of the trial column or signal that holds the answer.
        names: Class names in the order of the labels, or the names of the regressed variables, or the tokens of the
            vocabulary (of a dataset that is not cut yet: none).
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
        """Numbers a model must return per window; for the next token, tokens to choose from at every position."""
        return 2 if self.kind == "circular" else len(self.names)

    @property
    def headline(self) -> Headline:
        """Name of the score that models are compared by."""
        return self.score or HEADLINES[self.kind][0]

    @property
    def lower_is_better(self) -> bool:
        """Whether the better of two headline scores is the lower one."""
        return self.headline in LOWER_IS_BETTER
