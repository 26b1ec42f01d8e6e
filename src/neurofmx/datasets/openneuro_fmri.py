"""fMRI of a task from OpenNeuro, as BIDS, with fMRIPrep's derivatives in a standard space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Self, final

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from neurofmx.datasets.access.s3 import Stored, fetch_stored, listing
from neurofmx.datasets.formats.bids_tree import Named, named, numbers, select, sidecar, table, trials
from neurofmx.datasets.formats.volumes import read_volumes, repetition_time
from neurofmx.datasets.shared.archive import Archive, Labels, LeaveOut, division
from neurofmx.datasets.shared.base import Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

BUCKET, DERIVED = "openneuro.org", "openneuro-derivatives"
IMAGES = (".nii.gz", ".nii")


class _Run(NamedTuple):
    """Which run of whom."""

    subject: str
    session: str | None
    run: str | None

    @property
    def entities(self) -> dict[str, str | None]:
        """As names of files state it."""
        return {"sub": self.subject, "ses": self.session, "run": self.run}

    @property
    def title(self) -> str:
        """Name of the session, such as `ses-a_run-01`."""
        parts = [f"{key}-{value}" for key, value in (("ses", self.session), ("run", self.run)) if value]
        return "_".join(parts) or "run"


@final
class OpenneuroFmri(Archive):
    """A recording is one run of one person, read one at a time, as a run of the whole brain can take half a gigabyte.

    Signal `bold` is `(volumes, x, y, z)` on the image grid, with the time between volumes from sidecar and header;
    signal `confounds` is `(volumes, columns)` as fMRIPrep names them (unknown first values are NaN). Arrays are `affine
    (4, 4)`, from voxel index to mm, and `mask (x, y, z)` where the derivatives hold one. Trials come from `events.tsv`.

    The default is a flanker task. Another task is a matter of options, for instance the pictures of Haxby et al. 2001:
    `dataset: ds000105, task_name: objectviewing, subjects: ["1"], runs: ["01", ..., "12"], join: 2.0`.

    The client has met a local server of the same protocol, never the archive itself.

    Args:
        dataset: OpenNeuro's accession number, default `ds000102`.
        subjects: Labels of people, default `01` to `06`.
        sessions: Labels of sessions, default none for a dataset without them.
        runs: Labels of runs, default `1` and `2`; empty for a dataset without them.
        task_name: Label of the task, default `flanker`.
        space: Space of fMRIPrep's images, default `MNI152NLin2009cAsym`; none takes the scanner's images as they are,
            which no atlas fits.
        resolution: Label of their resolution, default none for names without one.
        column: Column of `events.tsv` that names the condition, default `trial_type`.
        conditions: Conditions to tell apart, at least two.
        join: Pause in s up to which equal events are one trial, default 0 for every event on its own.
        leave_out: What a fold tests on: `subjects` (default), `runs` or `blocks`.

    Source: Markiewicz et al., The OpenNeuro resource for sharing of neuroscience data, eLife 10 (2021); Kelly et al.,
    Competition between functional brain networks mediates behavioral variability, NeuroImage 39 (2008), ds000102.
    """

    name: ClassVar[str] = "openneuro_fmri"
    modalities: ClassVar[tuple[Modality, ...]] = ("fmri",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "CC0 or PDDL, by dataset"
    citation: ClassVar[str] = "Markiewicz et al. 2021, eLife 10:e71774, and the dataset's own"
    homepage: ClassVar[str] = "https://openneuro.org"
    source: ClassVar[str] = "S3 buckets openneuro.org and openneuro-derivatives/fmriprep"

    dataset: Annotated[str, StringConstraints(pattern=r"^ds\d{6}$")] = "ds000102"
    subjects: Annotated[Labels, Field(min_length=1)] = ("01", "02", "03", "04", "05", "06")
    sessions: Labels = ()
    runs: Labels = ("1", "2")
    task_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+$")] = "flanker"
    space: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+$")] | None = "MNI152NLin2009cAsym"
    resolution: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+$")] | None = None
    column: str = "trial_type"
    conditions: Annotated[tuple[str, ...], Field(min_length=2)] = ("congruent_correct", "incongruent_correct")
    join: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    leave_out: LeaveOut = "subjects"

    @model_validator(mode="after")
    def _can_be_divided(self) -> Self:
        _ = self.split
        return self

    @property
    def task(self) -> Task:
        """Which condition it is."""
        return Task("classification", "label", self.conditions)

    @property
    def split(self) -> Split:
        """People, runs or blocks; 12 s on each side of a block are left out, as the blood responds that late."""
        runs = max(len(self.runs), 1) * max(len(self.sessions), 1)
        return division(self.leave_out, subjects=len(self.subjects), runs=runs, gap=12.0)

    @property
    def expected(self) -> None:
        """Nothing: grid and time between volumes differ from dataset to dataset."""

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take images, masks, confounds, events and sidecars out of the buckets."""
        roots = {BUCKET: self.dataset} | ({DERIVED: f"fmriprep/{self.dataset}-fmriprep"} if self.space else {})
        kept = []
        for bucket, root in roots.items():
            for stored in self._listed(bucket, root):
                path = stored.key.removeprefix("fmriprep/")
                if self._needed(path):
                    fetch_stored(bucket, stored, folder / path, cache=cache)
                    kept.append(path)
        return tuple(kept)

    def parse(self, folder: Path, sources: dict[str, Source]) -> Iterator[Recording]:
        """One recording a run, all people of a run after one another."""
        for run in self._runs:
            yield self._recording(run, folder, sources)

    @property
    def _runs(self) -> list[_Run]:
        """What is asked for, in order."""
        sessions, runs = self.sessions or (None,), self.runs or (None,)
        return [_Run(subject, session, run) for session in sessions for run in runs for subject in self.subjects]

    def _listed(self, bucket: str, root: str) -> list[Stored]:
        """Files of the wanted people, and those that hold for all."""
        found = listing(bucket, f"{root}/", deep=False)
        if not found:
            raise FileNotFoundError(
                f"s3://{bucket}/{root} is empty; correct options.dataset, or set options.space: null"
            )
        return found + [stored for subject in self.subjects for stored in listing(bucket, f"{root}/sub-{subject}/")]

    def _needed(self, path: str) -> bool:
        """Whether a file belongs to a wanted run, or says something about one."""
        name = named(path)
        wanted = any(
            all(name.entities.get(key, value) == value for key, value in run.entities.items()) for run in self._runs
        )
        if not wanted or name.entities.get("task", self.task_name) != self.task_name:
            return False
        if name.extension == ".json":
            return name.suffix == "bold"
        if name.suffix in ("events", "timeseries", "regressors"):
            return name.extension == ".tsv" and name.entities.get("desc", "confounds") == "confounds"
        return name.extension in IMAGES and self._is_image(name, "preproc", "bold") | self._is_image(
            name, "brain", "mask"
        )

    def _is_image(self, name: Named, desc: str, suffix: str) -> bool:
        """Whether it is an image of that kind in the wanted space."""
        if self.space is None:
            return suffix == name.suffix == "bold" and "space" not in name.entities
        placed = {"space": self.space, "desc": desc, "res": self.resolution}
        return name.suffix == suffix and all(name.entities.get(key) == value for key, value in placed.items())

    def _recording(self, run: _Run, folder: Path, sources: dict[str, Source]) -> Recording:
        """Read one run."""
        own = [
            name
            for name in map(named, sources)
            if {key: name.entities.get(key) for key in run.entities} == run.entities and self._is_mine(name)
        ]
        bold = self._single(own, "preproc", "bold", run)
        series, fields = read_volumes(folder / bold.path), sidecar(folder, sources, bold)
        rate = 1 / repetition_time(series, fields, path=folder / bold.path)
        start = float(fields.get("StartTime", 0.0))  # fMRIPrep moves all slices to one instant of the volume
        signals = {"bold": Signal(series.data, rate, "a.u.", (), start)}
        arrays = {"affine": series.affine} | self._mask(own, folder)
        for name in own:
            if name.suffix in ("timeseries", "regressors"):
                signals["confounds"] = _confounds(folder / name.path, len(series.data), rate, start)
        return Recording(
            subject=f"{self.dataset}-sub-{run.subject}",
            session=run.title,
            signals=signals,
            trials=self._trials(run, folder, sources),
            sources=tuple(sources[name.path] for name in own),
            arrays=arrays,
        )

    def _is_mine(self, name: Named) -> bool:
        """Whether a file of a run belongs to the wanted space."""
        if name.entities.get("task") != self.task_name and name.suffix != "mask":
            return False
        if name.suffix in ("bold", "mask"):
            return self._is_image(name, "preproc" if name.suffix == "bold" else "brain", name.suffix)
        return name.suffix in ("events", "timeseries", "regressors")

    def _single(self, own: list[Named], desc: str, suffix: str, run: _Run) -> Named:
        """The one image of a run."""
        found = [name for name in own if name.extension in IMAGES and self._is_image(name, desc, suffix)]
        if len(found) != 1:
            where = f"space {self.space}, resolution {self.resolution}" if self.space else "the scanner's space"
            raise ValueError(
                f"{self.dataset}: expected one image of sub-{run.subject} {run.title} in {where}, found "
                f"{[name.path for name in found]}; correct options.space, resolution, runs or sessions"
            )
        return found[0]

    def _mask(self, own: list[Named], folder: Path) -> dict[str, np.ndarray]:
        """The brain mask of a run, where there is one."""
        found = [name for name in own if name.suffix == "mask" and name.extension in IMAGES]
        return {"mask": read_volumes(folder / found[0].path).data > 0} if found else {}

    def _trials(self, run: _Run, folder: Path, sources: dict[str, Source]) -> Trials:
        """The run's events, from the file that lies nearest to it."""
        asked = {key: value for key, value in run.entities.items() if value} | {"task": self.task_name}
        found = [
            name
            for name in select(sources, suffix="events", extensions=(".tsv",))
            if name.entities.items() <= asked.items() and name.path.startswith(f"{self.dataset}/")
        ]
        if not found:
            raise ValueError(
                f"{self.dataset}: sub-{run.subject} {run.title} has no events.tsv; choose a task with events"
            )
        nearest = max(found, key=lambda name: (name.path.count("/"), len(name.entities)))
        return trials(folder / nearest.path, column=self.column, conditions=self.conditions, join=self.join)


def _confounds(path: Path, volumes: int, rate: float, start: float) -> Signal:
    """fMRIPrep's table of confounds."""
    columns = table(path)
    data = np.stack([numbers(values, path=path, name=name) for name, values in columns.items()], axis=1)
    if len(data) != volumes:
        raise ValueError(f"{path}: {len(data)} rows for {volumes} volumes; delete it and download again")
    return Signal(data, rate, "a.u.", tuple(columns), start)
