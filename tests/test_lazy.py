"""Lazily held arrays: the same values as in memory, and no more of them than were asked for."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.datasets.shared.base import Split
from neurofmx.preprocessing.steps.checks import bad_channels
from neurofmx.recordings.lazy import Columns, Lazy, Part, columns, gather, is_lazy, part, pieces
from neurofmx.recordings.recording import Recording, Signal, Trials, opened, save
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.cut import CutOptions, cut


class Held(Lazy):
    """An array that remembers which of its samples were read."""

    def __init__(self, data: np.ndarray) -> None:
        super().__init__(data.shape, data.dtype)
        self.data, self.touched = data, np.zeros(len(data), bool)

    def read(self, first: int, last: int) -> np.ndarray:
        self.touched[first:last] = True
        return self.data[first:last]


DATA = np.random.default_rng(0).normal(size=(50, 3))


@pytest.mark.parametrize(
    "index",
    [
        slice(None),
        slice(3, 9),
        slice(-4, None),
        slice(5, 5),
        slice(9, 2),
        slice(0, 40, 7),
        7,
        -1,
        Ellipsis,
        (slice(2, 8), [2, 0]),
        (4, 1),
    ],
    ids=str,
)
def test_an_index_gives_what_numpy_gives(index) -> None:
    np.testing.assert_array_equal(Held(DATA)[index], DATA[index])


def test_parts_and_columns_are_views_of_views() -> None:
    held = Held(DATA)
    inner = Columns(Part(held, 10, 40), [2, 0])
    assert (inner.shape, inner.ndim, len(inner), inner.dtype) == ((30, 2), 2, 30, np.float64)
    np.testing.assert_array_equal(inner[5:8], DATA[15:18][:, [2, 0]])
    assert np.flatnonzero(held.touched).tolist() == [15, 16, 17]
    np.testing.assert_array_equal(np.asarray(inner), DATA[10:40][:, [2, 0]])
    assert isinstance(part(DATA, 1, 2), np.ndarray)
    assert isinstance(columns(DATA, [1]), np.ndarray)


def test_what_cannot_be_read_forwards_is_refused() -> None:
    with pytest.raises(TypeError, match="use `gather` for indices"):
        Held(DATA)[[1, 2]]
    with pytest.raises(ValueError, match="step must be 1 or more, got -1"):
        Held(DATA)[::-1]
    with pytest.raises(IndexError):
        Held(DATA)[50]


def test_what_counts_as_lazy(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert is_lazy(file.create_dataset("x", data=DATA))
    np.save(tmp_path / "a.npy", DATA)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert is_lazy(mapped)
    assert isinstance(Signal(mapped, 1.0, "V", ("a", "b", "c")).data, np.memmap)
    assert is_lazy(Held(DATA))
    assert not any(is_lazy(value) for value in (DATA, DATA[0, 0], 3.0, [1, 2], "x", None))


@given(st.integers(1, 60), st.integers(1, 40))
def test_pieces_cover_everything_once(samples: int, values: int) -> None:
    found = list(pieces(np.zeros((samples, 3)), values=values))
    assert [i for a, b in found for i in range(a, b)] == list(range(samples))
    assert all((b - a) * 3 <= max(values, 3) for a, b in found)


@settings(deadline=None)
@given(st.lists(st.integers(0, 45), min_size=0, max_size=20), st.integers(1, 5))
def test_gathering_is_indexing(anchors: list[int], width: int) -> None:
    index = np.array(anchors, int)[:, None] + np.arange(width)
    held = Held(DATA)
    np.testing.assert_array_equal(gather(held, index), DATA[index])
    wanted = np.zeros(50, bool)
    wanted[index] = True
    assert held.touched.sum() <= wanted.sum() + len(anchors) * width  # what lies between is left alone
    np.testing.assert_array_equal(gather(held, np.array(anchors, int)), DATA[np.array(anchors, int)])


def test_gathering_far_apart_reads_no_more_than_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurofmx.recordings.lazy.PIECE", 30)  # ten samples of three channels
    index = np.arange(0, 45)[:, None] + np.arange(4)

    class Counted(Held):
        def read(self, first: int, last: int) -> np.ndarray:
            assert last - first <= 10
            return super().read(first, last)

    np.testing.assert_array_equal(gather(Counted(DATA), index), DATA[index])


def test_bad_channels_are_found_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DATA.copy()
    data[[3, 40], 0], data[:, 1] = np.nan, 4.0
    expected = {"a": "2 of 50 samples are not finite", "b": "constant at 4"}
    assert bad_channels(Signal(data, 1.0, "V", ("a", "b", "c"))) == expected
    monkeypatch.setattr("neurofmx.preprocessing.steps.checks.pieces", lambda data: pieces(data, values=12))
    assert bad_channels(Signal(Held(data), 1.0, "V", ("a", "b", "c"))) == expected  # type: ignore[arg-type]


def test_windows_are_read_and_nothing_else(tmp_path: Path) -> None:
    data = np.random.default_rng(1).normal(size=(4000, 3)).astype(np.float32)
    start = np.arange(10.0, 380.0, 20.0)
    trials = Trials(start, start + 1, {"label": np.array(["go", "stop"])[np.arange(len(start)) % 2]})
    wanted = {
        "signal": "lfp",
        "task": Task("classification", "label", ("go", "stop")),
        "split": Split("blocks", kind="blocks", folds=3, validation="tail", gap=1.0),
        "options": CutOptions(anchor="trial", start=0.0, stop=1.0, validation_fraction=0.4),
        "modality": "lfp",
        "dataset": "made",
    }
    held = Held(data)
    lazy, whole = (
        Recording("s", "1", {"lfp": Signal(d, 10.0, "V", ("a", "b", "c"))}, trials=trials) for d in (held, data)
    )
    expected = cut([whole], **wanted)
    np.testing.assert_array_equal(cut([lazy], **wanted).x, expected.x)
    assert held.touched.sum() == 10 * len(start)
    save(tmp_path / "clean.h5", [lazy])
    with opened(tmp_path / "clean.h5") as recordings:
        cut(recordings, **wanted).save(tmp_path / "lazy.h5")
    expected.save(tmp_path / "whole.h5")
    assert (tmp_path / "lazy.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
