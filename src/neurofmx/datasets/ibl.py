"""Spikes of a mouse that turns a wheel to where a grating appeared (International Brain Laboratory)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, Self, final

import numpy as np
from pydantic import Field, model_validator

from neurofmx.datasets.access.alyx import DATA_SERVER, DATABASE, fetch_file, find_files
from neurofmx.datasets.shared.archive import Archive
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.recordings.recording import Events, Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

RATE = 100.0  # Hz of the wheel's velocity: bins of 10 ms
FINE = 1000.0  # Hz on which the wheel's position is smoothed
CUTOFF = 20.0  # Hz, above which the wheel does not move
BEHAVIOUR = ("alf/*_ibl_trials.table.pqt", "alf/*_ibl_wheel.position.npy", "alf/*_ibl_wheel.timestamps.npy")
CHOICES = {1: "left", -1: "right"}  # 0 is no answer in time
REWARDS = {1: "reward", -1: "error"}


@final
class Ibl(Archive):
    """Sorted units of Neuropixels probes, the velocity of the wheel, and the trials of the IBL task.

    Events `spikes` are named `probe00-17`; signal `wheel_velocity` is in rad/s at 100 Hz; trials last from the
    stimulus to the answer, with the columns `choice` (`left`, `right`), `reward` (`reward`, `error`), `contrast` (from
    -1, left, to 1, right) and `probability_left`. Trials without an answer are left out. Files keep the ALF layout.

    An account is asked for: it is free, and goes into the environment as ALYX_LOGIN and ALYX_PWD, or ALYX_TOKEN.

    Args:
        sessions: Identifiers of sessions, or none if `search` finds them.
        search: What `ONE.search` understands, such as `{project: brainwide, subject: SWC_043}`.
        limit: How many sessions of the search to take.
        probes: Shell pattern of the probes.
        sorter: Collection of the spike sorting.
        quality: Least `label` of a unit: the share of IBL's quality tests that it passes.
        target: What is decoded: `choice`, `reward` or `wheel_velocity`.
        database: Address of the Alyx database.
        data_server: Address of the files.

    Source: International Brain Laboratory et al., A brain-wide map of neural activity during complex behaviour, Nature
    645 (2025).
    """

    name: ClassVar[str] = "ibl"
    modalities: ClassVar[tuple[Modality, ...]] = ("spikes",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "CC BY 4.0, as IBL's data page states"
    citation: ClassVar[str] = "International Brain Laboratory et al. 2025, Nature 645:177-191"
    homepage: ClassVar[str] = "https://docs.internationalbrainlab.org/notebooks_external/data_release_brainwidemap.html"
    source: ClassVar[str] = "International Brain Laboratory, brain-wide map, through ONE"

    sessions: tuple[str, ...] = Field(
        default=("4ecb5d24-f5cc-402c-be28-9d0f7cb14b3a",), description="session identifiers"
    )
    search: dict[str, Any] = Field(default={}, description="further sessions, by what ONE.search understands")
    limit: int = Field(default=1, ge=1, description="how many sessions of the search to take")
    probes: str = Field(default="probe*", description="shell pattern of the probes")
    sorter: str = Field(default="pykilosort", description="collection of the spike sorting")
    quality: float = Field(default=1.0, ge=0, le=1, description="least share of quality tests that a unit passes")
    target: Literal["choice", "reward", "wheel_velocity"] = Field(default="choice", description="what is decoded")
    database: str = Field(default=DATABASE, description="address of the Alyx database")
    data_server: str = Field(default=DATA_SERVER, description="address of the files")

    @model_validator(mode="after")
    def _some_session(self) -> Self:
        if not self.sessions and not self.search:
            raise ValueError("name sessions, or a search that finds them")
        if len(set(self.sessions)) < len(self.sessions):
            raise ValueError(f"sessions must differ from one another, got {self.sessions}")
        return self

    @property
    def task(self) -> Task:
        """Which side was chosen, whether it was right, or how the wheel turns."""
        if self.target == "wheel_velocity":
            return Task("regression", "wheel_velocity", ("wheel_velocity",))
        names = CHOICES if self.target == "choice" else REWARDS
        return Task("classification", self.target, tuple(names.values()))

    @property
    def split(self) -> Split:
        """A fifth of each session is left out at a time, with a gap of about a trial."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=2.0)

    @property
    def expected(self) -> Expected | None:
        """Unknown: nobody here has seen how many good units a session has."""
        return None

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Let ONE find the files, and fetch them."""
        spikes = f"alf/{self.probes}/{self.sorter}/*"
        units = (f"{spikes}spikes.times.npy", f"{spikes}spikes.clusters.npy", f"{spikes}clusters.metrics.pqt")
        servers = {"database": self.database, "data_server": self.data_server}
        files = find_files(self.sessions, self.search, limit=self.limit, patterns=(*BEHAVIOUR, *units), **servers)
        wanted = [file for file in files if not names or file.path in names]
        for file in wanted:
            fetch_file(file, folder / file.path, cache=cache)
        return tuple(file.path for file in wanted)

    def parse(self, folder: Path, sources: dict[str, Source]) -> Iterator[Recording]:
        """One recording a session."""
        sessions: dict[str, list[str]] = defaultdict(list)
        for name in sorted(sources):
            sessions["/".join(PurePosixPath(name).parts[:5])].append(name)  # lab, Subjects, subject, date, number
        for session, files in sessions.items():
            yield self._checked(folder, PurePosixPath(session), files, tuple(sources[name] for name in files))

    def _checked(
        self, folder: Path, session: PurePosixPath, files: list[str], sources: tuple[Source, ...]
    ) -> Recording:
        """One session, or what is wrong with it."""
        try:
            return self._session(folder, session, files, sources)
        except (OSError, EOFError, KeyError, TypeError, IndexError) as error:
            raise ValueError(
                f"session {session}: damaged, or not laid out as this reader expects "
                f"({type(error).__name__}: {error}); delete {folder} and download it again"
            ) from error

    def _session(
        self, folder: Path, session: PurePosixPath, files: list[str], sources: tuple[Source, ...]
    ) -> Recording:
        """One session."""
        position, stamps = (
            np.load(folder / one_of(files, f"*_ibl_wheel.{part}.npy")) for part in ("position", "timestamps")
        )
        wheel = wheel_velocity(position, stamps)
        trials = _trials(folder / one_of(files, "*_ibl_trials.table.pqt"))
        units = self._units(folder, files)
        return Recording(
            session.parts[2],
            f"{session.parts[3]}-{session.parts[4]}",
            {"wheel_velocity": wheel},
            {"spikes": units.slice(wheel.start, wheel.stop)},
            trials.slice(wheel.start, wheel.stop),
            sources,
        )

    def _units(self, folder: Path, files: list[str]) -> Events:
        """Spikes of the good units of all probes."""
        import pandas as pd  # imported here: only this reader needs it

        trains: list[tuple[np.ndarray, np.ndarray]] = []
        names: list[str] = []
        for metrics in (name for name in files if name.endswith("/clusters.metrics.pqt")):
            probe = PurePosixPath(metrics).parts[6]
            own = [name for name in files if PurePosixPath(name).parts[6] == probe]
            table = pd.read_parquet(folder / metrics, columns=["cluster_id", "label"])
            passed = table["label"].to_numpy() >= self.quality - 1e-9  # thirds, as the file rounds them
            good = np.sort(table["cluster_id"].to_numpy()[passed])
            times = np.load(folder / one_of(own, "*/spikes.times.npy"))
            clusters = np.load(folder / one_of(own, "*/spikes.clusters.npy"))
            kept = np.isin(clusters, good) & np.isfinite(times)
            trains.append((times[kept], len(names) + np.searchsorted(good, clusters[kept])))
            names += [f"{probe}-{cluster}" for cluster in good]
        if not names:
            raise ValueError(f"{self.name}: no unit with a quality of {self.quality:g} or more; lower `quality`")
        times, sources = (np.concatenate(parts) for parts in zip(*trains, strict=True))
        order = np.argsort(times, kind="stable")
        return Events(times[order], sources[order], tuple(names))


def one_of(files: Sequence[str], pattern: str) -> str:
    """The one file of that pattern; raises ValueError naming what there is."""
    found = [name for name in files if fnmatchcase(name, pattern)]
    if len(found) != 1:
        raise ValueError(f"ibl: expected one file {pattern}, found {len(found)} among {', '.join(files) or 'none'}")
    return found[0]


def wheel_velocity(position: np.ndarray, stamps: np.ndarray) -> Signal:
    """Velocity of the wheel at 100 Hz.

    The position is taken to 1000 Hz along straight lines, smoothed forwards and backwards by a Butterworth low-pass of
    20 Hz, and differentiated.

    Args:
        position: Angle of the wheel `(samples,)`, rad, turns counted on.
        stamps: Time of each `(samples,)`, s, sorted.

    Returns:
        Signal `(time, 1)`, rad/s.

    Raises:
        ValueError: If there are no samples for a tenth of a second, or more or fewer times than positions.
    """
    from scipy.signal import butter, sosfiltfilt  # imported here: half a second that only this reader needs

    if position.shape != stamps.shape or len(stamps) < 2 or stamps[-1] - stamps[0] < 0.1:
        raise ValueError(
            f"ibl: wheel needs a position and a time for each of its samples, got {position.shape}, {stamps.shape}"
        )
    clock = np.arange(stamps[0], stamps[-1], 1 / FINE)
    smooth = sosfiltfilt(butter(4, CUTOFF, fs=FINE, output="sos"), np.interp(clock, stamps, position))
    velocity = np.gradient(smooth, 1 / FINE)[:: round(FINE / RATE)]
    return Signal(velocity[:, None].astype(np.float32), RATE, "rad/s", ("wheel_velocity",), float(stamps[0]))


def _trials(path: Path) -> Trials:
    """Answered trials of a session."""
    import pandas as pd  # imported here: only this reader needs it

    table = {name: column.to_numpy() for name, column in pd.read_parquet(path).items()}
    start, stop, choice = table["stimOn_times"], table["response_times"], table["choice"]
    kept = np.isfinite(start) & np.isfinite(stop) & (stop >= start) & np.isin(choice, list(CHOICES))
    contrast = np.nan_to_num(table["contrastRight"]) - np.nan_to_num(table["contrastLeft"])
    columns = {
        "choice": np.array([CHOICES[int(value)] for value in choice[kept]], str),
        "reward": np.array([REWARDS[int(value)] for value in table["feedbackType"][kept]], str),
        "contrast": contrast[kept],
        "probability_left": table["probabilityLeft"][kept],
    }
    return Trials(start[kept], stop[kept], columns)
