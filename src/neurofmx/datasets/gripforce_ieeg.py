"""Cortical and subthalamic voltages of a person who grips, in a BIDS folder (py_neuromodulation's example)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.distribution import fetch_distribution_members
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

IEEG = "sub-testsub/ses-EphysMedOff/ieeg"
RUN = f"{IEEG}/sub-testsub_ses-EphysMedOff_task-gripforce_run-0"
ELECTRODES = f"{IEEG}/sub-testsub_ses-EphysMedOff_space-mni_electrodes.tsv"
SHA256 = {
    f"{RUN}_ieeg.vhdr": "f90107c108c96fd1e9f72b9d11ac2a85097cbeb0fc6d8aa2baf945e1cc8f360d",
    f"{RUN}_ieeg.vmrk": "043f9599c29eedd474bc6cf392fe1cd3d4274b0737cd8780583189233584388d",
    f"{RUN}_ieeg.eeg": "36741e303acaa5e2b795cb4867907387ce54313b393825026a2be7fcd539adce",
    f"{RUN}_ieeg.json": "9d13c45806b48acc8329b796d483e12fd1025a4cea7d0c35b0ac09919537bdb9",
    f"{RUN}_channels.tsv": "6528b1adfa5294d11f9afd1d89a27deaeb053f03ed3bf740e82083603a7ce4a6",
    ELECTRODES: "2abf6f2a1d6a9e7c05404d027adecf91e56eb86c75bbe093ff15ece2ab9c7b38",
}
RATE = 1000.0  # Hz
CONTACTS = ("DBS", "ECOG")  # types of channels that are voltages of the brain


@final
class GripforceIeeg(Dataset):
    """19 s of 6 contacts on the sensorimotor cortex and 3 in the subthalamic nucleus, beside the force of the hand.

    Signal `ieeg` is `(time, 9)` in V; `grip_force` is the movement channel in the file's own unit, which the archive
    calls a voltage. `ieeg_positions` are the contacts' places in the MNI frame, m.

    It is a check of format and pipeline: of 19 s no claim about decoding can be made.

    Source: Merk et al., Electrocorticography is superior to subthalamic local field potentials for movement decoding in
        Parkinson's disease, eLife 11 (2022), one subject as shipped with py_neuromodulation.
    """

    name: ClassVar[str] = "gripforce_ieeg"
    modalities: ClassVar[tuple[Modality, ...]] = ("ieeg",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "MIT (package py_neuromodulation); none stated for the recording"
    citation: ClassVar[str] = "Merk et al. 2022, eLife 11:e75126"
    homepage: ClassVar[str] = "https://doi.org/10.7910/DVN/IO2FLM"
    source: ClassVar[str] = "wheel py_neuromodulation-0.1.3, py_neuromodulation/data"

    @property
    def task(self) -> Task:
        """How hard the hand grips."""
        return Task("regression", "grip_force", ("grip_force",))

    @property
    def split(self) -> Split:
        """A fifth of the time is left out at a time, with half a second on each side."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=0.5, block=1.0)

    @property
    def expected(self) -> Expected:
        """One recording of nine contacts."""
        return Expected("ieeg", recordings=1, channels=9, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """The run's BrainVision files and the BIDS tables beside them."""
        return SHA256

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the files out of the wheel, 20 MB once."""
        fetch_distribution_members(
            "py_neuromodulation",
            "py_neuromodulation-0.1.3-py3-none-any.whl",
            sha256="5167a9912b9bd34440b9627d598dd5ef2b03e73a411cfd496555dcfbfb3be527",
            members={f"py_neuromodulation/data/{name}": SHA256[name] for name in names},
            folder=folder / IEEG,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The one run."""
        import mne  # imported here: seconds that only this reader needs

        raw = mne.io.read_raw_brainvision(folder / f"{RUN}_ieeg.vhdr", preload=True, verbose="ERROR")
        types = {row["name"]: row["type"] for row in _table(folder / f"{RUN}_channels.tsv")}
        names = [name for name in raw.ch_names if types.get(name) in CONTACTS]
        voltage = np.ascontiguousarray(np.transpose(raw.get_data(np.array(names), return_times=False)))
        force = np.ravel(raw.get_data("MOV_RIGHT", return_times=False))
        rate = raw.info["sfreq"]
        places = {row["name"]: [float(row[axis]) for axis in "xyz"] for row in _table(folder / ELECTRODES, known="x")}
        return [
            Recording(
                subject="testsub",
                session="EphysMedOff-gripforce-0",
                signals={
                    "ieeg": Signal(voltage, rate, "V", tuple(names)),
                    "grip_force": Signal(force, rate, "a.u.", ("grip_force",)),
                },
                sources=tuple(sources.values()),
                arrays={"ieeg_positions": np.array([places[name] for name in names])},
            )
        ]


def _table(path: Path, *, known: str = "name") -> list[dict[str, str]]:
    """Rows of a BIDS table that know a column; some files begin with a byte order mark."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row[known] != "n/a"]
