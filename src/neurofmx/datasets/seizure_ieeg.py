"""Spontaneous seizures in depth recordings of epileptic rats (Zhejiang University)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, final

import h5py
import numpy as np

from neurofmx.datasets.formats.nwb_series import Node, electrode_names, item, of_type, read_series
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.dandiset import Dandiset, Patterns, Version, entities
from neurofmx.recordings.recording import Recording, Trials
from neurofmx.recordings.task import Task

LABELS = {"ictal": "ictal", "non": "interictal"}  # how the files name their series: ...-ictal3, ...-non1


@final
class SeizureIeeg(Dandiset):
    """Fragments from 12 depth electrodes of the limbic circuit, with a seizure or without one.

    A fragment is a recording of its own with the signal `ieeg (time, electrodes)` in V, and one trial that spans it,
    whose `label` is `ictal` or `interictal`: the file's name of the fragment, which marks no onset inside it. `start`
    and `stop` count from the beginning of each fragment.

    Source: Ni et al., dataset of long-term multi-site LFP activity with spontaneous chronic seizures recorded in
    temporal lobe epilepsy rats, DANDI:001044/0.240905.0159 (2024).
    """

    name: ClassVar[str] = "seizure_ieeg"
    modalities: ClassVar[tuple[Modality, ...]] = ("ieeg",)
    species: ClassVar[str] = "rat"
    licence: ClassVar[str] = "stated on the dandiset's page"
    citation: ClassVar[str] = "Ni et al. 2024, DANDI:001044/0.240905.0159"
    homepage: ClassVar[str] = "https://dandiarchive.org/dandiset/001044/0.240905.0159"
    source: ClassVar[str] = "DANDI 001044, Zhejiang University: chronic seizures of temporal lobe epilepsy rats"
    dandiset: ClassVar[str] = "001044"

    version: Version = "0.240905.0159"
    assets: Patterns = ("*B6*.nwb",)  # rat B6, all its days

    @property
    def task(self) -> Task:
        """Whether a window comes from a seizure."""
        return Task("classification", "label", ("ictal", "interictal"))

    @property
    def split(self) -> Split:
        """Whole fragments are left out."""
        return Split("fragments-5fold-v1", kind="groups", folds=5, validation="groups")

    @property
    def expected(self) -> Expected | None:
        """Unknown: nobody here has seen the archive's files."""
        return None

    def extract(self, path: str, files: Mapping[str, h5py.File]) -> list[Recording]:
        """The fragments of one day."""
        file, who = files[path], entities(path)
        fragments = of_type(item(file, "acquisition"), "ElectricalSeries")
        if not fragments:
            raise ValueError(f"{path}: no series of type ElectricalSeries in /acquisition")
        return [self._fragment(file, who, name, series) for name, series in fragments.items()]

    def _fragment(self, file: h5py.File, who: dict[str, str], name: str, series: Node) -> Recording:
        """One fragment."""
        begin = float(series["starting_time"][()]) if "starting_time" in series else float(series["timestamps"][0])
        stop = None if self.stop is None else begin + self.stop
        names = electrode_names(file, series["electrodes"][:])
        signal = read_series(series, channels=names, start=begin + self.start, stop=stop)
        whole = Trials(np.array([signal.start]), np.array([signal.stop]), {"label": np.array([_label(name)])})
        return Recording(who.get("sub", "unknown"), name, {"ieeg": signal}, trials=whole)


def _label(name: str) -> str:
    """What a series' name says about it."""
    match = re.search(r"-(ictal|non)\d*$", name)
    if match is None:
        raise ValueError(f"series {name!r}: expected a name that ends in -ictal or -non and a number")
    return LABELS[match[1]]
