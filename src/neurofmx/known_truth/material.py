"""Windows of all sessions in all modalities, row by row, and which samples of the truth each row stands on.

A row is one second of one session. The heading is asked for at its end, so a window holds no sample behind the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurofmx.datasets.simulated import RATE, Simulated
from neurofmx.known_truth.sessions import BIN, BINS, STREAMS, Session, Truth
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import join

FOLD = 0  # whose test rows are scored
TIME = 20  # bins of a window
STRIDE = 5  # bins from one window to the next
PATCH = 2  # bins of a token, and so of a step
# sessions have units and electrodes of their own, and shapes of a voltage say more here than its powers
CUT: dict[str, Any] = {"anchor": "sample", "start": -TIME / BINS, "stop": 0.0, "stride": STRIDE, "patch": PATCH}
TOLERANCE = 0.01  # s, of joining: all streams have the same bins


@dataclass(frozen=True, eq=False)
class Part:
    """Training, validation or test rows.

    Args:
        rows: Their numbers among the joined rows (n,).
        session: Number of the session of each (n,).
        first: First sample of each in its session (n,).
        block: Stretch of recording that each lies in (n,).
        heading: What is asked: the angle at the end of the window (n,), rad.
        x: By stream the standardised windows (n, TIME, C), float64.
    """

    rows: np.ndarray
    session: np.ndarray
    first: np.ndarray
    block: np.ndarray
    heading: np.ndarray
    x: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def samples(self, bins: np.ndarray) -> np.ndarray:
        """Samples (n, b, BIN) of some bins (b,) of every row, in its session."""
        return self.first[:, None, None] + BIN * bins[:, None] + np.arange(BIN)


@dataclass(frozen=True, eq=False)
class Material:
    """All sessions.

    Args:
        sessions: With their truth.
        windows: By stream, named as the model does.
        joined: Their rows.
        parts: Training, validation and test rows of the fold.
    """

    sessions: Sequence[Session]
    windows: dict[str, Windows]
    joined: Joined
    parts: tuple[Part, Part, Part]

    @property
    def tested(self) -> Part:
        """The rows that are scored."""
        return self.parts[2]

    def moments(self, stream: str, session: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (n, C) that a stream of some sessions (n,) was standardised with."""
        windows = self.windows[named(stream)]
        return windows.mean[FOLD][session].astype(np.float64), windows.std[FOLD][session].astype(np.float64)

    def standardised(self, stream: str, values: np.ndarray, session: np.ndarray) -> np.ndarray:
        """Values (n, b, C) in the units of the bins as the model reads them."""
        mean, std = self.moments(stream, session)
        return (values - mean[:, None]) / std[:, None]

    def raw(self, stream: str, part: Part) -> np.ndarray:
        """Windows of some rows (n, TIME, C) in the units of the bins, exactly: counts are whole numbers."""
        windows, name = self.windows[named(stream)], named(stream)
        return windows.x[self.joined.index[name][part.rows]].astype(np.float64)

    def in_bins(self, stream: str, values: np.ndarray, session: np.ndarray) -> np.ndarray:
        """The inverse of `standardised`."""
        mean, std = self.moments(stream, session)
        return values * std[:, None] + mean[:, None]


def material(sessions: Sequence[Session]) -> Material:
    """Cut sessions into rows.

    Args:
        sessions: Two or more, with as many units.

    Returns:
        Rows of all streams with the split of the simulated dataset.
    """
    windows = {named(stream): _cut(sessions, stream) for stream in STREAMS}
    joined = join(windows, tolerance=TOLERANCE).complete()
    fold = joined.fold(FOLD)
    parts = (_part(joined, fold.train), _part(joined, fold.validation), _part(joined, fold.test))
    return Material(sessions, windows, joined, parts)


def named(stream: str) -> str:
    """What the model calls a stream."""
    return f"{Simulated.name}/{stream}"


def by_session(
    material: Material, part: Part, make: Callable[[Truth, np.ndarray], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Values by stream (n, b, C) of rows, made session by session.

    Args:
        material: All sessions.
        part: The rows.
        make: Takes a truth and the numbers of its rows in the part, returns values by stream.
    """
    made: dict[str, np.ndarray] = {}
    for number, session in enumerate(material.sessions):
        mine = np.flatnonzero(part.session == number)
        for stream, values in make(session.truth, mine).items():
            whole = made.setdefault(stream, np.zeros((len(part), *values.shape[1:])))
            whole[mine] = values
    return made


def _cut(sessions: Sequence[Session], stream: str) -> Windows:
    """Windows of one stream of all sessions."""
    task, split = Simulated().task, Simulated().split
    waveform = {"waveform": True} if stream == "eeg" else {}
    return cut(
        [session.recording for session in sessions],
        signal=stream,
        task=task,
        split=split,
        options=CutOptions(**CUT, tokenizer_options=waveform, montage="own"),
        modality=stream,
        dataset=Simulated.name if stream == "spikes" else f"{Simulated.name}_{stream}",
        species=Simulated.species,
    )


def _part(joined: Joined, rows: np.ndarray) -> Part:
    """Some rows with what is known of them."""
    end = np.round(joined.anchor[rows] * RATE).astype(int)
    x = {
        stream: joined.streams[named(stream)].scaled(FOLD, joined.index[named(stream)][rows]).astype(np.float64)
        for stream in STREAMS
    }
    return Part(rows, joined.group[rows], end - TIME * BIN, joined.block[rows], joined.y[rows], x)
