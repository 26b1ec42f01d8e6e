"""Recordings that differ in channels, and windows that differ in length: what is not recorded never counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from neurofmx.datasets.shared.base import Split
from neurofmx.parts import TRAIN
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import Signal, Trials
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows, load_windows

RATE = 10.0
BLOCKS = Split("blocks", kind="blocks", folds=3, validation="tail", block=1.0)
LABEL = Task("classification", "side", ("left", "right"))
WIDTHS = (2, 4, 3)


def recording(session: int, *, duration: float = 1.0) -> Recording:
    """20 trials, one every 2 s; `WIDTHS[session]` channels with levels and spreads of their own."""
    rng = np.random.default_rng(session)
    width = WIDTHS[session]
    data = 100.0 * (session + 1) + (1 + np.arange(width)) * rng.normal(size=(400, width))
    start = np.arange(20) * 2.0
    side = np.array(["left", "right"])[np.arange(20) % 2]
    channels = tuple(f"s{session}-{i}" for i in range(width))
    return Recording(
        "m",
        f"{session}",
        {"spikes": Signal(data, RATE, "spikes", channels)},
        trials=Trials(start, start + duration, {"side": side}),
        arrays={"spikes_positions": np.arange(3.0 * width).reshape(width, 3)} if session else {},
    )


def windows(recordings: list[Recording], *, split: Split = BLOCKS, **options: object) -> Windows:
    chosen = CutOptions(**{"anchor": "trial", "start": 0.0, "stop": 1.0, "montage": "own"} | options)
    named = {"signal": "spikes", "modality": "spikes", "dataset": "made"}
    return cut(recordings, task=LABEL, split=split, options=chosen, **named)


def test_columns_are_padded_to_the_widest_recording() -> None:
    recordings = [recording(session) for session in range(3)]
    made = windows(recordings)
    assert made.x.shape == (60, 10, 4)
    assert made.present.tolist() == [[True] * width + [False] * (4 - width) for width in WIDTHS]
    for session, each in enumerate(recordings):
        mine = made.x[made.group == session]
        expected = each.signal("spikes").data.reshape(20, 20, -1)[:, :10]
        np.testing.assert_array_equal(mine[..., : WIDTHS[session]], expected.astype(np.float32))
        assert not mine[..., WIDTHS[session] :].any()
    assert made.channels == ("column-0", "column-1", "column-2", "s1-3")


def test_each_recording_is_scaled_by_its_own_training_windows() -> None:
    made = windows([recording(session) for session in range(3)])
    for fold in range(3):
        for session, width in enumerate(WIDTHS):
            train = (made.split[fold] == TRAIN) & (made.group == session)
            samples = made.x[train][..., :width].reshape(-1, width).astype(float)
            np.testing.assert_allclose(made.mean[fold, session, :width], samples.mean(0), rtol=1e-6)
            np.testing.assert_allclose(made.std[fold, session, :width], samples.std(0), rtol=1e-5)
            scaled = made.scaled(fold, np.flatnonzero(train))
            np.testing.assert_allclose(scaled[..., :width].mean((0, 1)), 0, atol=1e-4)
            assert not scaled[..., width:].any()


def test_positions_stand_beside_their_channels() -> None:
    made = windows([recording(session) for session in range(3)])
    assert made.positions.shape == (3, 4, 3)
    np.testing.assert_array_equal(made.positions[1], np.arange(12.0).reshape(4, 3))
    assert np.isnan(made.positions[0]).all()
    assert np.isnan(made.positions[2, 3]).all()
    wrong = replace(recording(1), arrays={"spikes_positions": np.zeros((3, 3))})
    with pytest.raises(ValueError, match=r"recording m/1: array spikes_positions has shape \(3, 3\), must be \(4, 3\)"):
        windows([recording(0), wrong])


def test_all_of_it_is_saved(tmp_path: Path) -> None:
    made = windows([recording(session, duration=0.7) for session in range(3)], pad=True)
    made.save(tmp_path / "w.h5")
    read = load_windows(tmp_path / "w.h5")
    assert read.origins == made.origins
    for name, value in vars(made).items():
        if name == "origins":
            continue
        np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)
        assert not isinstance(value, np.ndarray) or getattr(read, name).dtype == value.dtype


def test_a_window_ends_with_its_trial_and_is_filled_with_the_mean() -> None:
    recordings = [recording(session) for session in range(3)]
    long = np.where(np.arange(20) % 3 == 0, 0.4, 1.6)
    varied = [
        replace(each, trials=replace(each.require_trials(), stop=each.require_trials().start + long))
        for each in recordings
    ]
    made = windows(varied, pad=True, stop=1.2)
    real = np.tile(np.where(np.arange(20) % 3 == 0, 4, 12), 3)
    assert made.length.tolist() == real.tolist()
    np.testing.assert_allclose(made.stop - made.start, real / RATE)
    assert np.array_equal(made.recorded(np.arange(60)), np.arange(12) < real[:, None])
    for fold in range(3):
        scaled = made.scaled(fold, np.arange(60))
        assert not scaled[~made.recorded(np.arange(60))].any()
        train = (made.split[fold] == TRAIN) & (made.group == 1)
        samples = made.x[train][made.recorded(np.flatnonzero(train))]
        np.testing.assert_allclose(made.mean[fold, 1], samples.mean(0, dtype=float), rtol=1e-6)
    whole = windows(varied, stop=1.2)
    assert (whole.length == 12).all(), "without pad a window reads on"
    np.testing.assert_array_equal(whole.x[1], made.x[1])


def test_a_window_also_ends_with_the_signal_and_none_is_empty() -> None:
    made = recording(1)
    trials = Trials(np.r_[made.require_trials().start, 39.8, 39.9], np.r_[made.require_trials().stop, 45, 39.91])
    sides = np.array(["left", "right"] * 11)
    last = replace(made, trials=replace(trials, columns={"side": sides}))
    cut_ = windows([last], pad=True)
    assert (len(cut_.y), cut_.length[-1], cut_.stop[-1]) == (21, 2, 40.0)
    assert len(windows([last]).y) == 20, "without pad what does not fit is left out"


def test_unequal_channels_are_refused_unless_asked_for() -> None:
    recordings = [recording(session) for session in range(3)]
    with pytest.raises(ValueError, match=r"recording m/1: the signal has 4 channels .* tokenize.montage to 'own'"):
        windows(recordings, montage="same")
    faster = recordings[1].with_signal("spikes", replace(recordings[1].signal("spikes"), rate=20.0))
    with pytest.raises(ValueError, match=r"recording m/1: the signal has 4 channels at 20.0 Hz"):
        windows([recordings[0], faster])


def test_a_recording_of_its_own_is_never_left_out_as_a_whole() -> None:
    groups = Split("sessions", kind="groups", folds=3, validation="tail")
    with pytest.raises(ValueError, match=r"made.tokenize.montage=own: .* split sessions is of kind 'groups'"):
        windows([recording(session) for session in range(3)], split=groups)


def test_what_is_wrong_with_one_recording_is_said_of_that_one() -> None:
    recordings = [recording(session) for session in range(3)]
    data = recordings[1].signal("spikes").data.copy()
    wrong = (
        (slice(None), 3, 5.0, r"\['s1-3'\] of recording m/1 are constant"),
        (slice(100, None), 1, np.nan, r"m/1 .*'s1-1'"),
    )
    for when, column, value, message in wrong:
        spoilt = data.copy()
        spoilt[when, column] = value
        changed = recordings[1].with_signal("spikes", replace(recordings[1].signal("spikes"), data=spoilt))
        with pytest.raises(ValueError, match=message):
            windows([recordings[0], changed, recordings[2]])


def test_padding_needs_a_trial() -> None:
    with pytest.raises(ValidationError, match="pad=true needs anchor=trial"):
        CutOptions(anchor="sample", start=0.0, stop=1.0, pad=True)


def test_equal_recordings_have_all_channels_and_samples() -> None:
    equal = [replace(recording(1), session=f"{i}") for i in range(3)]
    made = windows(equal, montage="same")
    assert made.present.shape == (3, 4)
    assert made.present.all()
    assert (made.length == 10).all()
    assert made.mean.shape == (3, 4)
    assert made.channels == equal[0].signal("spikes").channels
