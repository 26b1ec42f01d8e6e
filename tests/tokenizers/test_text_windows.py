"""Windows of tokens: contiguous pieces, each position asked for what follows."""

import numpy as np
import pytest

from neurofmx.datasets.shared.base import Split
from neurofmx.recordings.recording import Recording, opened, save
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import Signal
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows, load_windows

GIVEN = Split("given", kind="given", folds=1, validation="groups", test=("test",), held=("valid",), block=10.0)
NEXT = Task("next_token", "text", ())


def part(session: str, *, tokens: int = 41, first: int = 0) -> Recording:
    """Tokens that count up, each one word of two bytes."""
    numbers = Signal(np.arange(first, first + tokens, dtype=np.int32) % 50, 1.0, "token", ("token",))
    size = Signal(np.tile([1, 2], (tokens, 1)), 1.0, "1", ("words", "bytes"))
    names = np.array([f"t{i}" for i in range(50)])
    return Recording("s", session, {"tokens": numbers, "size": size}, arrays={"vocabulary": names})


def windows(*, split: Split = GIVEN, parts: list[Recording] | None = None, **options: object) -> Windows:
    chosen = CutOptions(**{"anchor": "sample", "start": 0.0, "stop": 4.0, "stride": 4} | options)
    given = parts or [part("train"), part("valid", first=7), part("test", first=9)]
    return cut(given, signal="tokens", task=NEXT, split=split, options=chosen, modality="text", dataset="made")


def test_every_token_but_the_first_is_asked_for_once() -> None:
    cut_ = windows()
    assert cut_.x[:2, :, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert cut_.y[:2].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert cut_.y[cut_.group == 0].ravel().tolist() == list(range(1, 41))
    assert [len(p) for p in cut_.fold(0)] == [10, 10, 10]
    assert cut_.task.names == tuple(f"t{i}" for i in range(50))
    assert cut_.sizes.tolist() == [[4, 8]] * 30
    assert cut_.description == "4 tokens of 50, every 4"


def test_a_longer_stride_leaves_text_out() -> None:
    cut_ = windows(stride=10)
    assert cut_.x[:2, 0, 0].tolist() == [0, 10]
    assert cut_.description == "4 tokens of 50, every 10"


def test_blocks_are_stretches_of_one_part() -> None:
    cut_ = windows()
    # windows begin at 0, 4, ... 36: three in the first ten tokens, two or three in the others
    assert np.bincount(cut_.block)[:4].tolist() == [3, 2, 3, 2]
    assert set(cut_.block[cut_.group == 0]).isdisjoint(cut_.block[cut_.group == 1])


def test_numbers_are_not_scaled_and_come_back(tmp_path) -> None:
    made = windows()
    np.testing.assert_array_equal(made.scaled(0, np.arange(3)), made.x[:3])
    for name in ("a.h5", "b.h5"):
        windows().save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read = load_windows(tmp_path / "a.h5")
    assert read.task == made.task
    np.testing.assert_array_equal(read.sizes, made.sizes)
    np.testing.assert_array_equal(read.truth, made.sizes[-10:])
    assert read.answer == 4


def test_texts_are_cut_from_the_disk_as_from_memory(tmp_path) -> None:
    save(tmp_path / "clean.h5", [part("train"), part("valid", first=7), part("test", first=9)])
    with opened(tmp_path / "clean.h5") as parts:
        stored = windows(parts=parts)
    made = windows()
    for name in ("x", "y", "sizes", "block", "start"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(made, name), err_msg=name)
    assert stored.task == made.task


def test_what_would_score_a_token_twice_or_never_is_refused() -> None:
    with pytest.raises(ValueError, match=r"datasets.made.tokenize.stride=3: must be at least the 4 tokens"):
        windows(stride=3)
    with pytest.raises(ValueError, match=r"a text needs anchor=sample, start=0 and patch=1, got trial"):
        windows(anchor="trial")
    with pytest.raises(ValueError, match=r"1 parts of split given have no window; lower datasets.made.tokenize.stop"):
        windows(parts=[part("train"), part("valid", tokens=3), part("test")])
    blocks = Split("blocks", kind="blocks", folds=3, validation="tail")
    with pytest.raises(ValueError, match=r"split blocks of a text must be `given`"):
        windows(split=blocks)
