"""Parts of an open NWB file: time series over a stretch of time, electrodes, intervals.

Read with h5py alone, where the NWB schema says they are: a file behind a network then costs the few blocks that hold
them, and a file of an old schema or with an extension opens like any other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from neurofmx.recordings.timeline import Signal, Trials

Node = Any  # a group or dataset of h5py, whose types do not tell which one a path leads to
_UNITS = {"volts": "V", "volt": "V", "v": "V"}
LARGEST = 1 << 30  # bytes of one series in memory; it is held twice while it is brought to another clock
_GAP = 2.5  # samples without a time stamp that make a gap


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what h5py raises for a damaged or foreign file into a ValueError that names the file.

    Args:
        name: What to call the file.
    """
    try:
        yield
    except (ConnectionError, FileNotFoundError, PermissionError):
        raise
    except (OSError, KeyError, TypeError, IndexError, AttributeError, RuntimeError, OverflowError) as error:
        raise ValueError(
            f"{name}: damaged, or not laid out as this reader expects ({type(error).__name__}: {error}); delete it and "
            "download it again, or read it with the kind `nwb`"
        ) from error


def item(file: h5py.File, path: str) -> Node:
    """A group or dataset of the file; raises ValueError naming its neighbours if there is none."""
    if path in file:
        return file[path]
    parent = path.rpartition("/")[0] or "/"
    above: Node = file.get(parent)
    there = f"no {parent} either" if above is None else ", ".join(above)
    raise ValueError(f"the NWB file has no {path!r}; there is {there}")


def of_type(group: Node, kind: str) -> dict[str, Node]:
    """All direct members of a group with that neurodata type, by name in the file's order."""
    return {name: each for name, each in group.items() if _text(each.attrs.get("neurodata_type", "")) == kind}


def read_series(
    series: Node,
    *,
    channels: Sequence[str],
    start: float,
    stop: float | None,
    rate: float | None = None,
    keep: np.ndarray | None = None,
) -> Signal:
    """Read `start <= time < stop` of a time series.

    Args:
        series: A group of type `TimeSeries`, or one that extends it.
        channels: Name of each column. They also tell the time axis: some writers swap the two.
        start: First time to read, s.
        stop: First time to leave out, s, or none for the end.
        rate: Sampling rate to bring it to, Hz; default that of the file. Series with a time stamp for each sample are
            interpolated to it; a pause of more than 2.5 samples is filled with NaN. Must be given for these.
        keep: Which channels to keep `(channels,)`, bool; default all.

    Returns:
        Samples `(time, channels)`, float32, in the unit of the file after its conversion factor.

    Raises:
        ValueError: If no sample lies there, more than 1 GiB does, or the shape does not fit the channels.
    """
    across = _channels_first(series["data"], channels, name=str(series.name))
    length = series["data"].shape[1 if across else 0]
    times, first, last = _clock(series, start=start, stop=stop, length=length)
    values = _values(series, first, last, across=across, channels=channels)
    if keep is not None:
        values, channels = values[:, keep], [name for name, use in zip(channels, keep, strict=True) if use]
    own = None if "timestamps" in series else _regular(series)[1]
    if rate is None and own is None:
        raise ValueError(f"{series.name}: has a time stamp for each sample; name the rate to bring it to")
    begin = float(times[0])
    if own is None or (rate is not None and abs(rate - own) > 1e-6 * own):
        values, own = _interpolated(times, values, rate or 0.0), rate
    return Signal(values, own or 0.0, _unit(series), tuple(channels), begin)


def electrode_table(file: h5py.File) -> Node:
    """The table of all electrodes."""
    return item(file, "general/extracellular_ephys/electrodes")


def electrode_names(file: h5py.File, rows: np.ndarray) -> tuple[str, ...]:
    """Name of each electrode: its label, or its group's name and its number in the group from 1.

    Args:
        file: The open NWB file.
        rows: Rows of the table of electrodes.
    """
    table = electrode_table(file)
    for column in ("channel_name", "label"):
        if column in table:
            names = [_text(value) for value in table[column][:]]
            if len(set(names)) == len(names):
                return tuple(names[row] for row in rows)
    groups = [_text(value) for value in table["group_name"][:]]
    numbered = [f"{group}{groups[: k + 1].count(group)}" for k, group in enumerate(groups)]
    return tuple(numbered[row] for row in rows)


def electrode_positions(file: h5py.File, rows: np.ndarray, *, metre: float) -> dict[str, np.ndarray]:
    """Coordinates `(electrodes, 3)` in m under the key `positions`; empty where the table has none.

    Args:
        file: The open NWB file.
        rows: Rows of the table of electrodes.
        metre: What one unit of the table is, m.
    """
    table = electrode_table(file)
    if not all(axis in table for axis in "xyz"):
        return {}
    return {"positions": np.stack([table[axis][:].astype(np.float64)[rows] for axis in "xyz"], axis=1) * metre}


def read_intervals(
    table: Node, *, columns: Sequence[str], start: float, stop: float | None, among: Collection[str] = ()
) -> Trials:
    """Read the intervals that lie in a stretch of time entirely, in order of their start.

    Args:
        table: A group of type `TimeIntervals`.
        columns: Further columns to read, as text; a number is written as `45` or `0.5`.
        among: Values of the first column to keep; default all.
        start: First time, s.
        stop: First time to leave out, s, or none for the end.

    Returns:
        The intervals, without those that have no time.

    Raises:
        ValueError: If a column is missing.
    """
    if absent := [name for name in columns if name not in table]:
        raise ValueError(f"{table.name} has no column {', '.join(absent)}; there is {', '.join(table)}")
    begin, end = table["start_time"][:].astype(float), table["stop_time"][:].astype(float)
    inside = np.flatnonzero((begin >= start) & (end <= (np.inf if stop is None else stop)) & (end >= begin))
    order = inside[np.argsort(begin[inside], kind="stable")]
    texts = {name: np.array([_text(value) for value in table[name][:]], str)[order] for name in columns}
    kept = np.isin(texts[columns[0]], list(among)) if among else np.ones(len(order), bool)
    return Trials(begin[order][kept], end[order][kept], {name: text[kept] for name, text in texts.items()})


def _channels_first(data: Node, channels: Sequence[str], *, name: str) -> bool:
    """Whether time is the second axis."""
    width = data.shape[1] if data.ndim == 2 else 1
    if data.ndim <= 2 and width == len(channels):
        return False
    if data.ndim == 2 and data.shape[0] == len(channels):
        return True
    raise ValueError(f"{name}: data {data.shape} do not fit {len(channels)} channels")


def _clock(series: Node, *, start: float, stop: float | None, length: int) -> tuple[np.ndarray, int, int]:
    """Times of the samples of a stretch, the first of them, and the first behind them."""
    until = np.inf if stop is None else stop
    if "timestamps" in series:
        stamps = series["timestamps"]
        row: Any = _Row(stamps) if stamps.ndim == 2 else stamps  # older files: begin and end of each sample
        first, last = bisect_left(row, start), bisect_left(row, until)
        times = np.asarray(row[first:last], np.float64)
    else:
        origin, rate = _regular(series)
        first, last = (int(np.clip(np.ceil((time - origin) * rate - 1e-6), 0, length)) for time in (start, until))
        times = origin + np.arange(first, last) / rate
    if last <= first:
        raise ValueError(f"{series.name}: no sample from {start} to {stop} s; choose another stretch of time")
    return times, first, last


def _values(series: Node, first: int, last: int, *, across: bool, channels: Sequence[str]) -> np.ndarray:
    """Samples `(time, channels)` of a stretch, float32, in the unit of the file."""
    size = 4 * (last - first) * len(channels)
    if size > LARGEST:
        raise ValueError(
            f"{series.name}: the stretch holds {size / 2**30:.1f} GiB, over {LARGEST / 2**30:g} GiB; choose a shorter "
            "one with `start` and `stop`"
        )
    data = series["data"]
    raw = data[:, first:last].T if across else data[first:last]
    return _convert(series, np.asarray(raw, np.float32).reshape(last - first, -1))


def _unit(series: Node) -> str:
    """The unit that the file states."""
    stated = _text(series["data"].attrs.get("unit", "")) or "a.u."
    return _UNITS.get(stated.lower(), stated)


class _Row:
    """The first row of a dataset `(2, time)`, as a sequence."""

    def __init__(self, stamps: Node) -> None:
        self._stamps = stamps

    def __len__(self) -> int:
        return self._stamps.shape[1]

    def __getitem__(self, index: Any) -> Any:
        return self._stamps[0, index]


def _regular(series: Node) -> tuple[float, float]:
    """First time, s, and rate, Hz."""
    if "starting_time" not in series:
        raise ValueError(f"{series.name}: has neither time stamps nor a starting time")
    begin = series["starting_time"]
    return float(begin[()]), float(begin.attrs["rate"])


def _convert(series: Node, values: np.ndarray) -> np.ndarray:
    """Into the unit of the file, in place."""
    attributes = series["data"].attrs
    if "channel_conversion" in series:
        values *= series["channel_conversion"][:].astype(np.float32)
    values *= np.float32(attributes.get("conversion", 1.0))
    values += np.float32(attributes.get("offset", 0.0))
    return values


def _interpolated(times: np.ndarray, values: np.ndarray, rate: float) -> np.ndarray:
    """Values on a regular clock that begins with the first time; pauses become NaN."""
    clock = times[0] + np.arange(int((times[-1] - times[0]) * rate + 1e-6) + 1) / rate
    moved = np.empty((len(clock), values.shape[1]), np.float32)
    for k, column in enumerate(values.T):  # one after the other: long recordings must not be held as float64 as well
        moved[:, k] = np.interp(clock, times, column)
    step = max(1 / rate, float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
    for pause in np.flatnonzero(np.diff(times) > _GAP * step):
        moved[(clock > times[pause] + 1e-9) & (clock < times[pause + 1] - 1e-9)] = np.nan
    return moved


def _text(value: Any) -> str:
    """A value of a table or attribute as text."""
    if isinstance(value, bytes):
        return value.decode()
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)
