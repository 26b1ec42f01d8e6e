"""Recordings of one's own as a BIDS data set: EEG, iEEG, MEG and fMRI with their side files."""

from __future__ import annotations

import csv
import json
import logging
import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from pydantic import Field

from neurofmx.datasets.own.base import NOBODY, Found, OwnRecordings
from neurofmx.datasets.own.bids_names import BidsName, belongs, parse_name
from neurofmx.datasets.own.intervals import Labelled, labelled
from neurofmx.datasets.own.options import Names
from neurofmx.datasets.own.refusal import Refused, choose, listed
from neurofmx.datasets.own.voltage import READERS, channel_values, channels_signal, open_raw, pick_channels
from neurofmx.datasets.shared.base import Modality
from neurofmx.recordings.recording import Recording, Signal

if TYPE_CHECKING:
    from mne.io import BaseRaw

_log = logging.getLogger(__name__)
Datatype = Literal["eeg", "ieeg", "meg", "func"]
TYPES: dict[Datatype, tuple[str, ...]] = {  # channels that hold the brain's signal
    "eeg": ("EEG",),
    "ieeg": ("ECOG", "SEEG", "DBS"),
    "meg": ("MEGMAG",),
}
_FREE = {"electrodes": ("space",), "coordsystem": ("space",), "mask": ("desc", "res"), "meg": ("split",)}


@final
class Bids(OwnRecordings):
    """A BIDS data set, or derivatives such as those of fMRIPrep; a recording is one data file.

    Args:
        datatype: `eeg`, `ieeg`, `meg` (cleaned as modality `eeg`) or `func`; default by the modality.
        entities: Which files: allowed values by entity, as `{task: [rest], run: [1, 2], space: [MNI152NLin2009cAsym]}`.
        channels: Names, patterns, or types as in channels.tsv; default EEG, or ECOG, SEEG and DBS, or MEGMAG. Take
            `[MEGGRADPLANAR]` for gradiometers.
        use_bad: Whether channels that channels.tsv calls bad are used like others; default no, they become NaN, so
            that `preprocess.bad` decides.
        duration: Length of a trial, s, instead of what events.tsv says.

    The labels are a column of events.tsv, `target.column`, by default `trial_type`; values to decode are channels,
    `target.series`. fMRI has signal `bold` in the image's grid, with the array `mask` from `*_desc-brain_mask.nii.gz`
    where there is one, else computed from the images; the mask is what all recordings share.
    """

    name: ClassVar[str] = "bids"
    modalities: ClassVar[tuple[Modality, ...]] = ("ecog", "eeg", "fmri", "ieeg")
    what: ClassVar[str] = "a BIDS recording"
    suffixes: ClassVar[tuple[str, ...]] = (*READERS, ".nii", ".nii.gz")

    datatype: Datatype | None = None
    entities: dict[str, Names] = Field(default={})
    channels: Names = ()
    use_bad: bool = False
    duration: float | None = Field(default=None, gt=0)

    @property
    def kind(self) -> Datatype:
        """The datatype, by the modality where it is not named."""
        named: dict[str, Datatype] = {"ecog": "ieeg", "eeg": "eeg", "fmri": "func", "ieeg": "ieeg"}
        return self.datatype or named[self.recorded]

    def choose(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Data files of the datatype whose entities are allowed, each with the side files that speak of it."""
        parsed = {name: parts for name in sorted(names) if (parts := parse_name(name)) is not None}
        suffix = "bold" if self.kind == "func" else self.kind
        data = {n: p for n, p in parsed.items() if p.suffix == suffix and p.extension.lower() in self.suffixes}
        data = {name: parts for name, parts in data.items() if parts.entities.get("split", "01") in ("01", "1")}
        for entity, values in self.entities.items():
            held = {parts.entities.get(entity, "none") for parts in data.values()}
            kept = {name: parts for name, parts in data.items() if parts.entities.get(entity) in values}
            if data and not kept:
                raise Refused(
                    f"entities.{entity}={list(values)}: no recording has that; there is {listed(sorted(held))}"
                )
            data = kept
        return {name: _beside(parts, parsed, name) for name, parts in data.items()}

    def take(self, root: Path, name: str, beside: tuple[str, ...]) -> Found:
        """Read one data file with what its side files say."""
        side = {parts.suffix + parts.extension: root / path for path in beside if (parts := parse_name(path))}
        trials = self._trials(side) if self.target.kind == "classification" else None
        if self.kind == "func":
            if self.target.series:
                raise Refused("target.kind: fMRI is asked for classes of events.tsv here, not for values")
            bold, arrays = _volumes(root / name, _facts(root, beside, "bold"), side)
            return Found(bold, labelled=trials, arrays=arrays)
        raw = open_raw(root / name)
        rows = {row["name"]: row for row in _table(side["channels.tsv"])} if "channels.tsv" in side else {}
        aim = pick_channels(raw.ch_names, self.target.series, option="target.series") if self.target.series else []
        signal = self._signal(root / name, raw, rows, aim)
        positions = _positions(side.get("electrodes.tsv"), signal.channels, _facts(root, beside, "coordsystem"))
        arrays = {} if positions is None else {f"{self.signal}_positions": positions}
        return Found(signal, self._target(raw, aim) if aim else None, trials, arrays=arrays)

    def who(self, name: str, said: str | None) -> tuple[str, str]:
        """Subject and all other entities, unless `naming` says otherwise."""
        parts = parse_name(name)
        if self.naming is not None or parts is None:
            return super().who(name, said)
        rest = [f"{entity}-{value}" for entity, value in parts.entities.items() if entity != "sub"]
        return parts.entities.get("sub", NOBODY), "_".join(rest) or parts.suffix

    def together(self, recordings: list[Recording]) -> list[Recording]:
        """fMRI: voxels that every recording's mask has, where all share a grid."""
        masks = [recording.arrays["mask"] for recording in recordings if "mask" in recording.arrays]
        if self.kind != "func" or len({mask.shape for mask in masks}) != 1:
            return recordings
        shared = reduce(np.logical_and, masks)
        return [replace(recording, arrays=recording.arrays | {"mask": shared}) for recording in recordings]

    def _signal(self, path: Path, raw: BaseRaw, rows: dict[str, dict[str, str]], aim: list[str]) -> Signal:
        """Channels of the datatype; NaN where channels.tsv calls one bad."""
        kinds = {name: rows[name].get("type", "") for name in raw.ch_names if name in rows} or _mne_types(raw)
        wanted = self.channels or tuple(
            kind for kind in TYPES[self.kind] if kind in {k.upper() for k in kinds.values()}
        )
        if not wanted:
            usual, held = " or ".join(TYPES[self.kind]), listed(sorted(set(kinds.values())))
            raise Refused(f"channels: none is of type {usual}; there is {held}")
        names = pick_channels(raw.ch_names, wanted, option="channels", kinds=kinds)
        bad = {name for name, row in rows.items() if row.get("status") == "bad"} | set(raw.info["bads"])
        kept = [name for name in names if name not in aim]
        return channels_signal(path, raw, kept, bad=() if self.use_bad else bad)

    def _target(self, raw: BaseRaw, aim: list[str]) -> Signal:
        """Channels that hold the values to decode."""
        values = channel_values(raw, aim)
        return self.values(np.arange(len(values)) / raw.info["sfreq"], values)

    def _trials(self, side: dict[str, Path]) -> Labelled:
        """Rows of events.tsv."""
        if "events.tsv" not in side:
            raise Refused("target.classes: the recording has no events.tsv")
        rows = _table(side["events.tsv"])
        columns = list(rows[0]) if rows else []
        column = choose(
            columns, self.target.column or "trial_type", option="target.column", what="column of events.tsv"
        )
        onset = np.array([_number(row.get("onset")) for row in rows])
        lasting = np.array([_number(row.get("duration")) for row in rows])
        if self.duration is not None:
            lasting = np.where(np.isfinite(lasting), lasting, self.duration)
        labels = [row[column] for row in rows]
        return labelled(onset, onset + lasting, labels, classes=self.target.classes, duration=self.duration)


def _beside(main: BidsName, parsed: dict[str, BidsName], name: str) -> tuple[str, ...]:
    """Side files of a recording, from the root down, and the other files of its format."""
    sides = [
        (len(parts.folder.parts), len(parts.entities), path)
        for path, parts in parsed.items()
        if path != name
        and (parts.suffix == main.suffix or parts.suffix in ("channels", "events", "electrodes", "coordsystem", "mask"))
        and not (parts.suffix == "mask" and parts.entities.get("desc") != "brain")
        and (parts.folder == main.folder or parts.extension in (".json", ".tsv"))
        and belongs(parts, main, ignore=_FREE.get(parts.suffix, ()))
        and not (parts.extension == main.extension and parts.suffix == main.suffix and "split" not in parts.entities)
    ]
    return tuple(path for _, _, path in sorted(sides))


def _table(path: Path) -> list[dict[str, str]]:
    """Rows of a .tsv file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if any(None in row or None in row.values() for row in rows):
        raise Refused(f"{path}: a row has more or fewer columns than the head of the table")
    return rows


def _number(text: str | None) -> float:
    """A number of a .tsv file; `n/a` is NaN."""
    return float("nan") if text in (None, "", "n/a") else float(text)


def _facts(root: Path, beside: tuple[str, ...], suffix: str) -> dict[str, Any]:
    """What the .json side files say, the nearest last."""
    facts: dict[str, Any] = {}
    for path in beside:
        parts = parse_name(path)
        if parts and parts.extension == ".json" and parts.suffix == suffix:
            with (root / path).open(encoding="utf-8") as file:
                facts |= json.load(file)
    return facts


def _mne_types(raw: BaseRaw) -> dict[str, str]:
    """Types by MNE's own reckoning, in the words of channels.tsv."""
    words = {"mag": "MEGMAG", "grad": "MEGGRADPLANAR"}
    return {
        name: words.get(kind, kind.upper()) for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True)
    }


def _positions(path: Path | None, channels: tuple[str, ...], coordinates: dict[str, Any]) -> np.ndarray | None:
    """Place of every channel `(channels, 3)` in m, where the table has all of them and names its unit."""
    units = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
    unit = next((value for key, value in coordinates.items() if key.endswith("CoordinateUnits")), None)
    if path is None or unit not in units:
        return None
    rows = {row["name"]: row for row in _table(path)}
    if not set(channels) <= set(rows):
        return None
    place = np.array([[_number(rows[name].get(axis)) for axis in "xyz"] for name in channels])
    return place * units[unit] if np.isfinite(place).all() else None


def _volumes(path: Path, facts: dict[str, Any], side: dict[str, Path]) -> tuple[Signal, dict[str, np.ndarray]]:
    """Volumes `(time, x, y, z)`, the brain's mask, and the affine of their grid."""
    from nibabel import nifti1  # imported here: half a second that only fMRI needs

    image = nifti1.load(path)
    if len(image.shape) != 4:
        raise Refused(f"{path}: must hold volumes over time (x, y, z, time), its shape is {image.shape}")
    interval = float(facts.get("RepetitionTime") or _header_interval(image))
    if not interval > 0:
        raise Refused(f"{path}: neither its .json (RepetitionTime) nor its header says how long a volume takes")
    data = np.ascontiguousarray(np.moveaxis(np.asarray(image.dataobj, dtype=np.float32), -1, 0))
    named = side.get("mask.nii.gz") or side.get("mask.nii")
    mask = np.asarray(nifti1.load(named).dataobj) > 0 if named else _brain(image)
    if mask.shape != data.shape[1:]:
        raise Refused(f"{named}: its grid must be {data.shape[1:]}, that of the images, got {mask.shape}")
    arrays = {"affine": np.asarray(image.affine)} | ({"mask": mask} if mask.any() else {})
    if not mask.any():
        _log.warning("%s: no brain stands out in it; give a mask, or set preprocess.mask=false", path)
    return Signal(data, 1 / interval, "a.u.", ()), arrays


def _header_interval(image: Any) -> float:
    """Time from volume to volume by the image's header, s; 0 where it does not say."""
    step = float(image.header.get_zooms()[3])
    return step * {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}.get(image.header.get_xyzt_units()[1], 0.0)


def _brain(image: Any) -> np.ndarray:
    """Voxels of the brain by their brightness."""
    from nilearn.masking import compute_epi_mask  # imported here: a second that only images without a mask need

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty mask is looked for behind this
        return np.asarray(compute_epi_mask(image).dataobj) > 0
