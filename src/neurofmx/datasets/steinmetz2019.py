"""Neuropixels in mice that turn a wheel towards the stronger of two gratings (Carandini and Harris laboratory)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

CHECKSUMS = {
    1: "5f021a487ca405e48b3ed921e8b184102eede767468b5a0f2a19e1bd6e1c8c7c",
    3: "db17472c24b4d711287cc8646e9f5ac852d82e008e0a67a1a10b1e1e6a504f54",
    5: "7c0c669d8d529c41ea0843b68dee44e796f161ecc0d96577c2b2315302111fbd",
    7: "3ba33bd192271e86b698d7980ae95bfc949a652b918c13febf6618ed40e27656",
    9: "0b1380265b6bfb8005c3d42330bf5ae1bf9766d7fb36229f40b4c2bb8c9a7b33",
    11: "d1ccdc839e4842e64c822acf0c2204baf791474b4a3d733d9d5d3b6a7a1f904c",
    13: "2fd741edefecb8e6590a2c3d9ab57cda1b770910fac3703fa64edf1c3cda062f",
    15: "18ca16e04b41184080c856602d2c52aaffcce89e2ad7c704da88b77adffabfcf",
    17: "ea19d198931fdfc47e09945a1bc74f5df3518c4c284277c8987b44cfb63abcba",
}
MICE = {1: "Cori", 3: "Cori", 5: "Forssmann", 7: "Forssmann", 9: "Hench", 11: "Hench"} | dict.fromkeys(
    (13, 15, 17), "Lederberg"
)
UNITS = {1: 734, 3: 619, 5: 1077, 7: 584, 9: 788, 11: 857, 13: 983, 15: 743, 17: 565}
RATE = 100.0  # Hz: bins of 10 ms
BINS = 40  # of a trial, from the onset of the stimulus
Number = Literal[1, 3, 5, 7, 9, 11, 13, 15, 17]


def _distinct(sessions: tuple[int, ...]) -> tuple[int, ...]:
    """A session counted twice would stand in training and test."""
    if len(set(sessions)) < len(sessions):
        raise ValueError(f"must differ from one another, got {sessions}")
    return sessions


@final
class Steinmetz2019(Dataset):
    """Spike counts of 565 to 1077 units in several regions, in bins of 10 ms over the 0.4 s after a stimulus.

    A recording is a session of one mouse. The source keeps these 0.4 s of each trial alone, so they are laid end to
    end: trial `i` of a session lasts from `0.4 i` to `0.4 (i + 1)` s, and column `onset` has the time in the session.
    Signal `spikes` covers all trials; `trials` are those in which one side's contrast is higher, named in `side`, with
    `contrast_left`, `contrast_right` and `feedback` (1 for a reward). Units are named by session and region.

    Args:
        sessions: Which of the 9 odd-numbered sessions of 18, default all.
        last: What is taken of these: all `with` the last session of each mouse, the others `without` it, or the last
            ones `only`, so that a model can be pretrained on the earlier sessions of the mice that it is tested on.

    Source: Steinmetz et al., Distributed coding of choice, action and engagement across the mouse brain, Nature 576
    (2019), as cut for a course.
    """

    name: ClassVar[str] = "steinmetz2019"
    modalities: ClassVar[tuple[Modality, ...]] = ("spikes",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "none stated in the repository; the original release is figshare 9598406"
    citation: ClassVar[str] = "Steinmetz et al. 2019, Nature 576:266-273"
    homepage: ClassVar[str] = "https://github.com/zenman88/STA141Final"
    source: ClassVar[str] = "repository zenman88/STA141Final, sessions"

    sessions: Annotated[tuple[Number, ...], Field(min_length=1), AfterValidator(_distinct)] = tuple(UNITS)  # type: ignore[assignment]
    last: Literal["with", "without", "only"] = "with"

    @model_validator(mode="after")
    def _some_are_left(self) -> Steinmetz2019:
        if not self.chosen:
            raise ValueError(
                f"last={self.last}: none of the sessions {list(self.sessions)} is left; each is its mouse's last"
            )
        return self

    @property
    def chosen(self) -> tuple[int, ...]:
        """The sessions that are read, in the order of the option."""
        if self.last == "with":
            return self.sessions
        final = {MICE[number]: number for number in sorted(self.sessions)}.values()  # they are numbered by date
        return tuple(number for number in self.sessions if (number in final) == (self.last == "only"))

    @property
    def task(self) -> Task:
        """On which side the stronger grating is; the sides are not equally frequent, so ranks are compared."""
        return Task("classification", "side", ("left", "right"), score="auc")

    @property
    def split(self) -> Split:
        """A fifth of each session's trials is left out at a time, with one trial on each side of it.

        Trials begin 3.5 s apart at least, so a gap of one trial is no less than that.
        """
        name = {"with": "blocks", "without": "earlier-sessions", "only": "held-out-last-session"}[self.last]
        trial = BINS / RATE
        return Split(f"{name}-5fold-v1", kind="blocks", folds=5, validation="tail", gap=trial, block=trial)

    @property
    def expected(self) -> Expected:
        """The chosen sessions."""
        units = tuple(UNITS[number] for number in self.chosen)
        return Expected("spikes", recordings=len(units), channels=units, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """A file a session."""
        return {f"session{number}.rds": CHECKSUMS[number] for number in self.chosen}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the files from the repository."""
        fetch_repository_files(
            "zenman88/STA141Final",
            "a9206d43a0cc8a20922d80b9b23cb768164db3e0",
            paths={name: f"sessions/{name}" for name in names},
            checksums=self.checksums(),
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The chosen sessions, in the order of the option."""
        return [_read(folder / f"session{n}.rds", n, sources[f"session{n}.rds"]) for n in self.chosen]


def _read(path: Path, number: int, source: Source) -> Recording:
    """One session."""
    session = _open(path)
    left, right, feedback, areas = (
        np.ravel(session[name]) for name in ("contrast_left", "contrast_right", "feedback_type", "brain_area")
    )
    counts = np.stack([np.asarray(trial) for trial in session["spks"]])  # trials, units, bins
    onset = np.array([np.ravel(bins)[0] for bins in session["time"]])
    if counts.shape != (len(left), len(areas), BINS) or not len(left) == len(right) == len(feedback) == len(onset):
        raise ValueError(
            f"{path.name}: counts {counts.shape} must be {len(left)} trials of {len(areas)} units in {BINS} bins"
        )
    units = tuple(f"s{number}-{area}-{i}" for i, area in enumerate(areas))
    spikes = Signal(counts.transpose(0, 2, 1).reshape(-1, len(areas)).astype(np.uint8), RATE, "spikes", units)
    asked = left != right
    columns = {"contrast_left": left, "contrast_right": right, "feedback": feedback, "onset": onset}
    columns["side"] = np.where(right > left, "right", "left")
    start = np.arange(len(left)) * BINS / RATE
    trials = Trials(start[asked], start[asked] + BINS / RATE, {name: c[asked] for name, c in columns.items()})
    mouse, date = (str(np.ravel(session[name])[0]) for name in ("mouse_name", "date_exp"))
    return Recording(mouse, f"{number:02d}-{date}", {"spikes": spikes}, trials=trials, sources=(source,))


def _open(path: Path) -> dict[str, Any]:
    """The list that R saved, by name."""
    import rdata  # imported here: half a second that only this reader needs

    try:
        session = rdata.read_rds(path)
    except Exception as error:  # the parser lets whatever it stumbles over through
        raise ValueError(f"{path.name}: no file of R that can be read ({error}); download it again") from error
    needed = (
        "contrast_left",
        "contrast_right",
        "feedback_type",
        "brain_area",
        "spks",
        "time",
        "mouse_name",
        "date_exp",
    )
    missing = [name for name in needed if not isinstance(session, dict) or name not in session]
    if missing:
        raise ValueError(f"{path.name}: holds no {', '.join(missing)}; download the file again")
    return session
