"""What is asked of somebody's own recordings, and how they are divided: options that all formats share."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from neurofmx.datasets.shared.base import Split
from neurofmx.recordings.task import Task, TaskKind

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def label_text(value: Any) -> str:
    """A label as text, so that 1, 1.0 and "1" are one class.

    Example:
        >>> [label_text(value) for value in (b"left", 1.0, True, "go ", 0.5)]
        ['left', '1', 'True', 'go', '0.5']
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _texts(value: Any) -> Any:
    """One name, or a list of names, of which YAML may have read some as numbers."""
    several = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return tuple(label_text(item) for item in several)


Names = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class Target(BaseModel):
    """What a decoder is asked for; part `target` of the options."""

    model_config = FROZEN

    kind: TaskKind = Field(description="`classification` of trials, `regression` of values or `circular` for an angle")
    classes: Names = Field(default=(), description="classification: the labels asked for; other trials are left out")
    column: str | None = Field(default=None, description="classification: where labels stand; each format has a usual")
    series: Names = Field(default=(), description="regression and circular: the series or channels that hold values")
    variables: Names = Field(default=(), description="regression: names of the values; default those of the series")
    degrees: bool = Field(default=False, description="circular: the angle is in degrees, not rad")
    max_gap: float = Field(default=0.5, gt=0, description="longest stretch without values that is interpolated over, s")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Each kind of question needs its own keys, and no others."""
        if self.kind == "classification":
            if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
                raise ValueError(f"classes={list(self.classes)}: a classification needs two or more, all different")
            self._without("series", "variables")
        else:
            if not self.series:
                raise ValueError(f"series: a {self.kind} needs the name of the series that holds its values")
            self._without("classes", "column", *(("variables",) if self.kind == "circular" else ()))
        if self.kind == "circular" and len(self.series) > 1:
            raise ValueError(f"series={list(self.series)}: an angle is one series")
        if len(set(self.task.names)) < len(self.task.names):
            raise ValueError(f"variables={list(self.task.names)}: names must differ from one another")
        return self

    def _without(self, *keys: str) -> None:
        for key in keys:
            if getattr(self, key):
                raise ValueError(f"{key}: has no meaning in a {self.kind}; leave it out")

    @property
    def task(self) -> Task:
        """The question as models read it: trial column `label`, or signal `target`."""
        if self.kind == "classification":
            return Task("classification", "label", self.classes)
        return Task(self.kind, "target", self.variables or tuple(name.split("/")[-1] for name in self.series))


class Division(BaseModel):
    """How recordings are divided into folds; part `division` of the options."""

    model_config = FROZEN

    kind: Literal["blocks", "groups", "given"] = Field(
        default="blocks", description="`blocks` of time, whole `groups`, or the sessions `given` in `test` and `held`"
    )
    by: Literal["recording", "subject"] = Field(default="recording", description="what a group is")
    folds: int = Field(default=5, ge=2, description="parts that are each tested once")
    gap: float = Field(default=2.0, ge=0, description="blocks: time left out on each side of a block, s")
    block: float = Field(default=10.0, gt=0, description="stretch within which windows depend on each other, s")
    validation: Literal["tail", "groups"] = Field(default="tail", description="where validation windows come from")
    test: Names = Field(default=(), description="given: the sessions to test on")
    held: Names = Field(default=(), description="given: the sessions to validate on; none takes the tail of the others")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        """Let the split refuse what it cannot be."""
        self.split  # noqa: B018
        return self

    @property
    def split(self) -> Split:
        """The division under a name that says it."""
        what = {"blocks": f"blocks-{self.folds}fold-gap{self.gap:g}s", "groups": f"{self.by}s-{self.folds}fold"}
        return Split(
            f"own-{what.get(self.kind, 'given')}-v1",
            kind=self.kind,
            folds=1 if self.kind == "given" else self.folds,
            validation=self.validation,
            gap=self.gap if self.kind == "blocks" else 0.0,
            block=self.block,
            by=self.by,
            test=self.test,
            held=self.held,
        )
