"""Recordings of one's own in NWB files (HDF5): any series, units, and tables of intervals."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, final

import h5py
import numpy as np
from pydantic import Field

from neurofmx.datasets.own.base import Found, OwnRecordings
from neurofmx.datasets.own.clock import require_regular
from neurofmx.datasets.own.held import Held
from neurofmx.datasets.own.intervals import Labelled, labelled
from neurofmx.datasets.own.nwb_tables import Table, table_of
from neurofmx.datasets.own.options import Names
from neurofmx.datasets.own.refusal import Refused, choose, listed
from neurofmx.datasets.shared.base import Modality
from neurofmx.recordings.recording import Events, Signal

UNITS = "units"
_MICROMETRE = 1e-6  # electrode positions of NWB, in m


@final
class Nwb(OwnRecordings):
    """NWB 2 files, written by any program; one file a recording.

    The file is read as the HDF5 that it is, by the names of the NWB schema, so that neither extensions nor the version
    of the writing library matter.

    Args:
        series: `units` for spikes, else the path of a series, such as `acquisition/ElectricalSeries` or
            `processing/ophys/Fluorescence/RoiResponseSeries`; its last parts are enough where they are unique.
        where: Which units, electrodes or regions to take: allowed values by column of their table, as
            `{location: [adn]}`.
        intervals: Table of the trials, default `trials`.
        duration: Length of a trial, s, instead of what the table says.

    The labels are a column of the table, `target.column`; values to decode are `target.series`, paths as above.

    Source: Neurodata Without Borders, format specification 2.8, core schema.
    """

    name: ClassVar[str] = "nwb"
    modalities: ClassVar[tuple[Modality, ...]] = ("calcium", "ecog", "eeg", "emg", "ieeg", "lfp", "spikes")
    what: ClassVar[str] = "an NWB file"
    suffixes: ClassVar[tuple[str, ...]] = (".nwb",)

    series: str
    where: dict[str, Names] = Field(default={})
    intervals: str = "trials"
    duration: float | None = Field(default=None, gt=0)

    def choose(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Every `.nwb` file."""
        return {name: () for name in sorted(names) if name.lower().endswith(self.suffixes)}

    def take(self, root: Path, name: str, beside: tuple[str, ...]) -> Found:
        """Read series, target and trials of one file."""
        with h5py.File(root / name, "r") as opened:
            file: Any = opened  # h5py cannot say beforehand what a path leads to
            spikes = self.series == UNITS
            brain, arrays = (_spikes(file, self.where), {}) if spikes else self._samples(root / name, file)
            if spikes != (self.signal == "spikes"):
                raise Refused(
                    f"series={self.series}: modality {self.modality} reads {'units' if not spikes else 'a series'}"
                )
            asked = self.target.kind
            target = None if asked == "classification" else self._target(file)
            trials = self._trials(file) if asked == "classification" else None
            subject = file.get("general/subject/subject_id")
            said = str(subject.asstr()[()]).strip() if isinstance(subject, h5py.Dataset) else None
        return Found(brain, target, trials, said or None, arrays)

    def _samples(self, place: Path, file: Any) -> tuple[Signal, dict[str, np.ndarray]]:
        """A series as a signal, and where its electrodes are."""
        path, group = _series(file, self.series, option="series")
        times, rate = _clock(group, path)
        rate = require_regular(times, what=path) if rate is None else rate
        stored, table = _stored(group), _rows(file, group)
        if stored.ndim > 2 or not len(stored):
            raise Refused(f"series={path}: its shape must be (time, channels), got {stored.shape}")
        if len(times) != len(stored):
            raise Refused(f"series={path}: {len(stored)} samples have {len(times)} time stamps")
        width = stored.shape[1] if stored.ndim == 2 else 1
        if table and len(table) != width:
            raise Refused(f"series={path}: has {width} channels, its table of them {len(table)} rows")
        keep = table.where(self.where) if table else _no_table(self.where, path, width)
        names = table.names if table else _numbered(path, width)
        positions = table.positions(keep) if table else None
        arrays = {} if positions is None else {f"{self.signal}_positions": positions * _MICROMETRE}

        def take(first: int, last: int) -> np.ndarray:
            with h5py.File(place, "r") as again:
                return _values(again[path], first, last).reshape(last - first, -1)[:, keep]

        dtype = stored.dtype if stored.dtype.kind == "f" else np.float32
        held: Any = Held(place, self.what, shape=(len(stored), len(keep)), dtype=dtype, take=take)
        return Signal(held, rate, _unit(group), tuple(names[i] for i in keep), float(times[0])), arrays

    def _target(self, file: Any) -> Signal:
        """One series with its columns, or several side by side on one clock."""
        parts = [_series(file, name, option="target.series") for name in self.target.series]
        times = [_clock(group, path)[0] for path, group in parts]
        values = [_values(group) for _, group in parts]
        if any(len(stamps) != len(times[0]) or not np.allclose(stamps, times[0]) for stamps in times):
            raise Refused(f"target.series={list(self.target.series)}: must share their time stamps; take one of them")
        joined = np.concatenate([part.reshape(len(part), -1) for part in values], axis=1)
        return self.values(times[0], joined)

    def _trials(self, file: Any) -> Labelled:
        """Rows of a table of intervals."""
        tables = {f"intervals/{name}": group for name, group in file.get("intervals", {}).items()}
        path = choose(tables, self.intervals, option="intervals", what="table of intervals")
        table = table_of(tables[path])
        if self.target.column is None:
            raise Refused(f"target.column: which column of {path} holds the labels? there is {listed(table.columns)}")
        return labelled(
            np.asarray(table.column("start_time", option="intervals"), np.float64),
            np.asarray(table.column("stop_time", option="intervals"), np.float64),
            table.column(self.target.column, option="target.column"),
            classes=self.target.classes,
            duration=self.duration,
        )


def series_of(file: Any) -> dict[str, Any]:
    """All time series of a file, by path: groups with data and a clock."""
    found: dict[str, Any] = {}

    def look(path: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and isinstance(item.get("data"), h5py.Dataset):
            if "starting_time" in item or "timestamps" in item:
                found[path] = item

    for top in ("acquisition", "processing", "stimulus", "analysis", "scratch"):
        if isinstance(file.get(top), h5py.Group):
            file[top].visititems(lambda path, item, top=top: look(f"{top}/{path}", item))
    return found


def _series(file: Any, name: str, *, option: str) -> tuple[str, Any]:
    """The series that is meant; what there is otherwise includes the units."""
    known = series_of(file)
    try:
        path = choose(known, name, option=option, what="series")
    except Refused as error:
        also = "; and units" if UNITS in file else ""
        raise Refused(f"{error}{also}") from None
    return path, known[path]


def _clock(group: Any, path: str) -> tuple[np.ndarray, float | None]:
    """Time stamps `(samples,)` in s, and the rate where the file states it."""
    if "timestamps" in group:
        return np.asarray(group["timestamps"][:], np.float64), None
    start = group["starting_time"]
    rate = float(start.attrs["rate"])
    if not rate > 0:
        raise Refused(f"{path}: its rate must be above 0 Hz, got {rate}")
    return float(start[()]) + np.arange(len(group["data"])) / rate, rate


def _stored(group: Any) -> Any:
    """The numbers of a series, in the file."""
    stored = group["data"]
    if stored.dtype.kind not in "iufb" or stored.ndim < 1:
        raise Refused(f"{group.name}: data must be numbers, got {stored.dtype} of shape {stored.shape}")
    return stored


def _values(group: Any, first: int = 0, last: int | None = None) -> np.ndarray:
    """Samples in their unit: stored numbers times conversion, and of each channel, plus offset."""
    stored = _stored(group)
    factor = np.asarray(stored.attrs.get("conversion", 1.0), np.float64)
    if "channel_conversion" in group and stored.ndim == 2:
        factor = factor * np.asarray(group["channel_conversion"][:], np.float64)
    offset = float(stored.attrs.get("offset", 0.0))
    data = stored[first:last]
    if data.dtype.kind == "f" and (factor == 1).all() and offset == 0:
        return data
    return data * factor + offset


def _unit(group: Any) -> str:
    """The unit of the converted samples; volts under their sign."""
    unit = group["data"].attrs.get("unit", "a.u.")
    text = unit.decode() if isinstance(unit, bytes) else str(unit)
    return {"volts": "V", "volt": "V"}.get(text.lower(), text)


def _rows(file: Any, group: Any) -> Table | None:
    """The rows of the electrodes' or regions' table that the channels are."""
    region = group.get("electrodes", group.get("rois"))
    if not isinstance(region, h5py.Dataset) or "table" not in region.attrs:
        return None
    return table_of(file[region.attrs["table"]], np.asarray(region[:], np.int64))


def _no_table(where: dict, path: str, width: int) -> np.ndarray:
    """All channels of a series without a table of them."""
    if where:
        raise Refused(f"where: {path} has no table of electrodes or regions to choose by; leave it out")
    return np.arange(width)


def _numbered(path: str, width: int) -> list[str]:
    """Names for channels that have none."""
    last = path.split("/")[-1]
    return [f"{last}-{i}" for i in range(width)]


def _spikes(file: Any, where: dict[str, tuple[str, ...]]) -> Events:
    """One train a unit."""
    if not isinstance(file.get(UNITS), h5py.Group):
        raise Refused(f"series={UNITS}: the file has no units; there is {listed(sorted(series_of(file)))}")
    table = table_of(file[UNITS])
    trains = table.column("spike_times", option="series")
    keep = table.where(where)
    if not len(keep):
        raise Refused("where: no unit is left")
    return Events.from_trains({f"unit-{table.ids[i]}": np.asarray(trains[i], np.float64) for i in keep})
