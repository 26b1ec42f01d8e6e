"""Cutting: each window holds the samples it says it holds, its answer, and no future of another part."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from neurofmx.datasets.shared.base import Split
from neurofmx.parts import GAP, TEST, TRAIN
from neurofmx.preprocessing.splits import LeakError
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import Signal, Trials
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows, load_windows

RATE = 4.0
RUNS = Split("runs", kind="groups", folds=3, validation="tail", block=1.0)
BLOCKS = Split("blocks", kind="blocks", folds=3, validation="tail", gap=1.0)
LABEL = Task("classification", "label", ("rest", "move"))


def recording(run: int, *, seconds: int = 40) -> Recording:
    """A signal whose samples count up, a trial of 2 s every 4 s, an angle beside it."""
    samples = int(seconds * RATE)
    count = 1000.0 * run + np.arange(samples)
    data = np.stack([count, -count], 1)
    start = np.arange(1.0, seconds - 4, 4.0)
    label = np.array(["move", "rest"])[np.arange(len(start)) % 2]
    return Recording(
        subject="s",
        session=f"run-{run}",
        signals={
            "eeg": Signal(data, RATE, "V", ("C3", "C4"), start=0.5),
            "angle": Signal(np.mod(0.1 * np.arange(samples), 2 * np.pi), RATE, "rad", ("angle",), start=0.5),
        },
        trials=Trials(start, start + 2, {"label": label}),
    )


def windows(
    task: Task = LABEL, split: Split = RUNS, *, recordings: list[Recording] | None = None, **options: object
) -> Windows:
    chosen = CutOptions(**{"anchor": "trial", "start": 0.0, "stop": 1.0} | options)
    return cut(
        recordings or [recording(run) for run in range(3)],
        signal="eeg",
        task=task,
        split=split,
        options=chosen,
        modality="eeg",
        dataset="made",
    )


def test_a_trial_window_holds_its_samples() -> None:
    cut_ = windows(start=-0.25, stop=0.75)
    # the trial at 1 s lies 0.5 s or 2 samples after the signal's start; the window begins one sample earlier
    assert cut_.x[0, :, 0].tolist() == [1, 2, 3, 4]
    assert cut_.x[0, :, 1].tolist() == [-1, -2, -3, -4]
    assert (cut_.start[0], cut_.stop[0]) == (0.75, 1.75)
    assert cut_.y[:4].tolist() == [1, 0, 1, 0]
    assert cut_.group.tolist() == np.repeat([0, 1, 2], 9).tolist()
    assert len(np.unique(cut_.block)) == len(cut_.y) == 27


def test_a_sample_window_takes_the_label_of_the_trial_around_it() -> None:
    cut_ = windows(anchor="sample", start=0.0, stop=0.25)
    expected = [t for t in np.arange(0.5, 40.5, 0.25) if (t - 1) % 4 < 2 and 1 <= t < 35]
    assert cut_.start[cut_.group == 0].tolist() == expected
    assert cut_.y[cut_.group == 0].tolist() == [int((t - 1) // 4 % 2 == 0) for t in expected]
    assert np.bincount(cut_.block)[:9].tolist() == [8] * 9


def test_trials_shorter_than_what_is_independent_share_a_block() -> None:
    split = Split("runs", kind="groups", folds=3, validation="tail", block=10.0)
    cut_ = windows(split=split, anchor="sample", start=0.0, stop=0.25)
    # trials begin at 1, 5, 9, ... s of a signal that begins at 0.5 s: three fit the first 10 s, two or three the others
    assert np.bincount(cut_.block[cut_.group == 0]).tolist() == [24, 16, 24, 8]
    assert set(cut_.block[cut_.group == 0]).isdisjoint(cut_.block[cut_.group == 1])


def test_an_angle_is_read_at_the_anchor() -> None:
    cut_ = windows(Task("circular", "angle", ("angle",)), BLOCKS, anchor="sample", start=-0.5, stop=0.5, stride=3)
    anchor = cut_.x[:, 2, 0] % 1000
    np.testing.assert_allclose(cut_.y, np.mod(0.1 * anchor, 2 * np.pi), atol=1e-6)
    assert np.all(np.diff(anchor[cut_.group == 0]) == 3)


def test_scaling_is_learnt_from_the_training_windows_of_each_fold_alone() -> None:
    cut_ = windows(split=BLOCKS, validation_fraction=0.4)
    for fold in range(3):
        train = cut_.x[cut_.split[fold] == TRAIN].reshape(-1, 2)
        np.testing.assert_allclose(cut_.mean[fold], train.mean(0), rtol=1e-5)
        scaled = cut_.scaled(fold, cut_.fold(fold).train)
        np.testing.assert_allclose(scaled.std((0, 1)), 1, rtol=1e-4)
    other = [recording(run) for run in range(3)]
    test = np.flatnonzero((cut_.split[0] == TEST) & (cut_.group == 1))
    other[1].signals["eeg"].data[int(cut_.x[test[0], 0, 0]) % 1000] += 1e6  # a sample only fold 0's test windows hold
    changed = windows(split=BLOCKS, recordings=other, validation_fraction=0.4)
    np.testing.assert_array_equal(changed.mean[0], cut_.mean[0])
    assert not np.allclose(changed.mean[1], cut_.mean[1])


def test_one_scale_for_all_channels() -> None:
    cut_ = windows(scale="global")
    assert np.all(cut_.mean == cut_.mean[:, :1])
    assert np.all(cut_.std == cut_.std[:, :1])


def test_a_split_that_leaks_is_refused() -> None:
    touching = Split("touching", kind="blocks", folds=3, validation="tail", gap=0.0)
    cut_ = windows(Task("circular", "angle", ("angle",)), touching, anchor="sample", start=0, stop=2)
    assert (cut_.split == -1).any()  # overlapping windows are left out even where the gap is zero
    from neurofmx.preprocessing import splits

    planted = cut_.split.copy()
    planted[planted == GAP] = TRAIN
    with pytest.raises(LeakError):
        splits.check_no_leak(planted, cut_.group, cut_.start, cut_.stop)


def test_equal_bytes_and_round_trip(tmp_path) -> None:
    from neurofmx.tokenizers.cutting.windows import load_windows

    for name in ("a.h5", "b.h5"):
        windows().save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read, made = load_windows(tmp_path / "a.h5"), windows()
    for name, value in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), value) if isinstance(value, np.ndarray) else None
        if not isinstance(value, np.ndarray):
            assert getattr(read, name) == value
    with pytest.raises(FileNotFoundError, match="dvc repro tokenize@none"):
        load_windows(tmp_path / "none.h5")


def damaged(change) -> list[Recording]:
    recordings = [recording(run) for run in range(3)]
    recordings[1] = change(recordings[1])
    return recordings


def with_signal(made: Recording, **changes: object) -> Recording:
    from dataclasses import replace

    eeg = replace(made.signals["eeg"], **changes)
    return replace(made, signals=made.signals | {"eeg": eeg})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: with_signal(r, rate=5.0), r"s/run-1: the signal has 2 channels at 5.0 Hz, the first .* 4.0 Hz"),
        (lambda r: with_signal(r, channels=("C3", "Cz")), r"s/run-1: .* same montage"),
        (
            lambda r: with_signal(r, data=np.where(np.arange(160)[:, None] == 20, np.nan, r.signals["eeg"].data)),
            r"NaN .*C3",
        ),
    ],
)
def test_recordings_that_do_not_fit_are_named(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        windows(recordings=damaged(change), anchor="sample", start=0, stop=1)


def test_an_empty_part_and_a_missing_answer_are_named() -> None:
    with pytest.raises(ValueError, match=r"fold 0 of split blocks has no validation window; use shorter windows"):
        windows(split=BLOCKS)
    made = [recording(run) for run in range(3)]
    made[0].signals["angle"].data[30] = np.nan
    with pytest.raises(ValueError, match=r"made: 'angle' is NaN or infinite"):
        windows(Task("circular", "angle", ("angle",)), recordings=made, anchor="sample")


def test_a_constant_channel_is_named() -> None:
    flat = [with_signal(r, data=r.signals["eeg"].data * [1, 0] + [0, 7.0]) for r in (recording(i) for i in range(3))]
    with pytest.raises(ValueError, match=r"channels \['C4'\] are constant in the training windows of fold 0"):
        windows(recordings=flat)


def test_a_class_absent_from_training_is_named() -> None:
    def rest_only(run: int) -> Recording:
        made = recording(run)
        assert made.trials is not None
        made.trials.columns["label"][:] = "rest" if run else "move"
        return made

    with pytest.raises(ValueError, match=r"fold 0 trains without any window of class \['move'\]; use fewer folds"):
        windows(recordings=[rest_only(run) for run in range(3)])


def test_an_unknown_label_and_a_missing_target_are_named() -> None:
    with pytest.raises(ValueError, match=r"'label' holds \['move'\], not among the classes \['rest', 'feet'\]"):
        windows(Task("classification", "label", ("rest", "feet")))
    with pytest.raises(ValueError, match=r"unknown signal of recording s/run-0 'speed'"):
        windows(Task("regression", "speed", ("speed",)), anchor="sample")
    with pytest.raises(ValidationError, match=r"stop=0.0 must lie after start=1.0"):
        CutOptions(anchor="trial", start=1.0, stop=0.0)
    with pytest.raises(ValueError, match=r"tokenize.patch=3: must divide the 4 samples"):
        windows(patch=3)
    with pytest.raises(ValueError, match=r"no window of 0.0 to 100.0 s fits"):
        windows(stop=100.0)


def test_windows_without_answer_or_with_marked_samples_are_left_out_where_asked() -> None:
    made = [recording(run) for run in range(3)]
    angle = made[0].signals["angle"].data
    angle[[30, 31]] = np.nan
    made[1].signals["eeg"].data[50, 1] = np.nan
    task = Task("circular", "angle", ("angle",))
    options = {"anchor": "sample", "start": -0.5, "stop": 0.5, "incomplete": "drop"}
    kept = windows(task, recordings=made, **options)
    whole = windows(task, **options)
    # 160 samples give 157 windows of 4; two answers are missing, and one sample lies in four windows
    assert np.bincount(whole.group).tolist() == [157, 157, 157]
    assert np.bincount(kept.group).tolist() == [155, 153, 157]
    assert np.isfinite(kept.x).all()
    assert np.isfinite(kept.y).all()
    assert not set(np.round(0.5 + np.array([28, 29]) / RATE, 6)) & set(np.round(kept.start[kept.group == 0], 6))


def test_a_constant_channel_keeps_its_unit_where_asked() -> None:
    flat = [with_signal(r, data=r.signals["eeg"].data * [1, 0] + [0, 7.0]) for r in (recording(i) for i in range(3))]
    made = windows(recordings=flat, flat="keep")
    assert (made.std[:, 1] == 1).all()
    assert (made.std[:, 0] > 1).all()
    assert not made.scaled(0, np.arange(len(made.y)))[..., 1].any()


def test_labels_alone_do_not_make_a_window_incomplete() -> None:
    assert len(windows(incomplete="drop").y) == len(windows().y)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_pictures_are_cut_row_by_row_and_keep_their_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).normal(size=(60, *shape)).astype(np.float32)
    place = Signal(np.arange(60.0), 2.0, "px", ("x",))
    film = Recording("s", "1", {"eeg": Signal(pictures, 2.0, "1", ()), "x": place})
    task = Task("regression", "x", ("x",))
    cut_ = windows(task, BLOCKS, recordings=[film], anchor="sample", start=-0.5, stop=1.0)
    assert cut_.grid == shape
    assert cut_.x.shape == (58, 3 * 6, int(np.prod(shape[1:])))
    for index, x in enumerate(cut_.x):
        np.testing.assert_array_equal(x.reshape(3, *shape), pictures[index : index + 3])
    cut_.save(tmp_path / "windows.h5")
    assert load_windows(tmp_path / "windows.h5").grid == shape
