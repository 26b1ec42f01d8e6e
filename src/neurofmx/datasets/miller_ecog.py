"""ECoG of patients who look at pictures, move, or bend fingers (Miller's library, Stanford Digital Repository)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, final

import numpy as np
from pydantic import StringConstraints

from neurofmx.datasets.access.unpack import unpack
from neurofmx.datasets.access.unpinned import fetch_unpinned
from neurofmx.datasets.formats.matfile import read_mat, require_rows, stretches
from neurofmx.datasets.shared.archive import Archive
from neurofmx.datasets.shared.base import Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

HOST = "https://stacks.stanford.edu/file/druid:zk881ps0522"
RATE = 1000.0  # Hz, of every experiment
VOLT = 0.0298e-6  # V per unit of the amplifier; the notes on two of the three experiments state it
SHORTEST = 0.05  # s; a stretch of a cue that is shorter is a flicker of the marker

Name = Literal["faces_basic", "motor_basic", "fingerflex"]


@dataclass(frozen=True)
class Experiment:
    """One of the library's zip archives.

    Args:
        md5: MD5 sum of the archive, as public scripts that fetch it state.
        ending: What follows the patient's code in the name of a data file.
        places: What follows it in the name of a file with positions, or none.
        cue: Variable with one code a sample.
        labels: Class by code; other codes are no trial.
    """

    md5: str
    ending: str
    places: str | None
    cue: str
    labels: dict[int, str]


EXPERIMENTS: dict[Name, Experiment] = {
    "faces_basic": Experiment(
        md5="812d92b2be0de466ba6c6683b53ea7f8",
        ending="_faceshouses.mat",
        places=None,  # voxels of the patient's own scan, no metres
        cue="stim",
        labels=dict.fromkeys(range(1, 51), "house") | dict.fromkeys(range(51, 101), "face"),  # one code a picture
    ),
    "motor_basic": Experiment(
        md5="cf87d50299b950ba251cf210217bb0aa",
        ending="_mot_t_h.mat",
        places="_electrodes.mat",
        cue="stim",
        labels={11: "tongue", 12: "hand"},
    ),
    "fingerflex": Experiment(
        md5="8e44fef2a12ef42868b01a031f5b6350",
        ending="_fingerflex.mat",
        places=None,  # in the data file itself
        cue="cue",
        labels={1: "thumb", 2: "index", 3: "middle", 4: "ring", 5: "little"},
    ),
}


@final
class MillerEcog(Archive):
    """Subdural grids at 1000 Hz; a recording is one patient's session of one experiment.

    Signal `ecog` is `(time, channels)` in V, channels `ecog-1` and on; trials carry the cue as `label`, the time
    between cues is no trial. Array `ecog_positions` is `(channels, 3)` in m (Talairach), for `motor_basic` and
    `fingerflex`. Patients have different grids, so that a run takes one.

    The format was written down from public descriptions of it; this reader has never met the archive itself.

    Args:
        experiment: `faces_basic` (pictures of faces or houses, 0.4 s each, default; 14 patients), `motor_basic` (tongue
            or hand moves, about 3 s) or `fingerflex` (a finger bends; 9 patients).
        patient: The library's two-letter code of the patient, default `ja`.

    Source: Miller, A library of human electrocorticographic data and analyses, Nature Human Behaviour 3 (2019).
    """

    name: ClassVar[str] = "miller_ecog"
    modalities: ClassVar[tuple[Modality, ...]] = ("ecog",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "CC BY-SA 4.0"
    citation: ClassVar[str] = "Miller 2019, Nature Human Behaviour 3:1225-1235"
    homepage: ClassVar[str] = "https://purl.stanford.edu/zk881ps0522"
    source: ClassVar[str] = "Stanford Digital Repository zk881ps0522"

    experiment: Name = "faces_basic"
    patient: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = "ja"

    @property
    def task(self) -> Task:
        """Which cue was given."""
        return Task("classification", "label", tuple(dict.fromkeys(EXPERIMENTS[self.experiment].labels.values())))

    @property
    def split(self) -> Split:
        """A fifth of the session is left out at a time, with a gap around it."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=1.0)

    @property
    def expected(self) -> None:
        """Nothing: grids differ from patient to patient, and nobody here has met one."""

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the patient's files out of the experiment's archive, 0.6 to 0.9 GB once."""
        url = f"{HOST}/{self.experiment}.zip"
        archive = fetch_unpinned(url, cache=cache, md5=EXPERIMENTS[self.experiment].md5)
        taken = unpack(archive, folder, wanted=lambda name: f"/{name}".endswith(self._endings), origin=url)
        if not taken:
            raise FileNotFoundError(f"{url} has no file of patient {self.patient!r}; correct options.patient")
        return taken

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The one session."""
        experiment = EXPERIMENTS[self.experiment]
        path = folder / self.one(sources, self._endings[0])
        held = read_mat(path, "data", experiment.cue, optional=("locs", "srate"))
        data, cue = held["data"], held[experiment.cue].reshape(-1)
        require_rows(path, {"data": data, experiment.cue: cue})
        rate = float(held["srate"].flat[0]) if "srate" in held else RATE
        places = held.get("locs") if experiment.places is None else self._places(folder, sources)
        channels = tuple(f"ecog-{index + 1}" for index in range(data.shape[1]))
        return [
            Recording(
                subject=self.patient,
                session=self.experiment,
                signals={"ecog": Signal((data * VOLT).astype(np.float32), rate, "V", channels)},
                trials=_trials(cue, experiment, rate=rate),
                sources=tuple(sources.values()),
                arrays={} if places is None else {"ecog_positions": _metres(places, path, channels=len(channels))},
            )
        ]

    @property
    def _endings(self) -> tuple[str, ...]:
        """How the names of the patient's files end: the data, and the positions where they have a file of their own."""
        experiment = EXPERIMENTS[self.experiment]
        return tuple(f"/{self.patient}{ending}" for ending in (experiment.ending, experiment.places) if ending)

    def _places(self, folder: Path, sources: dict[str, Source]) -> np.ndarray:
        """Positions that lie in a file of their own."""
        return read_mat(folder / self.one(sources, self._endings[1]), "electrodes")["electrodes"]


def _trials(cue: np.ndarray, experiment: Experiment, *, rate: float) -> Trials:
    """One trial a stretch of a known code."""
    first, last, code = stretches(cue)
    kept = np.isin(code, list(experiment.labels)) & (last - first >= SHORTEST * rate)
    labels = np.array([experiment.labels[int(value)] for value in code[kept]], dtype=np.str_)
    return Trials(first[kept] / rate, last[kept] / rate, {"label": labels, "code": code[kept].astype(np.int64)})


def _metres(places: np.ndarray, path: Path, *, channels: int) -> np.ndarray:
    """Positions in m from the library's mm."""
    if places.shape != (channels, 3):
        raise ValueError(f"{path}: positions must be ({channels}, 3), got {places.shape}; delete it and download again")
    return np.asarray(places, np.float64) / 1000
