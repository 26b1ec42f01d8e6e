"""Intracranial EEG of a task from OpenNeuro, as BIDS: grids and strips (ECoG) and depth electrodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, final

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from neurofmx.datasets.access.s3 import fetch_stored, listing
from neurofmx.datasets.formats.bids_tree import Named, named, select, trials
from neurofmx.datasets.shared.archive import Archive, Labels, LeaveOut, division
from neurofmx.datasets.shared.base import Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

if TYPE_CHECKING:
    from mne.io import BaseRaw

BUCKET = "openneuro.org"
HEADERS = (".vhdr", ".edf", ".set", ".nwb")  # what a recording is opened by
KINDS = {"ecog": ("ecog",), "ieeg": ("ecog", "seeg")}  # types of channel by signal
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+$")]


@final
class OpenneuroIeeg(Archive):
    """A recording is one run of one patient; patients have different electrodes, so that a run of the pipeline takes
    one.

    Signal `ieeg` is `(time, channels)` in V with all intracranial channels, signal `ecog` those on the surface, where
    there are any; channels that the archive marks bad are left out. Arrays `ieeg_positions` and `ecog_positions` are
    `(channels, 3)` in m in the archive's coordinate frame, NaN where unknown. Trials come from `events.tsv`.

    The default is a film in which half-minutes of speech and of music alternate.

    The client has met a local server of the same protocol, never the archive itself.

    Args:
        dataset: OpenNeuro's accession number, default `ds003688`.
        subject: Label of the patient, default `01`.
        session: Label of the session, default `iemu`; none for a dataset without sessions.
        runs: Labels of runs, default `1`; empty for a dataset without them.
        task_name: Label of the task, default `film`.
        column: Column of `events.tsv` that names the condition, default `trial_type`.
        conditions: Conditions to tell apart, at least two.
        leave_out: What a fold tests on: `blocks` (default) or `runs`.

    Source: Berezutskaya et al., Open multimodal iEEG-fMRI dataset from naturalistic stimulation with a short
    audiovisual film, Scientific Data 9 (2022).
    """

    name: ClassVar[str] = "openneuro_ieeg"
    modalities: ClassVar[tuple[Modality, ...]] = ("ecog", "ieeg")
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "CC0 or PDDL, by dataset"
    citation: ClassVar[str] = "Berezutskaya et al. 2022, Scientific Data 9:91; Markiewicz et al. 2021, eLife 10:e71774"
    homepage: ClassVar[str] = "https://openneuro.org"
    source: ClassVar[str] = "S3 bucket openneuro.org"

    dataset: Annotated[str, StringConstraints(pattern=r"^ds\d{6}$")] = "ds003688"
    subject: Label = "01"
    session: Label | None = "iemu"
    runs: Labels = ("1",)
    task_name: Label = "film"
    column: str = "trial_type"
    conditions: Annotated[tuple[str, ...], Field(min_length=2)] = ("speech", "music")
    leave_out: LeaveOut = "blocks"

    @model_validator(mode="after")
    def _can_be_divided(self) -> Self:
        if self.leave_out == "subjects":
            raise ValueError("leave_out='subjects': patients have different electrodes; leave out runs or blocks")
        _ = self.split
        return self

    @property
    def task(self) -> Task:
        """Which condition it is."""
        return Task("classification", "label", self.conditions)

    @property
    def split(self) -> Split:
        """Runs, or blocks with a gap of 1 s."""
        return division(self.leave_out, subjects=1, runs=max(len(self.runs), 1), gap=1.0)

    @property
    def expected(self) -> None:
        """Nothing: electrodes differ from patient to patient, and nobody here has met one."""

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the patient's recordings of the task, with everything that describes them."""
        found = listing(BUCKET, f"{self.dataset}/", deep=False)
        found += listing(BUCKET, f"{self.dataset}/sub-{self.subject}/")
        wanted = [stored for stored in found if self._needed(named(stored.key))]
        if not any(self._opens(named(stored.key)) for stored in wanted):
            raise FileNotFoundError(
                f"s3://{BUCKET}/{self.dataset} has no iEEG of sub-{self.subject}, ses-{self.session}, "
                f"task-{self.task_name}, runs {list(self.runs)}; correct options.subject, session, task_name or runs"
            )
        for stored in wanted:
            fetch_stored(BUCKET, stored, folder / stored.key, cache=cache)
        return tuple(stored.key for stored in wanted)

    def parse(self, folder: Path, sources: dict[str, Source]) -> Iterator[Recording]:
        """One recording a run."""
        for run in self.runs or (None,):
            found = [name for name in map(named, sources) if self._opens(name) and name.entities.get("run") == run]
            if len(found) != 1:
                raise ValueError(
                    f"{self.dataset}: expected one recording of sub-{self.subject} run {run}, found "
                    f"{[name.path for name in found]}; correct options.runs"
                )
            yield self._recording(found[0], folder, sources)

    def _needed(self, name: Named) -> bool:
        """Whether a file is the recording, or describes it."""
        if "/" not in name.path.removeprefix(f"{self.dataset}/"):  # descriptions of the whole dataset
            return name.extension in (".json", ".tsv")
        run = name.entities.get("run")
        ours = name.entities.get("ses") == self.session and (run is None or run in self.runs)
        return ours and "/ieeg/" in name.path and name.entities.get("task", self.task_name) == self.task_name

    def _opens(self, name: Named) -> bool:
        """Whether it is what a recording is opened by."""
        return name.suffix == "ieeg" and name.extension in HEADERS and name.entities.get("task") == self.task_name

    def _recording(self, name: Named, folder: Path, sources: dict[str, Source]) -> Recording:
        """Read one run."""
        raw = _open(folder / self.dataset, name)
        signals, arrays = {}, {}
        for signal, kinds in KINDS.items():
            chosen = [c for c, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind in kinds]
            if chosen:
                rows = np.asarray(raw.get_data(picks=np.array(chosen)), np.float32)
                signals[signal] = Signal(np.ascontiguousarray(rows.T), raw.info["sfreq"], "V", tuple(chosen))
                arrays[f"{signal}_positions"] = _positions(raw, chosen)
        if not signals:
            raise ValueError(f"{folder / name.path}: no good channel of type ECOG or SEEG; see its channels.tsv")
        own = {key: value for key, value in name.entities.items() if key in ("sub", "ses", "run")}
        (events,) = select(
            (path for path in sources if path.startswith(name.path.rpartition("/")[0])),
            suffix="events",
            extensions=(".tsv",),
            **{key: name.entities.get(key) for key in ("sub", "ses", "task", "acq", "run")},
        ) or [None]
        if events is None:
            raise ValueError(f"{folder / name.path}: no events.tsv beside it; choose a task with events")
        return Recording(
            subject=f"{self.dataset}-sub-{self.subject}",
            session="_".join(f"{key}-{value}" for key, value in own.items() if key != "sub") or "run",
            signals=signals,
            trials=trials(folder / events.path, column=self.column, conditions=self.conditions),
            sources=tuple(sources.values()),
            arrays=arrays,
        )


def _open(root: Path, name: Named) -> BaseRaw:
    """The recording with the types, units, bad channels and positions that the files beside it state."""
    try:
        import mne_bids  # imported here: seconds that only such recordings need
    except ImportError as error:
        raise ImportError("iEEG in BIDS needs mne-bids: pip install -c constraints.txt -e '.[data]'") from error

    keys = {"sub": "subject", "ses": "session", "acq": "acquisition", "task": "task", "run": "run"}
    path = mne_bids.BIDSPath(root=root, datatype="ieeg", suffix="ieeg", extension=name.extension)
    path.update(**{long: name.entities[short] for short, long in keys.items() if short in name.entities})
    try:
        raw = mne_bids.read_raw_bids(path, extra_params={"preload": True}, verbose="ERROR")
    except Exception as error:  # parsers of four formats: there is no end to what they raise on damaged bytes
        raise ValueError(f"{path.fpath} is no sound iEEG in BIDS ({error}); delete it and download again") from error
    return raw.drop_channels(raw.info["bads"])


def _positions(raw: BaseRaw, channels: list[str]) -> np.ndarray:
    """Positions `(channels, 3)` in m."""
    montage = raw.get_montage()
    known = montage.get_positions()["ch_pos"] if montage is not None else {}
    return np.stack([np.asarray(known.get(channel, (np.nan,) * 3), np.float64) for channel in channels])
