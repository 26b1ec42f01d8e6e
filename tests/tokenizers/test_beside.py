"""What stands beside windows: against a plain loop over their times, and scaled and held out as both forms together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurofmx.datasets.shared.base import Split
from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.beside import Other
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows, load_windows, open_windows
from neurofmx.tokenizers.joining import join
from neurofmx.tokenizers.share import with_share
from neurofmx.tokenizers.tokens import Layout, Sample
from synthetic import synthetic_windows

SPLIT = Split("blocks-3fold-test", kind="blocks", folds=3, validation="tail", gap=0.5, block=5.0)
TASK = Task("regression", "target", ("value",))
NEAR = 0.06


def windows(
    names: Sequence[str] = ("a", "b"),
    *,
    dataset: str = "fast",
    rate: float = 10.0,
    begin: float = 0.0,
    channels: int = 2,
    differ: bool = False,
    beside: Windows | None = None,
    tolerance: float = NEAR,
    file: str = "",
    **options: Any,
) -> Windows:
    """Sessions of a minute; the first channel holds its own time, and 1000 more for each session."""
    recordings = []
    for name in names:
        time = begin + np.arange(int(60 * rate)) / rate
        rng = np.random.default_rng([ord(name), int(rate)])
        width = channels + (ord(name) - ord("a") if differ else 0)
        data = np.column_stack([time + 1000 * ord(name), rng.normal(size=(len(time), width - 1))])
        signals = {
            "signal": Signal(data, rate, "V", tuple(f"{dataset}-{i}" for i in range(width)), begin),
            "target": Signal(np.sin(time), rate, "1", ("value",), begin),
        }
        recordings.append(Recording("rat", name, signals, sources=(Source("file", file or f"sum-{name}"),)))
    asked = CutOptions(**({"anchor": "sample", "start": -0.4, "stop": 0.2} | options))
    return cut(
        recordings,
        signal="signal",
        task=TASK,
        split=SPLIT,
        options=asked,
        modality="pose",
        dataset=dataset,
        species="rat",
        beside=None if beside is None else Other(beside, tolerance),
    )


def slow(names: Sequence[str] = ("a", "b"), **changes: Any) -> Windows:
    """The same sessions at 5 Hz, 30 ms later: every second window of the fast ones has one beside it."""
    return windows(names, **{"dataset": "slow", "rate": 5.0, "begin": 0.03, "channels": 3} | changes)


def plain_partners(own: Windows, other: Windows, tolerance: float) -> dict[tuple[str, float], float]:
    """Session and anchor of each window to the anchor of the other's that is its nearest, and it that one's."""
    pairs = {}
    for number, origin in enumerate(own.origins):
        mine = own.anchor[own.group == number]
        place = [each.recording for each in other.origins].index(origin.recording)
        theirs = other.anchor[other.group == place]
        for anchor in mine:
            nearest = min(theirs, key=lambda t, a=anchor: abs(t - a))
            back = min(mine, key=lambda t, n=nearest: abs(t - n))
            if back == anchor and abs(nearest - anchor) <= tolerance:
                pairs[origin.recording, float(anchor)] = float(nearest)
    return pairs


def test_what_stands_beside_is_what_a_plain_loop_finds() -> None:
    alone, other = windows(), slow(["b", "a"])
    made = windows(beside=other, incomplete="drop")
    assert made.beside is not None
    pairs = plain_partners(alone, other, NEAR)
    assert 500 < len(pairs) < 0.6 * len(alone.x)
    found = {
        (made.origins[group].recording, float(anchor)): float(there)
        for group, anchor, there in zip(made.group, made.anchor, made.beside.anchor, strict=True)
    }
    assert found == pairs
    # every sample says when and in which session it was recorded
    for each in (made, made.beside):
        session = np.array([ord(origin.recording[-1]) for origin in each.origins])[each.group]
        np.testing.assert_allclose(each.x[:, 0, 0], each.start + 1000 * session, atol=0.01)
    np.testing.assert_allclose(made.beside.start - made.start, 0.03, atol=1e-6)
    np.testing.assert_array_equal(made.beside.y, made.y)
    np.testing.assert_array_equal(made.beside.group, made.group)
    np.testing.assert_array_equal(made.beside.split, made.split)


def test_each_is_scaled_by_what_stands_in_its_own_training_windows() -> None:
    other = slow()
    made = windows(beside=other, incomplete="drop")
    assert made.beside is not None
    for fold in range(made.folds):
        train = made.split[fold] == TRAIN
        for each in (made, made.beside):
            samples = each.x[train].reshape(-1, each.x.shape[2]).astype(np.float64)
            np.testing.assert_allclose(each.mean[fold], samples.mean(0), rtol=1e-5)
            np.testing.assert_allclose(each.std[fold], samples.std(0), rtol=1e-5)
    whole = windows(beside=slow(scale="global"), incomplete="drop")
    assert whole.beside is not None
    assert not np.ptp(whole.beside.mean, axis=1).any()
    assert np.ptp(whole.mean, axis=1).all()


def test_nothing_of_a_held_out_window_is_read_in_training_in_either_form() -> None:
    made = windows(beside=slow(stop=2.0), incomplete="drop")
    assert made.beside is not None
    low, high = np.minimum(made.start, made.beside.start), np.maximum(made.stop, made.beside.stop)
    for row in made.split:
        for held, others in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
            for one in np.flatnonzero(row == held):
                shares = (made.group == made.group[one]) & (low < high[one] - 1e-6) & (high > low[one] + 1e-6)
                assert not np.isin(row[shares], others).any()
    short = windows(beside=slow(), incomplete="drop")
    assert (made.split == GAP).sum() > (short.split == GAP).sum()
    assert ((made.split == TEST).sum(0) == 1).all(), "every window is tested once"


def test_windows_without_anything_beside_them_are_refused_or_dropped() -> None:
    with pytest.raises(ValueError, match=r"fast: 594 of 1190 windows have none of slow beside them within .*=0.06"):
        windows(beside=slow())
    assert len(windows(beside=slow(), stride=2).x) == len(windows(beside=slow(), incomplete="drop", stride=2).x)
    three = windows(["a", "b", "c"], beside=slow(["c", "a"]), incomplete="drop")
    assert three.beside is not None
    assert set(three.group) == {0, 2}
    assert [three.beside.origins[i].recording for i in (0, 2)] == ["rat/a", "rat/c"]


@pytest.mark.parametrize(
    ("other", "changes", "message"),
    [
        ({"names": ["x"]}, {}, "fast: has no recording in common with slow"),
        ({"file": "another"}, {}, "recording rat/a has the name of a recording of slow and none of its files"),
        ({"start": -0.8}, {"incomplete": "drop"}, r"begin up to 0\.\d+ s apart, more than multimodal.tolerance=0.06"),
        ({}, {"tolerance": 0.01, "incomplete": "drop"}, "no window has one of slow beside it"),
        (
            {"names": ["a"]},
            {"incomplete": "drop", "montage": "own", "differ": True},
            "no window of recording rat/b has anything beside it, and with channels of their own",
        ),
    ],
)
def test_what_does_not_fit_is_refused(other: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        windows(beside=slow(**other), **changes)


def test_nothing_stands_beside_what_stands_beside() -> None:
    made = windows(beside=slow(), stride=2)
    with pytest.raises(ValueError, match="fast has something beside it itself"):
        windows(beside=made, dataset="third", stride=2)
    with pytest.raises(ValueError, match=r"rat/pose: slow stands beside its windows; .* a stream of its own"):
        join({"rat/pose": made, "rat/other": slow()}, tolerance=0.1)
    with pytest.raises(ValueError, match="2 windows stand beside"):
        replace(made, beside=replace(slow(), **{n: getattr(slow(), n)[:2] for n in ("x", "y", "group", "start")}))


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    made = windows(beside=slow(), stride=2)
    assert made.beside is not None
    made.save(tmp_path / "w.h5")
    made.save(tmp_path / "again.h5")
    assert (tmp_path / "w.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    read, index = load_windows(tmp_path / "w.h5"), np.array([5, 2, 40])
    assert read.beside is not None
    assert (read.beside.dataset, read.beside.channels, read.beside.task) == ("slow", made.beside.channels, made.task)
    np.testing.assert_array_equal(read.beside.scaled(1, index), made.beside.scaled(1, index))
    with open_windows(tmp_path / "w.h5") as held:
        assert held.beside is not None
        assert isinstance(held.beside.x, h5py.Dataset)
        np.testing.assert_array_equal(held.beside.scaled(1, index), made.beside.scaled(1, index))
    assert "slow: 3 x 3 at 5 Hz" in read.description


def test_windows_alone_are_written_as_before(tmp_path: Path) -> None:
    synthetic_windows().save(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert "beside" not in file["000000"]


def test_networks_are_given_both() -> None:
    made, index = windows(beside=slow(), stride=2), np.array([3, 7])
    assert made.beside is not None
    sample, layout = Sample.of(made, 2, index), Layout.of(made)
    assert sample.beside is not None
    assert layout.beside == Layout.of(made.beside)
    assert (layout.shape, layout.beside.shape, layout.beside.rate) == ((6, 2), (3, 3), 5.0)
    np.testing.assert_allclose(sample.beside.x.numpy(), made.beside.scaled(2, index), rtol=1e-6)
    assert sample[1:].beside is not None
    assert len(sample[1:].beside) == 1
    assert sample.longest == 6


def test_a_share_of_the_windows_scales_both_anew() -> None:
    made = windows(beside=slow(), stride=2)
    some = with_share(made, 0.3)
    assert some.beside is not None
    assert made.beside is not None
    np.testing.assert_array_equal(some.beside.split, some.split)
    train = some.split[0] == TRAIN
    assert 0 < train.sum() < 0.5 * (made.split[0] == TRAIN).sum()
    mean = some.beside.x[train].reshape(-1, 3).astype(np.float64).mean(0)
    np.testing.assert_allclose(some.beside.mean[0], mean, rtol=1e-5)
    assert not np.allclose(some.beside.mean[0], made.beside.mean[0])
