"""What a decoder is asked for: a class, a value or an angle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskKind = Literal["classification", "regression", "circular"]


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

    Example:
        >>> Task("classification", "label", ("face", "house")).width
        2
        >>> Task("circular", "head_direction", ("head_direction",)).width
        2
    """

    kind: TaskKind
    target: str
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers a model must return per window."""
        return 2 if self.kind == "circular" else len(self.names)
