"""Parts of a recording on one clock: regularly sampled signals, events and trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from neurofmx.recordings.lazy import is_lazy, part
from neurofmx.tables import pick


@dataclass(frozen=True, eq=False)
class Signal:
    """Samples at a fixed rate.

    Args:
        data: Samples `(time,)`, `(time, channels)`, or `(time, ...)` for images and volumes. A lazy array
            (`neurofmx.recordings.lazy`: a dataset of h5py, a memory map) is kept as it is and not read.
        rate: Samples a second, Hz, above 0.
        unit: Physical unit of the samples, such as `"V"`; angles are `"rad"`.
        channels: One unique name per column of `data (time, channels)`. Images and volumes are addressed by position
            and have no names: `()`.
        start: Time of the first sample, s, default 0.

    Raises:
        ValueError: If a rule above is broken.

    Example:
        >>> eeg = Signal(np.zeros((160, 2)), 80.0, "V", ("C3", "C4"))
        >>> eeg.duration, eeg.slice(0.5, 1.0).start
        (2.0, 0.5)
    """

    data: np.ndarray
    rate: float
    unit: str
    channels: tuple[str, ...]
    start: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", self.data if is_lazy(self.data) else np.asarray(self.data))
        object.__setattr__(self, "rate", float(self.rate))
        object.__setattr__(self, "start", float(self.start))
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate must be finite and above 0 Hz, got {self.rate}")
        if not np.isfinite(self.start):
            raise ValueError(f"start must be a finite time in s, got {self.start}")
        if self.data.ndim < 1 or len(self.data) < 1:
            raise ValueError(f"data must hold at least one sample along its first axis, got shape {self.data.shape}")
        width = {1: 1, 2: self.data.shape[-1]}.get(self.data.ndim, 0)
        if len(self.channels) != width:
            raise ValueError(f"channels must hold {width} names for data {self.data.shape}, got {len(self.channels)}")
        _require_unique(self.channels, what="channels")

    @property
    def duration(self) -> float:
        """Length in s: samples over rate."""
        return len(self.data) / self.rate

    @property
    def stop(self) -> float:
        """Time in s at which the last sample ends."""
        return self.start + self.duration

    @property
    def times(self) -> np.ndarray:
        """Time of every sample `(time,)`, s."""
        return self.start + np.arange(len(self.data)) / self.rate

    def slice(self, start: float, stop: float) -> Signal:
        """Keep the samples with `start <= time < stop`, at their times.

        Args:
            start: First time to keep, s.
            stop: First time to leave out, s.

        Returns:
            The kept part; its data is a view, or a lazy part of a lazy array.

        Raises:
            ValueError: If no sample lies in the interval.
        """
        first = max(0, self._index(start))
        last = min(len(self.data), self._index(stop))
        if first >= last:
            raise ValueError(f"no sample in [{start}, {stop}) s; this signal covers [{self.start}, {self.stop}) s")
        return replace(self, data=part(self.data, first, last), start=self.start + first / self.rate)

    def _index(self, time: float) -> int:
        """First sample at or after a time; a millionth of a sample is rounding, not time."""
        return int(np.ceil((time - self.start) * self.rate - 1e-6))


@dataclass(frozen=True, eq=False)
class Events:
    """Moments in time, each from one source: a spike from a unit, a press of a lever.

    Args:
        times: Times `(events,)` in s, finite and sorted.
        sources: Index `(events,)` of each event's source in `names`.
        names: Unique names of the sources, also of those without an event.

    Raises:
        ValueError: If a rule above is broken.

    Example:
        >>> Events(np.array([0.1, 0.2, 0.4]), np.array([0, 1, 0]), ("adn-0", "ca1-0")).of("adn-0").tolist()
        [0.1, 0.4]
    """

    times: np.ndarray
    sources: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", np.asarray(self.times, dtype=np.float64))
        object.__setattr__(self, "sources", np.asarray(self.sources, dtype=np.int64))
        if self.times.ndim != 1 or self.times.shape != self.sources.shape:
            raise ValueError(f"times and sources must be equally long, got {self.times.shape}, {self.sources.shape}")
        if not np.isfinite(self.times).all() or (np.diff(self.times) < 0).any():
            raise ValueError("times must be finite and sorted; sort times and sources together")
        if len(self.sources) and not (0 <= self.sources.min() <= self.sources.max() < len(self.names)):
            raise ValueError(f"sources must lie in 0..{len(self.names) - 1}, the indices of names")
        _require_unique(self.names, what="names")

    @classmethod
    def from_trains(cls, trains: Mapping[str, np.ndarray]) -> Events:
        """Merge one array of times per source.

        Args:
            trains: Times in s by the name of their source, in any order.

        Returns:
            All events, sorted in time; simultaneous ones in the order of `trains`.
        """
        times = np.concatenate([np.zeros(0), *(np.asarray(train, np.float64) for train in trains.values())])
        sources = np.repeat(np.arange(len(trains)), [len(train) for train in trains.values()])
        order = np.argsort(times, kind="stable")
        return cls(times[order], sources[order], tuple(trains))

    def of(self, name: str) -> np.ndarray:
        """Times `(events,)` in s of one source; raises ValueError for an unknown name."""
        index = pick({known: i for i, known in enumerate(self.names)}, name, "event source")
        return self.times[self.sources == index]

    def slice(self, start: float, stop: float) -> Events:
        """Keep the events with `start <= time < stop` and every source's name."""
        first, last = np.searchsorted(self.times, (start, stop))
        return replace(self, times=self.times[first:last], sources=self.sources[first:last])


@dataclass(frozen=True, eq=False)
class Trials:
    """Stretches of time with what is known about each.

    Args:
        start: Start of each trial `(trials,)`, s.
        stop: End of each trial `(trials,)`, s, not before its start.
        columns: Further facts, each `(trials,)`, such as `label`.

    Raises:
        ValueError: If a rule above is broken.
    """

    start: np.ndarray
    stop: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", np.asarray(self.start, dtype=np.float64))
        object.__setattr__(self, "stop", np.asarray(self.stop, dtype=np.float64))
        object.__setattr__(self, "columns", {name: np.asarray(values) for name, values in self.columns.items()})
        for name, values in {"stop": self.stop, **self.columns}.items():
            if values.shape[:1] != self.start.shape:
                raise ValueError(f"trials: {name} must have {len(self.start)} entries, got shape {values.shape}")
        if not np.isfinite([self.start, self.stop]).all() or (self.stop < self.start).any():
            raise ValueError("trials: start and stop must be finite and stop not before start")

    def __len__(self) -> int:
        return len(self.start)

    def column(self, name: str) -> np.ndarray:
        """Values `(trials,)` of one column; raises ValueError for an unknown name."""
        return pick(self.columns, name, "trial column")

    def slice(self, start: float, stop: float) -> Trials:
        """Keep the trials that lie in `[start, stop)` entirely: a cut trial is another trial."""
        keep = (self.start >= start) & (self.stop <= stop)
        return Trials(self.start[keep], self.stop[keep], {k: v[keep] for k, v in self.columns.items()})


def interpolate(clock: np.ndarray, times: np.ndarray, values: np.ndarray, *, angle: bool) -> np.ndarray:
    """Take values to other times along straight lines; an angle goes the shorter way round.

    Args:
        clock: Times `(samples,)` to interpolate to, s. Outside of `times` the first or last value holds.
        times: Times `(known,)` of the values, s, sorted.
        values: Known values `(known, ...)`.
        angle: Whether the values are angles in rad.

    Returns:
        Values `(samples, ...)`; angles in 0 to 2 pi.

    Example:
        >>> halfway = interpolate(np.array([0.5]), np.array([0.0, 1.0]), np.array([6.2, 0.1]), angle=True)
        >>> float(halfway[0].round(3))
        0.008
    """
    columns = np.asarray(values, np.float64).reshape(len(times), -1)
    columns = np.unwrap(columns, axis=0) if angle else columns
    moved = np.stack([np.interp(clock, times, column) for column in columns.T], axis=1)
    return (moved % (2 * np.pi) if angle else moved).reshape(len(clock), *np.shape(values)[1:])


def _require_unique(names: tuple[str, ...], *, what: str) -> None:
    """Refuse a name that stands for two things."""
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"{what} must be unique, found more than once: {', '.join(twice[:5])}")
