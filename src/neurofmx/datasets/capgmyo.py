"""High-density forearm EMG of eight gestures, ten times each (CapgMyo DB-a)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, final

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from neurofmx.datasets.access.unpack import unpack
from neurofmx.datasets.access.unpinned import fetch_unpinned
from neurofmx.datasets.formats.matfile import read_mat
from neurofmx.datasets.shared.archive import Archive, distinct
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

HOST = "http://zju-capg.org/myo/data"
RATE = 1000.0  # Hz
CHANNELS = 128  # 8 strips of 16 electrodes around the forearm
GESTURES, TRIALS = 8, 10
VOLT = 2.5e-3  # V at full scale: samples lie in -1..1


@final
class Capgmyo(Archive):
    """A recording is one trial: a gesture held for 1 s.

    Signal `emg` is `(time, 128)` in V at 1000 Hz, as the archive has filtered it (20 to 380 Hz, no mains); channels are
    `emg-1` and on. A recording's one trial is all of it, with the class as `label` and the archive's `repetition`.

    The format was written down from public descriptions of it; this reader has never met the archive itself.

    Args:
        subjects: Which of the 18 people, default the first.
        leave_out: What a fold tests on: two `repetitions` of every gesture that training never saw (default), or
            `subjects` (three or more).

    Source: Du et al., Surface EMG-based inter-session gesture recognition enhanced by deep domain adaptation, Sensors
    17 (2017).
    """

    name: ClassVar[str] = "capgmyo"
    modalities: ClassVar[tuple[Modality, ...]] = ("emg",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "none stated on the site"
    citation: ClassVar[str] = "Du et al. 2017, Sensors 17:458; Geng et al. 2016, Scientific Reports 6:36571"
    homepage: ClassVar[str] = "http://zju-capg.org/research_en_electro_capgmyo.html"
    source: ClassVar[str] = "CapgMyo DB-a, preprocessed: a zip archive of MATLAB files a person"

    subjects: Annotated[
        tuple[Annotated[int, Field(ge=1, le=18)], ...], Field(min_length=1), AfterValidator(distinct)
    ] = (1,)
    leave_out: Literal["repetitions", "subjects"] = "repetitions"

    @model_validator(mode="after")
    def _enough_people(self) -> Self:
        if self.leave_out == "subjects" and len(self.subjects) < 3:
            raise ValueError(f"leave_out='subjects' needs 3 subjects to train, validate and test, got {self.subjects}")
        return self

    @property
    def task(self) -> Task:
        """Which gesture is held."""
        return Task("classification", "label", tuple(f"gesture-{index + 1}" for index in range(GESTURES)))

    @property
    def split(self) -> Split:
        """Two of the ten repetitions are left out at a time, or people, at most ten folds."""
        if self.leave_out == "subjects":
            folds = min(len(self.subjects), 10)
            return Split(f"subjects-{folds}fold-v1", "groups", folds, validation="groups", by="subject")
        return Split("repetitions-5fold-v1", kind="groups", folds=5, validation="groups")

    @property
    def expected(self) -> Expected:
        """Ten repetitions of eight gestures a person."""
        return Expected("emg", recordings=GESTURES * TRIALS * len(self.subjects), channels=CHANNELS, rate=RATE)

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the trials of every person out of their archive."""
        taken = []
        for subject in self.subjects:
            url = f"{HOST}/dba-preprocessed-{subject:03d}.zip"
            archive = fetch_unpinned(url, cache=cache)
            wanted = tuple(self._ending(*trial) for trial in self._trials if trial[1] == subject)
            taken += unpack(archive, folder, wanted=lambda name, ends=wanted: f"/{name}".endswith(ends), origin=url)
        return tuple(taken)

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a trial, in the order of repetitions, so that a fold leaves whole ones out."""
        return [self._recording(*trial, folder, sources) for trial in self._trials]

    @property
    def _trials(self) -> list[tuple[int, int, int]]:
        """Repetition, person and gesture of every trial."""
        trials, gestures = range(1, TRIALS + 1), range(1, GESTURES + 1)
        return [(trial, subject, gesture) for trial in trials for subject in self.subjects for gesture in gestures]

    def _ending(self, trial: int, subject: int, gesture: int) -> str:
        """How the name of a trial's file ends."""
        return f"/{subject:03d}-{gesture:03d}-{trial:03d}.mat"

    def _recording(self, trial: int, subject: int, gesture: int, folder: Path, sources: dict[str, Source]) -> Recording:
        """Read one trial."""
        name = self.one(sources, self._ending(trial, subject, gesture))
        held = read_mat(folder / name, "data", "gesture", "subject", "trial")
        stated = tuple(int(held[key].flat[0]) for key in ("trial", "subject", "gesture"))
        if stated != (trial, subject, gesture) or held["data"].ndim != 2 or held["data"].shape[1] != CHANNELS:
            raise ValueError(
                f"{folder / name}: must hold trial, subject, gesture {(trial, subject, gesture)}, {CHANNELS} channels, "
                f"got {stated}, data {held['data'].shape}; delete it and download again"
            )
        data = (held["data"] * VOLT).astype(np.float32)
        channels = tuple(f"emg-{index + 1}" for index in range(CHANNELS))
        return Recording(
            subject=f"dba-s{subject:02d}",
            session=f"g{gesture}-r{trial:02d}",
            signals={"emg": Signal(data, RATE, "V", channels)},
            trials=Trials(
                np.zeros(1),
                np.array([len(data) / RATE]),
                {"label": np.array([f"gesture-{gesture}"]), "repetition": np.array([trial])},
            ),
            sources=(sources[name],),
        )
