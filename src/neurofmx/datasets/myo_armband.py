"""Surface EMG of the forearm during seven hand gestures (Myo armband, Laval University)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, ClassVar, Literal, final

import numpy as np
from pydantic import AfterValidator, Field

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

COMMIT = "4de3efef85356fbf565d96a150f386d99165cfee"
RATE = 200.0  # Hz
GESTURES = ("neutral", "radial", "flexion", "ulnar", "extension", "close", "open")
FILES = 28  # of a session: four cycles through the gestures
Person = Literal["Female0", "Male0", "Male1", "Male2"]


def _distinct(people: tuple[Person, ...]) -> tuple[Person, ...]:
    """A person counted twice would stand in training and test."""
    if len(set(people)) < len(people):
        raise ValueError(f"people must differ from one another, got {people}")
    return people


@final
class MyoArmband(Dataset):
    """8 channels at 200 Hz; a recording is one gesture held for about 5 s, 84 of them a person in three sessions.

    Signal `emg` is `(time, 8)` in the armband's own unit, a signed byte; the one trial covers the recording. Subjects
    are named as in the archive, sessions `training0-00` to `Test1-27`: the file's number is cycle times 7 plus gesture.

    Args:
        people: Whose recordings, default all four whose checksums are known here.
        unseen: What a test is new in: a `session` (default) trains a model for each person on the first session's
            cycles 0 to 2, with cycle 3 for validation, and tests the two later sessions; a `person` tests each person
            by a model of the others.

    Source: Côté-Allard et al., Deep learning for electromyographic hand gesture signal classification using transfer
        learning, IEEE TNSRE 27 (2019), the evaluation part.
    """

    name: ClassVar[str] = "myo_armband"
    modalities: ClassVar[tuple[Modality, ...]] = ("emg",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "GPL-3.0 (repository); none stated for the data"
    citation: ClassVar[str] = "Côté-Allard et al. 2019, IEEE TNSRE 27:760-771"
    homepage: ClassVar[str] = "https://github.com/UlysseCoteAllard/MyoArmbandDataset"
    source: ClassVar[str] = f"repository UlysseCoteAllard/MyoArmbandDataset at {COMMIT[:12]}, EvaluationDataset"

    people: Annotated[tuple[Person, ...], Field(min_length=1), AfterValidator(_distinct)] = (
        "Female0",
        "Male0",
        "Male1",
        "Male2",
    )
    unseen: Literal["session", "person"] = "session"

    @property
    def task(self) -> Task:
        """Which gesture is held."""
        return Task("classification", "gesture", GESTURES)

    @property
    def split(self) -> Split:
        """Later sessions of the same person, or people that training never saw."""
        people = len(self.people)
        if self.unseen == "person":
            return Split(f"people-{people}fold-v1", kind="groups", folds=people, validation="groups", by="subject")
        test = tuple(_session(session, k) for session in ("Test0", "Test1") for k in range(FILES))
        held = tuple(_session("training0", k) for k in range(FILES - len(GESTURES), FILES))
        return Split(
            f"sessions-{people}people-v1",
            kind="given",
            folds=people,
            validation="groups",
            by="subject",
            test=test,
            held=held,
        )

    @property
    def expected(self) -> Expected:
        """84 recordings a person."""
        return Expected("emg", recordings=3 * FILES * len(self.people), channels=8, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """The wanted people's files, with sums kept beside this module."""
        table = files("neurofmx.datasets").joinpath("checksums", "myo_armband.txt").read_text(encoding="utf-8")
        known = {name: sha256 for sha256, name in (line.split() for line in table.splitlines())}
        return {name: sha256 for name, sha256 in known.items() if name.split("/")[1] in self.people}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the files at the commit."""
        fetch_repository_files(
            "UlysseCoteAllard/MyoArmbandDataset",
            COMMIT,
            paths={name: name for name in names},
            checksums=self.checksums(),
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a file."""
        return [_gesture(folder / name, sources[name]) for name in self.checksums()]


def _session(session: str, number: int) -> str:
    """Name of a recording among those of its person."""
    return f"{session}-{number:02d}"


def _gesture(path: Path, source: Source) -> Recording:
    """Read one file: int16, the eight channels of a sample one after the other."""
    values = np.fromfile(path, dtype="<i2")
    if not len(values) or len(values) % 8:
        raise ValueError(f"{path.name}: must hold samples of 8 channels, got {len(values)} values; download it again")
    number = int(path.stem.removeprefix("classe_"))
    channels = tuple(f"EMG{k}" for k in range(1, 9))
    emg = Signal(values.reshape(-1, 8).astype(np.float32), RATE, "a.u.", channels)
    label = {"gesture": np.array([GESTURES[number % len(GESTURES)]])}
    return Recording(
        subject=path.parents[1].name,
        session=_session(path.parent.name, number),
        signals={"emg": emg},
        trials=Trials(np.zeros(1), np.array([emg.stop]), label),
        sources=(source,),
    )
