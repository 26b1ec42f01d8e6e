"""Windows: what every model reads. Pieces of clean recordings, their answers, splits and scaling.

Windows are stored in one array. Where recordings have different channels (units of different sessions), the columns are
padded to the widest recording, and `present` says which of them a recording has; column 3 of one recording and column 3
another are then different channels. Where recordings share their channels, `present` leaves out what the cleaning
marked as bad or missing in a whole recording. Where windows are shorter than the longest, `length` says how much of
them was recorded. What pads, and what is absent, is 0 after scaling. What was recorded at the same time in another
form, such as the sound of a film, stands beside them: windows of their own, row by row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from neurofmx.parts import TEST, TRAIN, VALIDATION
from neurofmx.recordings.hdf5 import Tree, open_trees, read_trees, write_trees
from neurofmx.recordings.lazy import gather
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.origin import Origin, from_arrays, to_arrays

_PER_WINDOW = ("x", "y", "group", "block", "start", "stop", "length", "sizes", "anchor")
_ARRAYS = (*_PER_WINDOW, "split", "mean", "std", "present", "positions")
_FACTS = ("modality", "rate", "patch", "split_name", "dataset", "montage", "tokenizer", "species")

Montage = Literal["same", "own"]


class Fold(NamedTuple):
    """Indices into the windows of one fold, each of shape `(windows of that part,)`."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one dataset with everything needed to train and score a model on them.

    Args:
        x: Windows, unscaled, shape `(windows, time, channels)`, float32; of a text token numbers, int32.
        y: Answers: labels `(windows,)` int64, values `(windows, variables)` float64, angles `(windows,)` rad or the
            token that follows each `(windows, time)` int32.
        group: Recording of each window, shape `(windows,)`.
        block: Stretch of recording that is exchangeable with others (a trial, some seconds), shape `(windows,)`;
            the bootstrap draws blocks, as neighbouring windows are not independent.
        start: First instant each window reads, seconds, shape `(windows,)`.
        stop: End of what each window reads, seconds, shape `(windows,)`.
        split: `TRAIN`, `VALIDATION`, `TEST` or `GAP` for each fold, shape `(folds, windows)`.
        mean: Mean of each fold's training windows, shape `(folds, channels)`; `(folds, recordings, channels)` where
            each recording has its own channels.
        std: Standard deviation of each fold's training windows, of the same shape; 1 where there is no channel.
        task: What is asked of a model.
        modality: `fmri`, `spikes`, `image`, `eeg`, ...
        rate: Samples a second inside a window, Hz.
        channels: Name of each column; `column-<i>` where recordings have different channels there.
        patch: Samples that share a token.
        split_name: Name of the split, e.g. `runs-6fold-v1`.
        dataset: Name of the dataset.
        montage: `same` channels in all recordings, or each its `own`; default `same`.
        present: Which columns a recording has, shape `(recordings, channels)`, bool; default all.
        length: Samples of each window that were recorded, shape `(windows,)`, int; the rest is at the end. Default all.
        positions: Where each channel was recorded, m, shape `(recordings, channels, 3)`; NaN where not known (default).
        tokenizer: Which tokenizer a network reads them with; empty for that of the modality.
        tokenizer_options: Its settings.
        sizes: Words and bytes that the answers of a window stand for, shape `(windows, 2)`, int; empty but for a text.
        vocabulary: Where samples are numbers of tokens but the task is not the next one, how many tokens there are.
        grid: Shape of one picture, `(rows, columns)` or `(rows, columns, 3)`, where windows are pictures: their rows
            one after the other, the colours of a column side by side. Default `()`, no pictures.
        anchor: Moment that each window lies around and that its answer belongs to, s, shape `(windows,)`; a window
            that begins at its trial's start has the trial's own start, not the sample nearest to it. Default `start`.
        origins: Where each recording comes from; empty where that is not known.
        species: Who was recorded; empty where that is not known.
        beside: What was recorded at the same time in another form, row by row, in the same recordings: its windows have
            these ones' answers and split, and a scaling of their own. None for nothing.

    Raises:
        ValueError: If what is beside has another number of rows.
    """

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray
    block: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    split: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    task: Task
    modality: str
    rate: float
    channels: tuple[str, ...]
    patch: int
    split_name: str
    dataset: str
    montage: Montage = "same"
    present: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    length: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    positions: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tokenizer: str = ""
    tokenizer_options: dict[str, Any] = field(default_factory=dict)
    sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    grid: tuple[int, ...] = ()
    vocabulary: int = 0
    anchor: np.ndarray = field(default_factory=lambda: np.zeros(0))
    origins: tuple[Origin, ...] = ()
    species: str = ""
    beside: Windows | None = None

    def __post_init__(self) -> None:
        windows, time, channels = self.x.shape
        if self.beside is not None and len(self.beside.x) != windows:
            raise ValueError(
                f"{self.dataset}: {len(self.beside.x)} windows stand beside {windows}, there must be one for each"
            )
        recordings = len(self.present) or len(self.origins) or int(self.group.max(initial=0)) + 1
        for name, whole in {
            "present": np.ones((recordings, channels), bool),
            "length": np.full(windows, time),
            "positions": np.full((recordings, channels, 3), np.nan),
            "anchor": self.start,
        }.items():
            if not getattr(self, name).size:
                object.__setattr__(self, name, whole)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.split)

    @property
    def tokens(self) -> int:
        """How many tokens there are, where samples are numbers of tokens; 0 for measurements."""
        return self.task.width if self.task.kind == "next_token" else self.vocabulary

    @property
    def answer(self) -> int:
        """Numbers a model answers to a window: `task.width`, or a log probability for every token of a text."""
        return self.x.shape[1] if self.task.kind == "next_token" else self.task.width

    @property
    def description(self) -> str:
        """What a window holds, in words."""
        time, channels = self.x.shape[1:]
        if self.task.kind != "next_token":
            other = "" if self.beside is None else f", beside it {self.beside.dataset}: {self.beside.description}"
            return f"{time} x {channels} at {self.rate:g} Hz{other}"
        stride = (self.start[1] - self.start[0]) * self.rate
        return f"{time} {self.channels[0]}s of {self.task.width:,}, every {stride:g}"

    @property
    def tested(self) -> np.ndarray:
        """Indices of the windows that a fold tests, in order: all, unless the source publishes one division."""
        return np.flatnonzero((self.split == TEST).any(axis=0))

    def fold(self, k: int) -> Fold:
        """Indices of the training, validation and test windows of fold `k`."""
        return Fold(*(np.flatnonzero(self.split[k] == part) for part in (TRAIN, VALIDATION, TEST)))

    @property
    def truth(self) -> np.ndarray:
        """What answers to the tested windows are scored against: `y` or, as such answers hold the probabilities of the
        true tokens already, the `sizes` of a text."""
        return (self.sizes if self.task.kind == "next_token" else self.y)[self.tested]

    def scaled(self, k: int, index: np.ndarray, *, absent: float = 0.0) -> np.ndarray:
        """Windows `index` standardised with the training windows of fold `k`, shape `(index, time, channels)`.

        What was not recorded is 0: the mean of what was. Numbers of tokens have no scale and stay as they are.
        Channels that a recording lacks are `absent`: 0 as well, or NaN for a reader to whom a channel at its mean is
        not the same as none.
        """
        if self.tokens:
            return gather(self.x, index)
        x = gather(self.x, index)
        if self.montage == "own":
            x = (x - self.mean[k][self.group[index], None]) / self.std[k][self.group[index], None]
        else:
            x = self.standardised(k, x)
        present = self.present[self.group[index]]
        if not present.all():
            np.copyto(x, absent, where=~present[:, None])
        if np.any(self.length[index] < x.shape[1]):
            x[~self.recorded(index)] = 0
        return x

    def standardised(self, k: int, x: np.ndarray) -> np.ndarray:
        """Other windows `(n, time, channels)` of the same channels, scaled as those of fold `k`."""
        return (x - self.mean[k]) / self.std[k]

    def recorded(self, index: np.ndarray) -> np.ndarray:
        """Which samples of windows `index` were recorded and are no padding, shape `(index, time)`, bool."""
        return np.arange(self.x.shape[1]) < self.length[index, None]

    def save(self, path: Path) -> None:
        """Write one HDF5 file, the same bytes for the same windows; it appears only when complete."""
        write_trees(path, [self._tree()])

    def _tree(self) -> Tree:
        """All of it as nested dictionaries of arrays."""
        facts = {name: getattr(self, name) for name in _FACTS}
        facts |= {"vocabulary": self.vocabulary} if self.vocabulary else {}
        facts["tokenizer_options"] = json.dumps(self.tokenizer_options, sort_keys=True)
        task = {name: value for name, value in vars(self.task).items() if value is not None}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {
            **facts,
            "task": task | {"names": np.array(self.task.names)},
            "channels": np.array(self.channels),
            "grid": np.array(self.grid, int),
            "origins": to_arrays(self.origins),
            **arrays,
            **({} if self.beside is None else {"beside": self.beside._tree()}),
        }


def load_windows(path: Path) -> Windows:
    """Read windows written by `Windows.save`.

    Raises:
        FileNotFoundError: If there is no such file, naming the stage that makes it.
        ValueError: If the file is damaged or of another kind.
    """
    _require(path)
    (tree,) = read_trees(path)
    return _windows(tree)


@contextmanager
def open_windows(path: Path) -> Iterator[Windows]:
    """The same, with `x` left in the file, to be read inside the `with` block alone, for windows larger than memory.

    Args:
        path: A file that `Windows.save` wrote.

    Yields:
        The windows; `scaled` reads those that it is asked for.

    Raises:
        FileNotFoundError: If there is no such file, naming the stage that makes it.
        ValueError: If the file is damaged or of another kind.
    """
    _require(path)
    with open_trees(path, leave=lambda place: place in ("x", "beside/x")) as (tree,):
        yield _windows(tree)


def _require(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no windows at {path}; make them with `dvc repro tokenize@{path.stem}`")


def _windows(tree: Tree) -> Windows:
    """Put together what was read."""
    tree["tokenizer_options"] = json.loads(tree["tokenizer_options"])
    task, channels, grid = tree.pop("task"), tuple(tree.pop("channels").tolist()), tuple(tree.pop("grid").tolist())
    asked = Task(**task | {"names": tuple(task["names"].tolist())})
    if "origins" in tree:  # a file of an earlier version has none
        tree["origins"] = from_arrays(tree["origins"])
    if "beside" in tree:
        tree["beside"] = _windows(tree["beside"])
    return Windows(**tree, channels=channels, task=asked, grid=grid)
