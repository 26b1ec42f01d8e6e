"""Forearm EMG while people make hand movements, six times each (Ninapro databases 5 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from neurofmx.datasets.access.unpack import unpack
from neurofmx.datasets.access.unpinned import fetch_unpinned
from neurofmx.datasets.formats.matfile import read_mat, require_rows, stretches
from neurofmx.datasets.shared.archive import Archive, distinct
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

HOST = "https://ninapro.hevs.ch/files"
REPETITIONS = 6


@dataclass(frozen=True)
class Database:
    """One of Ninapro's databases.

    Args:
        archive: Path of a person's zip archive on the server.
        people: Number of people.
        rate: Sampling rate, Hz.
        channels: Number of electrodes.
        unit: Unit of the samples.
        movements: Number of movements by exercise.
    """

    archive: str
    people: int
    rate: float
    channels: int
    unit: str
    movements: dict[int, int]


DATABASES: dict[Literal["db5", "db2"], Database] = {
    "db5": Database("DB5_Preproc/s{0}.zip", 10, 200.0, 16, "a.u.", {1: 12, 2: 17, 3: 23}),  # two Myo armbands
    "db2": Database("DB2_Preproc/DB2_s{0}.zip", 40, 2000.0, 12, "V", {1: 17, 2: 23, 3: 9}),  # Delsys electrodes
}


@final
class Ninapro(Archive):
    """A recording is one repetition of one movement, with half of the rest before and after it.

    Signal `emg` is `(time, channels)`, 16 channels at 200 Hz (db5) or 12 at 2000 Hz in V (db2). A recording's one trial
    is the movement as the archive relabelled it afterwards (`restimulus`), with the class as `label`, and `movement`
    and `repetition` as the archive numbers them. Recordings share no sample, so that filters cannot carry one
    repetition into another. At 200 Hz the usual band up to 450 Hz does not exist: set `preprocess.high` below 100.

    The format was written down from public descriptions of it; this reader has never met the archive itself.

    Args:
        database: `db5` (default; about 20 MB a person) or `db2` (hundreds of MB a person).
        subjects: Which people, 1 to 10 (db5) or 1 to 40 (db2), default the first.
        exercise: Group of movements: 1 to 3, default 2 (hand postures and wrist movements in db5).
        leave_out: What a fold tests on: `repetitions` that training never saw (default), or `subjects` (three or more).

    Source: Pizzolato et al., Comparison of six electromyography acquisition setups, PLoS ONE 12 (2017); Atzori et al.,
    Electromyography data for non-invasive naturally-controlled robotic hand prostheses, Scientific Data 1 (2014).
    """

    name: ClassVar[str] = "ninapro"
    modalities: ClassVar[tuple[Modality, ...]] = ("emg",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "free for research with citation, as stated on the site"
    citation: ClassVar[str] = (
        "Pizzolato et al. 2017, PLoS ONE 12:e0186132; Atzori et al. 2014, Scientific Data 1:140053"
    )
    homepage: ClassVar[str] = "https://ninapro.hevs.ch"
    source: ClassVar[str] = "Ninapro, zip archives of MATLAB files"

    database: Literal["db5", "db2"] = "db5"
    subjects: Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(distinct)] = (1,)
    exercise: Literal[1, 2, 3] = 2
    leave_out: Literal["repetitions", "subjects"] = "repetitions"

    @model_validator(mode="after")
    def _people_are_there(self) -> Self:
        people = DATABASES[self.database].people
        if not all(1 <= subject <= people for subject in self.subjects):
            raise ValueError(f"subjects must lie in 1..{people} of {self.database}, got {self.subjects}")
        if self.leave_out == "subjects" and len(self.subjects) < 3:
            raise ValueError(f"leave_out='subjects' needs 3 subjects to train, validate and test, got {self.subjects}")
        return self

    @property
    def task(self) -> Task:
        """Which movement is made; rest is not asked."""
        return Task("classification", "label", self._names)

    @property
    def split(self) -> Split:
        """One repetition of every movement is left out at a time, or people, at most ten at a time."""
        if self.leave_out == "subjects":
            folds = min(len(self.subjects), 10)
            return Split(f"subjects-{folds}fold-v1", "groups", folds, validation="groups", by="subject")
        return Split(f"repetitions-{REPETITIONS}fold-v1", kind="groups", folds=REPETITIONS, validation="groups")

    @property
    def expected(self) -> Expected:
        """Six repetitions of every movement and person."""
        base = DATABASES[self.database]
        recordings = REPETITIONS * len(self._names) * len(self.subjects)
        return Expected("emg", recordings=recordings, channels=base.channels, rate=base.rate)

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take each person's file of the exercise out of their archive."""
        return tuple(name for subject in self.subjects for name in self._take(subject, folder, cache))

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a repetition, in the order of repetitions, so that a fold leaves whole ones out."""
        cut = [one for subject in self.subjects for one in self._repetitions(subject, folder, sources)]
        return sorted(cut, key=lambda one: one.require_trials().column("repetition")[0])

    @property
    def _names(self) -> tuple[str, ...]:
        """Classes, numbered within the exercise."""
        count = DATABASES[self.database].movements[self.exercise]
        return tuple(f"e{self.exercise}-{movement:02d}" for movement in range(1, count + 1))

    def _ending(self, subject: int) -> str:
        """How the name of a person's file ends."""
        return f"/S{subject}_E{self.exercise}_A1.mat"

    def _take(self, subject: int, folder: Path, cache: Path) -> tuple[str, ...]:
        """One person's file, out of their archive."""
        url = f"{HOST}/{DATABASES[self.database].archive.format(subject)}"
        archive = fetch_unpinned(url, cache=cache)
        taken = unpack(archive, folder, wanted=lambda name: f"/{name}".endswith(self._ending(subject)), origin=url)
        if not taken:
            raise FileNotFoundError(
                f"{url} has no file {self._ending(subject)}; delete it from the cache and try again"
            )
        return taken

    def _repetitions(self, subject: int, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """Cut one person's session."""
        base, name = DATABASES[self.database], self.one(sources, self._ending(subject))
        held = read_mat(folder / name, "emg", "restimulus", "rerepetition")
        emg, movement, repetition = (held[key] for key in ("emg", "restimulus", "rerepetition"))
        require_rows(folder / name, held)
        if emg.shape[1] != base.channels:
            raise ValueError(f"{folder / name}: emg must have {base.channels} channels, got {emg.shape[1]}")
        channels = tuple(f"emg-{index + 1}" for index in range(base.channels))
        movement = movement.reshape(-1).astype(np.int64)
        pieces = _pieces(movement, repetition.reshape(-1).astype(np.int64))
        if not pieces:
            raise ValueError(
                f"{folder / name}: restimulus and rerepetition mark no movement; delete it and download again"
            )
        start = min(code for *_, code, _ in pieces) - 1  # some files count on from the exercise before
        return [
            Recording(
                subject=f"{self.database}-s{subject:02d}",
                session=f"e{self.exercise}-m{code - start:02d}-r{again}",
                signals={
                    "emg": Signal(emg[low:high].astype(np.float32), base.rate, base.unit, channels, low / base.rate)
                },
                trials=Trials(
                    np.array([first / base.rate]),
                    np.array([last / base.rate]),
                    {
                        "label": np.array([f"e{self.exercise}-{code - start:02d}"]),
                        "movement": np.array([code]),
                        "repetition": np.array([again]),
                    },
                ),
                sources=(sources[name],),
            )
            for low, first, last, high, code, again in pieces
        ]


def _pieces(movement: np.ndarray, repetition: np.ndarray) -> list[tuple[int, int, int, int, int, int]]:
    """Bounds of each repetition: from the middle of the rest before it to the middle of the rest after it."""
    first, last, code = stretches(movement * 1000 + repetition * (movement > 0))
    spans: dict[int, list[int]] = {}  # a repetition that is interrupted for a moment is still one
    for begin, end, value in zip(first.tolist(), last.tolist(), code.tolist(), strict=True):
        if value % 1000:
            spans.setdefault(value, [begin, end])[1] = end
    ordered = sorted((begin, end, value) for value, (begin, end) in spans.items())
    middle = [(before[1] + after[0]) // 2 for before, after in pairwise(ordered)]
    edges = zip([0, *middle], ordered, [*middle, len(movement)], strict=True) if ordered else ()
    return [(low, begin, end, high, value // 1000, value % 1000) for low, (begin, end, value), high in edges]
