"""A brain recording: signals, events and trials on one clock, and their HDF5 file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from neurofmx.recordings.hdf5 import open_trees, read_trees, write_trees
from neurofmx.recordings.timeline import Events, Signal, Trials
from neurofmx.tables import pick

__all__ = ["Events", "Recording", "Signal", "Source", "Trials", "load", "opened", "save", "stream"]


@dataclass(frozen=True)
class Source:
    """A file that a recording was read from.

    Args:
        name: The file's path inside the dataset's raw folder.
        sha256: Its SHA-256 sum, in hexadecimal.
    """

    name: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Recording:
    """Everything recorded in one go, on one clock.

    Args:
        subject: Who was recorded.
        session: Which recording of the subject; splits by group keep recordings whole.
        signals: Signals by name, such as `bold`, `eeg`, `head_direction`.
        events: Events by name, such as `spikes`.
        trials: The trials, if there are any.
        sources: The files it was read from.
        arrays: What belongs to the recording but not to a time: a brain mask, an affine, a true coupling.

    Raises:
        ValueError: If a name is empty or holds a slash.
    """

    subject: str
    session: str
    signals: dict[str, Signal] = field(default_factory=dict)
    events: dict[str, Events] = field(default_factory=dict)
    trials: Trials | None = None
    sources: tuple[Source, ...] = ()
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = self.trials.columns if self.trials is not None else {}
        for name in (*self.signals, *self.events, *self.arrays, *columns):
            if not name or "/" in name:
                raise ValueError(f"recording {self.name}: a name must not be empty or hold '/', got {name!r}")

    @property
    def name(self) -> str:
        """Subject and session, as errors and splits name the recording."""
        return f"{self.subject}/{self.session}"

    @property
    def start(self) -> float:
        """Time in s at which the first signal, event or trial begins."""
        return min((begin for begin, _ in self._spans()), default=0.0)

    @property
    def stop(self) -> float:
        """Time in s at which the last signal, event or trial ends."""
        return max((end for _, end in self._spans()), default=0.0)

    @property
    def duration(self) -> float:
        """Length in s, from `start` to `stop`."""
        return self.stop - self.start

    def signal(self, name: str) -> Signal:
        """The signal of that name; raises ValueError naming the ones there are."""
        return pick(self.signals, name, f"signal of recording {self.name}")

    def event(self, name: str) -> Events:
        """The events of that name; raises ValueError naming the ones there are."""
        return pick(self.events, name, f"event of recording {self.name}")

    def with_signal(self, name: str, signal: Signal) -> Recording:
        """The same recording with one signal added or exchanged."""
        return replace(self, signals=self.signals | {name: signal})

    def require_trials(self) -> Trials:
        """The trials; raises ValueError if the recording has none."""
        if self.trials is None:
            raise ValueError(
                f"recording {self.name} has no trials; anchor windows to samples, or read them in its reader"
            )
        return self.trials

    def array(self, name: str) -> np.ndarray:
        """The array of that name; raises ValueError naming the ones there are."""
        return pick(self.arrays, name, f"array of recording {self.name}")

    def slice(self, start: float, stop: float) -> Recording:
        """Keep `start <= time < stop`; what is kept keeps its times.

        Args:
            start: First time to keep, s.
            stop: First time to leave out, s.

        Returns:
            The part of every signal and event, and the trials that lie inside entirely.

        Raises:
            ValueError: If a signal has no sample there.
        """
        return replace(
            self,
            signals={name: signal.slice(start, stop) for name, signal in self.signals.items()},
            events={name: events.slice(start, stop) for name, events in self.events.items()},
            trials=None if self.trials is None else self.trials.slice(start, stop),
        )

    def _spans(self) -> Iterator[tuple[float, float]]:
        """First and last time of every part."""
        for signal in self.signals.values():
            yield signal.start, signal.stop
        for times in (events.times for events in self.events.values() if len(events.times)):
            yield float(times[0]), float(times[-1])
        if self.trials is not None and len(self.trials):
            yield float(self.trials.start.min()), float(self.trials.stop.max())


def save(path: Path | str, recordings: Iterable[Recording]) -> None:
    """Write recordings to one HDF5 file; equal recordings give equal bytes.

    Args:
        path: The file to write. It appears only when complete.
        recordings: What to write; a generator is consumed one recording at a time, and a lazily held signal one piece
            at a time.
    """
    write_trees(path, (_to_tree(recording) for recording in recordings))


def stream(path: Path | str) -> Iterator[Recording]:
    """Read the recordings of a file one at a time, for files larger than memory.

    Args:
        path: A file of `save`.

    Yields:
        The recordings in their order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, damaged or foreign.
    """
    return map(_from_tree, read_trees(path))


def load(path: Path | str) -> list[Recording]:
    """Read all recordings of a file; arguments and errors are those of `stream`."""
    return list(stream(path))


@contextmanager
def opened(path: Path | str) -> Iterator[list[Recording]]:
    """Open the recordings of a file with their signals left in it, for recordings larger than memory.

    Args:
        path: A file of `save`.

    Yields:
        The recordings in their order; the data of a signal are read where it is sliced, inside the `with` block.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, damaged or foreign.
    """
    with open_trees(path, leave=lambda place: place.startswith("signals/") and place.endswith("/data")) as trees:
        yield [_from_tree(tree) for tree in trees]


def _to_tree(recording: Recording) -> dict[str, Any]:
    """A recording as nested dictionaries of arrays."""
    trials = recording.trials
    return {
        "subject": recording.subject,
        "session": recording.session,
        "signals": {name: vars(s) | {"channels": np.array(s.channels, str)} for name, s in recording.signals.items()},
        "events": {name: vars(e) | {"names": np.array(e.names, str)} for name, e in recording.events.items()},
        "sources": {f"{i:06d}": vars(source) for i, source in enumerate(recording.sources)},
        "arrays": recording.arrays,
        **({} if trials is None else {"trials": vars(trials)}),
    }


def _from_tree(tree: dict[str, Any]) -> Recording:
    """The inverse of `_to_tree`."""
    signals = {name: s | {"channels": tuple(s["channels"].tolist())} for name, s in tree["signals"].items()}
    events = {name: e | {"names": tuple(e["names"].tolist())} for name, e in tree["events"].items()}
    return Recording(
        tree["subject"],
        tree["session"],
        {name: Signal(**parts) for name, parts in signals.items()},
        {name: Events(**parts) for name, parts in events.items()},
        Trials(**tree["trials"]) if "trials" in tree else None,
        tuple(Source(**source) for source in tree["sources"].values()),
        tree["arrays"],
    )
