"""Scalp EEG of people who move, or imagine to move, fists and feet (PhysioNet eegmmidb)."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, final

import numpy as np
import requests
from pydantic import AfterValidator, Field, model_validator

from neurofmx.atomic import atomic
from neurofmx.datasets.access.fetch import WAY_OUT
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.datasets.shared.checksum import matches
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

if TYPE_CHECKING:
    from mne.io import BaseRaw

RATE = 160.0  # Hz
SLOW = (88, 92, 100)  # people who were sampled at 128 Hz
Paradigm = Literal["fists_feet", "left_right", "executed_left_right"]
RUNS: dict[Paradigm, tuple[int, ...]] = {
    "fists_feet": (6, 10, 14),
    "left_right": (4, 8, 12),
    "executed_left_right": (3, 7, 11),
}
CUES: dict[Paradigm, tuple[str, str]] = {  # what the annotations T1 and T2 stand for
    "fists_feet": ("fists", "feet"),
    "left_right": ("left", "right"),
    "executed_left_right": ("left", "right"),
}


def _distinct(subjects: tuple[int, ...]) -> tuple[int, ...]:
    """A subject counted twice would stand in training and test."""
    if len(set(subjects)) < len(subjects):
        raise ValueError(f"subjects must differ from one another, got {subjects}")
    return subjects


@final
class Eegbci(Dataset):
    """64-channel EEG at 160 Hz; a recording is a run of 2 minutes with 15 cued trials of about 4 s.

    Signal `eeg` is `(time, 64)` in V with the standard 10-05 names; trials carry the cue as `label`, rest is no trial.

    Args:
        subjects: Which of the 109 people, default the first.
        paradigm: `fists_feet` (imagined, default), `left_right` (imagined fist) or `executed_left_right`.
        leave_out: What a fold tests on: a run of every person, `runs` (default), or `subjects` that training never saw
            (three or more people, at most ten folds).
        other_rate: What becomes of the three people who were sampled at 128 Hz (88, 92, 100): `refuse` (default), as
            models read samples and a decoder could tell these people by their noise floor, or `resample` to 160 Hz.

    People 38, 89, 104 and 106 are often left out as well, for their cues (from general knowledge); they are read as
    they are.

    Source: Schalk et al., BCI2000, a general-purpose brain-computer interface system, IEEE TBME 51 (2004).
    """

    name: ClassVar[str] = "eegbci"
    modalities: ClassVar[tuple[Modality, ...]] = ("eeg",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "ODC-By 1.0"
    citation: ClassVar[str] = "Schalk et al. 2004, IEEE TBME 51:1034-1043; Goldberger et al. 2000, Circulation 101:e215"
    homepage: ClassVar[str] = "https://physionet.org/content/eegmmidb/1.0.0/"
    source: ClassVar[str] = "PhysioNet eegmmidb 1.0.0"

    subjects: Annotated[
        tuple[Annotated[int, Field(ge=1, le=109)], ...], Field(min_length=1), AfterValidator(_distinct)
    ] = (1,)
    paradigm: Paradigm = "fists_feet"
    leave_out: Literal["runs", "subjects"] = "runs"
    other_rate: Literal["refuse", "resample"] = "refuse"

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        slow = sorted(set(SLOW) & set(self.subjects))
        if slow and self.other_rate == "refuse":
            raise ValueError(
                f"subjects {slow} were sampled at 128 Hz, the others at {RATE:g} Hz; leave them out, or set "
                "other_rate='resample'"
            )
        if self.leave_out == "subjects" and len(self.subjects) < 3:
            raise ValueError(f"leave_out='subjects' needs 3 subjects to train, validate and test, got {self.subjects}")
        return self

    @property
    def task(self) -> Task:
        """Which of the two cues was followed."""
        return Task("classification", "label", CUES[self.paradigm])

    @property
    def split(self) -> Split:
        """One run of every person is left out at a time, or people."""
        if self.leave_out == "subjects":
            folds = min(len(self.subjects), 10)
            return Split(f"subjects-{folds}fold-v1", "groups", folds, validation="groups", by="subject")
        folds = len(RUNS[self.paradigm])
        return Split(f"runs-{folds}fold-v1", kind="groups", folds=folds, validation="tail")

    @property
    def expected(self) -> Expected:
        """Three runs a subject."""
        return Expected("eeg", recordings=3 * len(self.subjects), channels=64, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """The wanted runs, all people of a run after one another, with the sums of PhysioNet that MNE ships."""
        table = files("mne").joinpath("data", "eegbci_checksums.txt").read_text(encoding="utf-8")
        known = dict(line.split() for line in table.splitlines() if line.strip())
        names = [f"S{s:03d}/S{s:03d}R{run:02d}.edf" for run in RUNS[self.paradigm] for s in self.subjects]
        return {name: known[name] for name in names}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Let MNE's own loader fetch the runs into the cache, and copy them."""
        known = self.checksums()
        for name in names:
            source = _fetch(name, known[name], store=cache / "mne")
            with atomic(folder / name) as part:
                shutil.copyfile(source, part)
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a run."""
        return [self._run(folder / name, sources[name]) for name in self.checksums()]

    def _run(self, path: Path, source: Source) -> Recording:
        """Read one EDF file."""
        import mne  # imported here: seconds that only this reader needs

        raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
        mne.datasets.eegbci.standardize(raw)
        if raw.info["sfreq"] != RATE:
            raw = self._at_rate(raw, path)
        rate = raw.info["sfreq"]
        signal = Signal(
            np.ascontiguousarray(np.transpose(raw.get_data(return_times=False))), rate, "V", tuple(raw.ch_names)
        )
        subject, run = path.stem[:4], path.stem[5:]
        return Recording(subject, f"run-{run}", {"eeg": signal}, trials=self._trials(raw), sources=(source,))

    def _at_rate(self, raw: BaseRaw, path: Path) -> BaseRaw:
        """The samples at the rate of the other people, if that is asked for; the cues keep their times."""
        found = raw.info["sfreq"]
        if self.other_rate == "refuse":
            raise ValueError(
                f"{path.name}: rate must be {RATE} Hz, got {found}; leave this subject out, "
                "or set other_rate='resample'"
            )
        raw.resample(RATE, method="polyphase", verbose="ERROR")
        return raw

    def _trials(self, raw: BaseRaw) -> Trials:
        """The cues T1 and T2, under their names in this paradigm."""
        names: dict[str, str] = dict(zip(("T1", "T2"), CUES[self.paradigm], strict=True))
        marks = raw.annotations
        kept = np.isin(marks.description, list(names))
        start, lasting = marks.onset[kept], marks.duration[kept]
        return Trials(start, start + lasting, {"label": np.array([names[cue] for cue in marks.description[kept]])})


def _fetch(name: str, sha256: str, *, store: Path) -> Path:
    """One run through MNE, which verifies what it downloads but trusts what is already there."""
    from mne.datasets.eegbci import eegbci  # imported here: only a download needs it

    store.mkdir(parents=True, exist_ok=True)
    wanted = {"subjects": int(name[1:4]), "runs": int(name[-6:-4]), "path": store, "update_path": False}
    try:
        (path,) = eegbci.load_data(**wanted, base_url=eegbci.EEGMI_URL)
        if not matches(path, sha256):
            (path,) = eegbci.load_data(**wanted, base_url=eegbci.EEGMI_URL, force_update=True)
    except requests.RequestException as error:
        raise ConnectionError(f"MNE cannot download {name} of eegbci: {error}; {WAY_OUT}") from error
    return path
