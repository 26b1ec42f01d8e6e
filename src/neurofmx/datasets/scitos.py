"""A wheeled robot that follows the walls of a room by its sonars (SCITOS G5)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

FILE = "sensor_readings_24.data"
SHA256 = "d16340156958f2317c63a93418ab9aa7d60ad0d07869c2e5854d6f14a0755317"
MOVES = ("Move-Forward", "Sharp-Right-Turn", "Slight-Left-Turn", "Slight-Right-Turn")
RATE = 9.0  # Hz, of the sonars
SONARS = 24
TRAINING = 0.7  # share of the run


@final
class Scitos(Dataset):
    """5456 readings of 24 sonars around the robot's waist over ten minutes and four rounds, and how it then moved.

    Signal `trajectory` is `(time, 24)`, distances in m from 0 to 5, sonar 1 looking back and the others following
    clockwise. A trial is a stretch of one movement, `label`. The run is divided where 70 % of it are over; recordings
    `train` and `test` share its clock.

    The label is the answer of a program to the readings, by thresholds on the nearest obstacle in front, left, right
    and behind; the source publishes those too, as the lowest of the sonars in arcs of 60 degrees. Logistic regression
    on distances reaches an accuracy of 0.698, a forest 0.993. A linear model can do so too where each distance may bend
    (`models.linear.features: lines`) and arcs stand beside the sonars (`preprocess.arc`).

    Source: Freire et al., Short-term memory mechanisms in neural network learning of robot navigation tasks, LARS
    (2009).
    """

    name: ClassVar[str] = "scitos"
    modalities: ClassVar[tuple[Modality, ...]] = ("trajectory",)
    species: ClassVar[str] = "none (mobile robot)"
    licence: ClassVar[str] = "CC BY 4.0 (UCI repository); none stated in the repository"
    citation: ClassVar[str] = "Freire et al. 2009, LARS, doi:10.1109/LARS.2009.5418323"
    homepage: ClassVar[str] = "https://archive.ics.uci.edu/dataset/194"
    source: ClassVar[str] = "github.com/Transcendence-ML-Python/robot-sensor-data-classification-ml at e521368"

    @property
    def task(self) -> Task:
        """How the robot moves."""
        return Task("classification", "label", MOVES)

    @property
    def split(self) -> Split:
        """The last 30 % of the run; movements last about a second, ten seconds are a block of their own."""
        return Split("time-70-30-v1", kind="given", folds=1, validation="tail", test=("test",), gap=1.0, block=10.0)

    @property
    def expected(self) -> Expected:
        """Two parts of one run."""
        return Expected("trajectory", recordings=2, channels=SONARS, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """One table, a row a reading."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Fetch the table from the repository."""
        fetch_repository_files(
            "Transcendence-ML-Python/robot-sensor-data-classification-ml",
            "e52136804029a0360eb7a4e6f3dbddf11722debd",
            paths={FILE: FILE},
            checksums={FILE: SHA256},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The run in two parts."""
        distances, moves = _read(folder / FILE)
        border = int(TRAINING * len(moves))
        return [
            Recording(
                subject="scitos-g5",
                session=session,
                signals={"trajectory": _signal(distances[rows], start=rows.start / RATE)},
                trials=_stretches(moves[rows], start=rows.start / RATE),
                sources=tuple(sources.values()),
            )
            for session, rows in (("train", slice(0, border)), ("test", slice(border, len(moves))))
        ]


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Distances `(time, 24)` in m, and movements `(time,)`."""
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").split()[1:]]
    wrong = next((i for i, row in enumerate(rows) if len(row) != SONARS + 1), None)
    if wrong is not None or not rows:
        raise ValueError(f"{path.name}: line {2 + (wrong or 0)} must hold {SONARS} distances and a movement")
    try:
        return np.array([row[:-1] for row in rows], np.float64), np.array([row[-1] for row in rows])
    except ValueError as error:
        raise ValueError(f"{path.name}: a distance is no number ({error}); download it again") from error


def _signal(distances: np.ndarray, *, start: float) -> Signal:
    """The sonars with their names."""
    return Signal(distances, RATE, "m", tuple(f"sonar-{i + 1}" for i in range(SONARS)), start)


def _stretches(moves: np.ndarray, *, start: float) -> Trials:
    """One trial for each stretch of one movement."""
    first = np.flatnonzero(np.r_[True, moves[1:] != moves[:-1]])
    last = np.r_[first[1:], len(moves)]
    return Trials(start + first / RATE, start + last / RATE, {"label": moves[first]})
