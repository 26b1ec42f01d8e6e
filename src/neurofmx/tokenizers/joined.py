"""Windows of several modalities that were recorded at the same time, row by row: joined by time stamps, never by index.

A row is one moment of one recording: the anchor of a window. What another stream has there is its window with the
nearest anchor, if that lies within a tolerance, and each of the two must be the other's nearest. Where a stream's first
sample lies on the row's clock (0 = the row's anchor) is kept in seconds, so that streams of different rates, or whose
anchors fall between each other's samples, stay where they were recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch

from neurofmx.parts import TEST, TRAIN, VALIDATION
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Fold, Windows
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample

ABSENT = -1  # window of a row that lacks the stream


class Known(NamedTuple):
    """Where the recordings of joined windows stand in a model's registries.

    Args:
        session: Index of each recording's session `(recordings,)`.
        subject: Index of each recording's subject `(recordings,)`.
        species: Index of the species.
        recording: For each stream, the index of each of its windows' recordings in the stream's tokenizer
            `(recordings of that stream,)`; streams left out keep the windows' own.
    """

    session: np.ndarray
    subject: np.ndarray
    species: int = 0
    recording: Mapping[str, np.ndarray] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Joined:
    """Rows of windows of one or more streams.

    Args:
        streams: Windows of each stream.
        index: Which window of each stream a row has, `(rows,)`, `ABSENT` where it has none.
        anchor: The row's moment in its recording, s, `(rows,)`.
        group: Recording of each row, index into `origins`, `(rows,)`.
        origins: The recordings of all streams.
        split: `TRAIN`, `VALIDATION`, `TEST` or `GAP` for each fold, `(folds, rows)`.
    """

    streams: dict[str, Windows]
    index: dict[str, np.ndarray]
    anchor: np.ndarray
    group: np.ndarray
    origins: tuple[Origin, ...]
    split: np.ndarray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.anchor)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.split)

    @property
    def species(self) -> str:
        """Who was recorded."""
        return next(iter(self.streams.values())).species

    @property
    def task(self) -> Task:
        """What is asked of a row."""
        return next(iter(self.streams.values())).task

    @property
    def y(self) -> np.ndarray:
        """Answer of each row, that of the first stream which the row has, `(rows, ...)`."""
        return self._of_first("y")

    @property
    def block(self) -> np.ndarray:
        """Stretch of recording that each row lies in, that of the first stream which the row has, `(rows,)`."""
        return self._of_first("block")

    def here(self, stream: str) -> np.ndarray:
        """Which rows have a stream, `(rows,)`, bool."""
        return self.index[stream] != ABSENT

    def offset(self, stream: str) -> np.ndarray:
        """Where the stream's first sample lies on each row's clock, s, `(rows,)`; 0 where the row lacks it."""
        index = self.index[stream]
        return np.where(index == ABSENT, 0.0, self.streams[stream].start[index] - self.anchor)

    def fold(self, k: int) -> Fold:
        """Indices of the training, validation and test rows of fold `k`."""
        return Fold(*(np.flatnonzero(self.split[k] == part) for part in (TRAIN, VALIDATION, TEST)))

    def complete(self) -> Joined:
        """The rows that have every stream; raises ValueError if a fold is left without a part."""
        rows = np.flatnonzero(np.all([self.here(name) for name in self.streams], axis=0))
        split = self.split[:, rows]
        for fold, row in enumerate(split):
            if not {int(TRAIN), int(VALIDATION), int(TEST)} <= set(row.tolist()):
                raise ValueError(
                    f"{', '.join(self.streams)}: fold {fold} has no row with all streams to train on, to validate on "
                    "or to test on; raise the tolerance of their anchors, or cut them over the same time"
                )
        index = {name: index[rows] for name, index in self.index.items()}
        return replace(self, index=index, anchor=self.anchor[rows], group=self.group[rows], split=split)

    def sample(self, fold: int, rows: np.ndarray, known: Known | None = None) -> MultiSample:
        """Rows as a model reads them, each stream standardised with its own training windows of a fold.

        Args:
            fold: Which fold's scaling.
            rows: Indices of the rows `(n,)`.
            known: Where the recordings stand in the model's registries; default in the order of `origins`.

        Returns:
            The batch, on the CPU; a row that lacks a stream holds zeros there.
        """
        known = known or Known(np.arange(len(self.origins)), self._subjects())
        session, subject = (torch.as_tensor(each[self.group[rows]]).long() for each in (known.session, known.subject))
        return MultiSample(
            samples={name: self._stream(name, fold, rows, known) for name in self.streams},
            here={name: torch.as_tensor(self.here(name)[rows]) for name in self.streams},
            offset={name: torch.as_tensor(self.offset(name)[rows], dtype=torch.float32) for name in self.streams},
            session=session,
            subject=subject,
            species=torch.full((len(rows),), known.species),
        )

    def _stream(self, name: str, fold: int, rows: np.ndarray, known: Known) -> Sample:
        """Windows of one stream, zeros where a row lacks it."""
        index, here = self.index[name][rows], torch.as_tensor(self.here(name)[rows])
        sample = Sample.of(self.streams[name], fold, np.maximum(index, 0))
        sample.x[~here] = 0
        if name in known.recording and sample.recording is not None:
            sample.recording[:] = torch.as_tensor(known.recording[name])[sample.recording]
        return sample

    def _subjects(self) -> np.ndarray:
        """Number of each recording's subject, in order of appearance."""
        order = {name: i for i, name in enumerate(dict.fromkeys(each.subject for each in self.origins))}
        return np.array([order[each.subject] for each in self.origins])

    def _of_first(self, name: str) -> np.ndarray:
        """One number a window, of the first stream that a row has."""
        values = None
        for stream, windows in reversed(self.streams.items()):
            of_stream = getattr(windows, name)[np.maximum(self.index[stream], 0)]
            here = self.here(stream).reshape(-1, *(1,) * (of_stream.ndim - 1))
            values = of_stream if values is None else np.where(here, of_stream, values)
        assert values is not None
        return values
