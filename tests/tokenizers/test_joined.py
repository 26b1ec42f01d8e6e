"""Windows joined by time stamps: against an example worked out by hand, a plain loop, and the parts of a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.raw_folders import raw

from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.matching import nearest
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.tokenizers.joined import ABSENT, Joined
from neurofmx.tokenizers.joining import join
from synthetic import synthetic_windows

__all__ = ["raw"]

SESSION = (Origin("rat/1", "rat", ("aa",)),)


def stream(
    anchor: Sequence[float] | np.ndarray,
    *,
    before: float = 0.5,
    after: float = 0.5,
    rate: float = 10.0,
    parts: Sequence[int] | None = None,
    **facts: object,
) -> Windows:
    """Windows around given anchors: sample i of a window holds its own time, so that a mistake in time is seen."""
    at = np.asarray(anchor, float)
    made = synthetic_windows("circular", windows=len(at), time=round((before + after) * rate), channels=2)
    time = (at - before)[:, None] + np.arange(made.x.shape[1]) / rate
    split = np.array([parts], np.int8) if parts is not None else made.split[:1]
    return replace(
        made,
        x=np.repeat(time[..., None], 2, axis=2).astype(np.float32),
        anchor=at,
        start=at - before,
        stop=at + after,
        rate=rate,
        y=at.copy(),
        split=split,
        mean=np.zeros((1, 2)),
        std=np.ones((1, 2)),
        split_name="blocks-1fold-test",
        origins=SESSION,
        species="rat",
        **facts,
    )


def given(parts: str) -> list[int]:
    """Parts of a split by their letters."""
    return [{"a": TRAIN, "v": VALIDATION, "t": TEST, "-": GAP}[letter] for letter in parts]


def test_streams_of_different_rates_meet_as_worked_out_by_hand() -> None:
    fast = stream([1.0, 1.1, 1.2, 1.3], before=0.2, after=0.1, rate=10.0, parts=given("attv"))
    slow = stream([1.02, 1.27, 1.52], before=0.5, after=0.25, rate=4.0, parts=given("avv"))
    with pytest.raises(ValueError, match=r"fold 0 .* has no row to train on"):  # they reach into each other's test
        join({"a/fast": fast, "a/slow": slow}, tolerance=0.03)
    fast, slow = (replace(each, split=np.full_like(each.split, TRAIN)) for each in (fast, slow))
    fast.split[0, 3] = VALIDATION
    joined = Joined(
        {"a/fast": fast, "a/slow": slow}, *_rows_of({"a/fast": fast, "a/slow": slow}, 0.03), SESSION, fast.split
    )
    np.testing.assert_allclose(joined.anchor, [1.0, 1.1, 1.2, 1.3, 1.52])
    assert joined.index["a/fast"].tolist() == [0, 1, 2, 3, ABSENT]
    # 1.02 is 0.02 from 1.0; 1.27 is 0.03 from 1.3; nothing is near 1.52
    assert joined.index["a/slow"].tolist() == [0, ABSENT, ABSENT, 1, 2]
    np.testing.assert_allclose(joined.offset("a/fast"), [-0.2, -0.2, -0.2, -0.2, 0])
    np.testing.assert_allclose(joined.offset("a/slow"), [0.02 - 0.5, 0, 0, -0.03 - 0.5, -0.5])
    np.testing.assert_allclose(joined.y, [1.0, 1.1, 1.2, 1.3, 1.52])


def _rows_of(streams: dict[str, Windows], tolerance: float) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Rows without their split, which so few windows cannot have."""
    from neurofmx.tokenizers.joining import _rows

    return _rows(streams, {name: windows.group for name, windows in streams.items()}, 1, tolerance)


def plain_match(rows: np.ndarray, windows: np.ndarray, tolerance: float) -> dict[int, int]:
    """Window to row, one pair at a time: each must be the other's nearest."""
    pairs = {}
    for w, moment in enumerate(windows):
        r = min(range(len(rows)), key=lambda i: abs(rows[i] - moment))
        back = min(range(len(windows)), key=lambda i: abs(windows[i] - rows[r]))
        if back == w and abs(rows[r] - moment) <= tolerance:
            pairs[w] = r
    return pairs


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_what_a_plain_loop_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (np.cumsum(rng.uniform(0.02, 0.5, size)) for size in (40, 60))
    index, anchor, _ = _rows_of({"a": stream(first), "b": stream(second)}, 0.1)
    pairs = plain_match(first, second, 0.1)
    assert len(anchor) == len(first) + len(second) - len(pairs)
    assert 5 < len(pairs) < 40
    assert (np.diff(anchor) >= 0).all()
    found = {int(b): int(a) for a, b in zip(index["a"], index["b"], strict=True) if a != ABSENT and b != ABSENT}
    assert found == pairs
    for name, number in (("a", len(first)), ("b", len(second))):
        assert sorted(index[name][index[name] != ABSENT].tolist()) == list(range(number))


def test_anchors_that_lie_half_way_between_are_paired_one_to_one() -> None:
    """Bins of 100 ms have their centre as time, samples their start: all anchors are 50 ms apart."""
    bins, samples = 0.05 + 0.1 * np.arange(200), 0.1 * np.arange(200)
    index, anchor, _ = _rows_of({"spikes": stream(bins), "lfp": stream(samples)}, 0.05)
    np.testing.assert_allclose(anchor, bins)
    assert index["lfp"].tolist() == list(range(200))


def test_nearest_is_the_nearest() -> None:
    times = np.array([3.0])
    assert nearest(times, np.array([0.0, 9.0])).tolist() == [0, 0]
    rng = np.random.default_rng(0)
    times, asked = np.sort(rng.normal(size=50)), rng.normal(size=200)
    expected = np.abs(times[None] - asked[:, None]).argmin(1)
    np.testing.assert_array_equal(nearest(times, asked), expected)


def blocks(windows: Windows, *, test: tuple[float, float], held: tuple[float, float], gap: float) -> Windows:
    """One fold that tests the anchors in one stretch and validates on those in another."""
    row = np.full(len(windows.anchor), TRAIN, np.int8)
    for part, (low, high) in ((TEST, test), (VALIDATION, held)):
        near = (windows.stop > low - gap) & (windows.start < high + gap)
        row[near & (row == TRAIN)] = GAP
        row[(windows.anchor >= low) & (windows.anchor < high)] = part
    return replace(windows, split=row[None])


@pytest.mark.parametrize("seed", range(3))
def test_no_stream_reads_in_training_what_another_reads_in_a_held_out_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    short = stream(np.arange(200) * 0.5, before=0.3, after=0.2)
    long = stream(np.arange(200) * 0.5 + 0.1, before=rng.uniform(1, 4), after=rng.uniform(1, 4), rate=2.0)
    low = rng.uniform(20, 40)
    cut = {"test": (low, low + 20), "held": (low + 30, low + 40)}
    long = blocks(long, test=(low + 0.5, low + 21), held=cut["held"], gap=0.0)
    joined = join({"a/short": blocks(short, **cut, gap=0.0), "a/long": long}, tolerance=0.2)
    reads = np.full((len(joined), 2), np.nan)
    for name, windows in joined.streams.items():
        here, i = joined.here(name), joined.index[name]
        reads[here, 0] = np.fmin(reads[here, 0], windows.start[i[here]])
        reads[here, 1] = np.fmax(reads[here, 1], windows.stop[i[here]])
    part = joined.split[0]
    for held, others in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
        for row in np.flatnonzero(part == held):
            inside = (reads[:, 0] < reads[row, 1] - 1e-6) & (reads[:, 1] > reads[row, 0] + 1e-6)
            assert not np.isin(part[inside], others).any()
    # the streams disagree about 0.5 s at each end of the test
    assert (part == TEST).sum() >= 36
    assert (part == TRAIN).sum() > 60
    for name, windows in joined.streams.items():  # a row is tested where both streams are
        both = joined.here(name) & (part == TEST)
        assert (windows.split[0, joined.index[name][both]] == TEST).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split_name": "runs-6fold-v1"}, "divided by blocks-1fold-test into 1 folds, b by runs-6fold-v1 into 1"),
        ({"origins": ()}, r"do not say which recordings .*dvc repro tokenize@synthetic"),
        ({"origins": (Origin("rat/1", "rat", ("bb",)),)}, r"recording rat/1 has the name of .* none of its files"),
        ({"origins": (Origin("rat/2", "rat", ("aa",)),)}, "nothing can be joined"),
        ({"task": synthetic_windows("regression").task}, "a asks for 'angle', b for 'xy'"),
        ({"split": np.array([given("t" * 20 + "a" * 60 + "v" * 20)])}, "20 of 40 rows|40 of 40 rows"),
    ],
)
def test_streams_that_do_not_belong_together_are_refused(change: dict, message: str) -> None:
    one = stream(np.arange(100.0), parts=given("a" * 60 + "v" * 20 + "t" * 20))
    with pytest.raises(ValueError, match=message):
        join({"a": one, "b": replace(one, **change)}, tolerance=0.1)


def test_a_row_that_lacks_a_stream_holds_zeros_and_says_so() -> None:
    parts = given("a" * 60 + "v" * 20 + "t" * 20)
    one, other = stream(np.arange(100.0), parts=parts), stream(np.arange(100.0) + 0.05, rate=20.0, parts=parts)
    keep = np.arange(100) % 3 != 0
    some = replace(
        other, **{n: getattr(other, n)[keep] for n in ("x", "y", "group", "block", "start", "stop", "length", "anchor")}
    )
    some = replace(some, split=other.split[:, keep])
    joined = join({"rat/lfp": one, "rat/emg": some}, tolerance=0.1)
    batch = joined.sample(0, np.array([0, 1, 2, 3]))
    assert batch.streams == ("rat/lfp", "rat/emg")
    assert batch.here["rat/emg"].tolist() == [False, True, True, False]
    assert not batch.samples["rat/emg"].x[[0, 3]].any()
    # sample i holds its own time: anchor + offset + i / rate
    for name, rate in (("rat/lfp", 10.0), ("rat/emg", 20.0)):
        x = batch.samples[name].x[1]
        expected = 1.0 + batch.offset[name][1] + torch.arange(len(x)) / rate
        torch.testing.assert_close(x[:, 0], expected.float())


def test_spikes_and_lfp_of_a_rat_are_joined_row_by_row(raw: Callable[[str], Path]) -> None:
    """As params.yaml cuts them: both every 125 ms, half a second and a quarter before the moment that is asked for."""
    from tests.test_reference_scores import made

    streams = {f"cao2021/{m}": made(f"cao2021_{m}", "cao2021", m, {}, raw("cao2021")) for m in ("spikes", "lfp")}
    joined = join(streams, tolerance=0.06)
    # fewer spikes: their windows reach further over both ends
    assert [int(joined.here(name).sum()) for name in streams] == [2111, 2117]
    assert len(joined) == 2117
    for name, before in (("cao2021/spikes", 0.5), ("cao2021/lfp", 0.25)):
        here = joined.here(name)
        np.testing.assert_allclose(joined.offset(name)[here], -before)
        np.testing.assert_array_equal(streams[name].y[joined.index[name][here]], joined.y[here])
    whole = joined.complete()
    tested = (whole.split == TEST).any(0).mean()
    assert 0.99 < tested < 1  # at four borders of blocks the two disagree by a window or two
    assert ((whole.split == TEST).sum(0) <= 1).all()


def test_anchors_and_origins_come_back_from_a_file(tmp_path: Path) -> None:
    made = stream([1.0, 2.0, 3.5], parts=given("avt"))
    made.save(tmp_path / "w.h5")
    read = load_windows(tmp_path / "w.h5")
    assert (read.origins, read.species) == (SESSION, "rat")
    np.testing.assert_array_equal(read.anchor, made.anchor)
