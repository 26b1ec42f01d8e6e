"""Films of one's own, their pictures or their sound, with a table of what happened in each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

import numpy as np
from pydantic import Field

from neurofmx.datasets.own.base import Found, OwnRecordings
from neurofmx.datasets.own.intervals import Labelled, labelled
from neurofmx.datasets.own.refusal import Refused, choose
from neurofmx.datasets.shared.base import Modality
from neurofmx.recordings.film import frame_rate
from neurofmx.recordings.recording import Signal
from neurofmx.recordings.soundtrack import soundtrack

TABLES = {".csv": ",", ".tsv": "\t"}  # endings of a film's table, and what stands between its columns


@final
class Film(OwnRecordings):
    """Films of any format that FFmpeg reads; one film a recording, whose first picture is shown at 0 s.

    `visit.mp4` has its table in `visit.csv`, or `visit.tsv` with tabs: a row a trial with the columns `start` and
    `stop`, s, and a label; or, for values to decode, a row a moment with the column `time`, s, and the values.

    Args:
        duration: Length of a trial, s, in place of the column `stop`.

    The labels are the column `target.column`, by default `label`; values to decode are the columns `target.series`.
    """

    name: ClassVar[str] = "film"
    modalities: ClassVar[tuple[Modality, ...]] = ("audio", "video")
    what: ClassVar[str] = "a film"
    suffixes: ClassVar[tuple[str, ...]] = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
    companions: ClassVar[tuple[str, ...]] = tuple(TABLES)

    duration: float | None = Field(default=None, gt=0)

    def choose(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Every film, with its table."""
        there = sorted(names)
        films = [name for name in there if name.lower().endswith(self.suffixes)]
        stems = {name: str(PurePosixPath(name).with_suffix("")) for name in films}
        return {name: tuple(table for end in TABLES if (table := stem + end) in there) for name, stem in stems.items()}

    def take(self, root: Path, name: str, beside: tuple[str, ...]) -> Found:
        """Read the sound, or see that there are pictures, which are decoded when they are cleaned."""
        if len(beside) != 1:
            stem = PurePosixPath(name).stem
            raise Refused(f"{len(beside)} tables stand beside it; there must be one, {stem}.csv or {stem}.tsv")
        rows = _rows(root / beside[0])
        asked = self.target.kind
        target = None if asked == "classification" else self._target(rows)
        trials = self._trials(rows) if asked == "classification" else None
        if self.recorded == "audio":
            return Found(soundtrack(root / name), target, trials)
        frame_rate(root / name)
        return Found(None, target, trials, arrays={"film": np.array(str(root / name))})

    def _trials(self, rows: Sequence[dict[str, str]]) -> Labelled:
        """Rows as trials."""
        column = choose(
            rows[0], self.target.column or "label", option="target.column", what="column of the film's table"
        )
        start = _numbers(rows, "start", option="trials")
        stop = start if self.duration is not None else _numbers(rows, "stop", option="duration")
        labels = [row[column] for row in rows]
        return labelled(start, stop, labels, classes=self.target.classes, duration=self.duration)

    def _target(self, rows: Sequence[dict[str, str]]) -> Signal:
        """Values to decode, at their times."""
        values = [_numbers(rows, series, option="target.series") for series in self.target.series]
        return self.values(_numbers(rows, "time", option="target"), np.stack(values, axis=1))


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table, each by the names of its columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=TABLES[path.suffix]))
    if not rows or any(None in row or None in row.values() for row in rows):
        raise Refused(f"{path.name}: must have a head and rows with as many columns")
    return rows


def _numbers(rows: Sequence[dict[str, str]], column: str, *, option: str) -> np.ndarray:
    """A column of numbers `(rows,)`; NaN where nothing stands, or `n/a`."""
    name = choose(rows[0], column, option=option, what="column of the film's table")
    try:
        return np.array([np.nan if row[name].strip() in ("", "n/a") else float(row[name]) for row in rows])
    except ValueError as error:
        raise Refused(f"{option}={column}: must hold numbers ({error})") from error
