"""A seizure of a person, recorded from the cortical surface before and after its marked onset."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source, Trials
from neurofmx.recordings.task import Task

STEM = "sub-pat01_ses-test_acq-ecog"
EDF, ELECTRODES = f"{STEM}_ieeg.edf", f"{STEM}_electrodes.tsv"
SHA256 = {
    EDF: "45d04f492c404abcefdf6e91d7adb1a071ae32bb10fa3112e583a1e0f649fa29",
    ELECTRODES: "352f4f1a5eb60ac9a33f691e13b26b4cc7560839928c99072bd42d7453e33ecc",
}
# in the history alone: the files were renamed later
COMMITS = {EDF: "07aae0d337d1673e931fc7f9f4f749ed23210a12", ELECTRODES: "2aaab38ff69dbeeb015ec59db81e0106857775cf"}
RATE = 999.4121105232217  # Hz
ONSET = "eeg sz start"
STATES = ("pre-ictal", "ictal")


@final
class MneMiscIeeg(Dataset):
    """76 contacts of a subdural grid (C) and strips (BTM, BTP) at 999 Hz, 10.2 s before and 11.5 s into a seizure.

    The two states are two recordings, so that no filter reaches from one into the other. Signal `ecog` is `(time, 76)`
    in V; trials are stretches of 1 s with the `state`; `ecog_positions` are the contacts' places, NaN where the archive
    names none. The two channels of the heart are left out.

    It is one seizure: any slow drift also tells the states apart, and no score here says what a new seizure would get.

    Source: mne-misc-data; the onset is the file's annotation `eeg sz start`.
    """

    name: ClassVar[str] = "mne_misc_ieeg"
    modalities: ClassVar[tuple[Modality, ...]] = ("ecog",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "BSD-3-Clause (repository); none stated for the recording"
    citation: ClassVar[str] = "MNE developers, mne-misc-data; Gramfort et al. 2013, Front Neurosci 7:267"
    homepage: ClassVar[str] = "https://github.com/mne-tools/mne-misc-data"
    source: ClassVar[str] = f"repository mne-tools/mne-misc-data at {COMMITS[EDF][:12]}, ecog"

    @property
    def task(self) -> Task:
        """Whether the seizure has begun."""
        return Task("classification", "state", STATES, score="auc")

    @property
    def split(self) -> Split:
        """A fifth of each state is left out at a time, with half a second on each side."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=0.5, block=1.0)

    @property
    def expected(self) -> Expected:
        """Before and after the onset."""
        return Expected("ecog", recordings=2, channels=76, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """The EDF file and the electrodes beside it."""
        return SHA256

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the files at the commits that had them."""
        for name in names:
            fetch_repository_files(
                "mne-tools/mne-misc-data",
                COMMITS[name],
                paths={name: f"ecog/{name}"},
                checksums=SHA256,
                folder=folder,
                cache=cache,
            )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The recording, cut in two at the onset."""
        ecog, onset = _read_edf(folder / EDF)
        arrays = {"ecog_positions": _positions(folder / ELECTRODES, ecog.channels)}
        spans = {"pre-ictal": (ecog.start, onset), "ictal": (onset, ecog.stop)}
        return [
            Recording(
                subject="pat01",
                session=state,
                signals={"ecog": ecog.slice(*span)},
                trials=_seconds(ecog.slice(*span), state),
                sources=tuple(sources.values()),
                arrays=arrays,
            )
            for state, span in spans.items()
        ]


def _read_edf(path: Path) -> tuple[Signal, float]:
    """The contacts, and the time of the onset in s."""
    import mne  # imported here: seconds that only this reader needs

    raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    onsets = raw.annotations.onset[raw.annotations.description == ONSET]
    if len(onsets) != 1:
        raise ValueError(f"{path.name}: must hold one annotation {ONSET!r}, found {len(onsets)}; download it again")
    names = [name for name in raw.ch_names if not name.startswith("EKG")]
    data = np.ascontiguousarray(np.transpose(raw.get_data(np.array(names), return_times=False)))
    return Signal(data, raw.info["sfreq"], "V", tuple(names)), float(onsets[0])


def _positions(path: Path, channels: tuple[str, ...]) -> np.ndarray:
    """Place of each contact `(channels, 3)`, m; NaN for one that the table lacks."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = {row["name"]: [float(row[axis]) for axis in "xyz"] for row in csv.DictReader(file, delimiter="\t")}
    return np.array([rows.get(channel, [np.nan] * 3) for channel in channels])


def _seconds(signal: Signal, state: str) -> Trials:
    """Stretches of 1 s, the last one shorter."""
    start = np.arange(signal.start, signal.stop - 1e-9, 1.0)
    return Trials(start, np.minimum(start + 1, signal.stop), {"state": np.full(len(start), state)})
