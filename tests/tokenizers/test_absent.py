"""A channel that the cleaning marked in a whole recording: absent there, scaled by the others, 0 for every reader."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofmx.datasets.shared.base import Split
from neurofmx.evaluation.perturb import noisy
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import PerRecording, fit_decoder
from neurofmx.parts import TRAIN
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import Signal, Trials
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.tokenizers.share import scaled_anew
from neurofmx.tokenizers.tokens import Sample

RATE = 10.0
NAMES = ("Fz", "Cz", "Pz")
GROUPS = Split("sessions", kind="groups", folds=3, validation="tail", block=1.0)
BLOCKS = Split("blocks", kind="blocks", folds=3, validation="tail", block=1.0)


def recording(session: int, *lacks: str) -> Recording:
    """20 trials of 1 s, one every 2 s; each session and channel has a level and a spread of its own."""
    rng = np.random.default_rng(session)
    data = 10.0 * session + np.arange(3) + (1 + session + np.arange(3)) * rng.normal(size=(400, 3))
    data[:, [NAMES.index(name) for name in lacks]] = np.nan
    start, side = np.arange(20) * 2.0, np.array(["left", "right"])[np.arange(20) % 2]
    trials = Trials(start, start + 1, {"side": side})
    return Recording("m", f"{session}", {"eeg": Signal(data, RATE, "V", NAMES)}, trials=trials)


def windows(*recordings: Recording, split: Split = GROUPS, **options: object) -> Windows:
    chosen = CutOptions(**{"anchor": "trial", "start": 0.0, "stop": 1.0} | options)
    task = Task("classification", "side", ("left", "right"))
    named = {"signal": "eeg", "modality": "eeg", "dataset": "made"}
    return cut(list(recordings), task=task, split=split, options=chosen, **named)


def one_lacks(**options: object) -> Windows:
    """Session 1 has no Pz."""
    return windows(recording(0), recording(1, "Pz"), recording(2), **options)


def learnt_from(made: Windows, fold: int, column: int) -> list[float]:
    """Samples of a column that a fold may learn from, one by one out of the recordings."""
    values = []
    for window, session in enumerate(made.group):
        data = np.asarray(recording(int(session)).signal("eeg").data)
        if made.split[fold, window] == TRAIN and not (session == 1 and column == 2):
            first = round(made.start[window] * RATE)
            values += [float(value) for value in data[first : first + 10, column]]
    return values


def test_a_channel_is_scaled_by_the_recordings_that_have_it() -> None:
    made = one_lacks()
    assert made.present.tolist() == [[True, True, True], [True, True, False], [True, True, True]]
    assert len(made.y) == 60
    for fold in range(3):
        each = [learnt_from(made, fold, column) for column in range(3)]
        assert len(each[2]) < len(each[0]) or fold == 1
        np.testing.assert_allclose(made.mean[fold], [np.mean(values) for values in each], rtol=1e-5)
        np.testing.assert_allclose(made.std[fold], [np.std(values) for values in each], rtol=1e-5)


def test_what_is_absent_is_0_after_scaling_or_what_is_asked_for() -> None:
    made, lacks = one_lacks(), one_lacks().group == 1
    for fold in range(3):
        scaled, asked = (made.scaled(fold, np.arange(60), **how) for how in ({}, {"absent": np.nan}))
        assert not scaled[lacks][..., 2].any()
        assert np.isnan(asked[lacks][..., 2]).all()
        np.testing.assert_array_equal(np.nan_to_num(asked), scaled)
        np.testing.assert_array_equal(scaled[~lacks], ((made.x - made.mean[fold]) / made.std[fold])[~lacks])
        assert np.isfinite(scaled).all()


def test_with_all_channels_the_moments_are_plain_means_bit_for_bit() -> None:
    made = windows(*(recording(session) for session in range(3)))
    assert made.present.all()
    for fold in range(3):
        samples = made.x[made.split[fold] == TRAIN].reshape(-1, 3).astype(np.float64)
        np.testing.assert_array_equal(made.mean[fold], samples.mean(0).astype(np.float32))
        np.testing.assert_array_equal(made.std[fold], samples.std(0).astype(np.float32))
        np.testing.assert_array_equal(made.scaled(fold, np.arange(60)), (made.x - made.mean[fold]) / made.std[fold])


def test_one_scale_for_all_is_of_what_there_is() -> None:
    made = one_lacks(scale="global")
    for fold in range(3):
        values = [value for column in range(3) for value in learnt_from(made, fold, column)]
        np.testing.assert_allclose(made.mean[fold], np.mean(values), rtol=1e-5)
        np.testing.assert_allclose(made.std[fold], np.std(values), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"scale": "global"}, {"montage": "own", "split": BLOCKS}])
@pytest.mark.parametrize("lacks", ["Fz", "Pz"])
def test_scaling_learnt_again_is_the_same(options: dict[str, object], lacks: str) -> None:
    made = windows(recording(0, lacks), recording(1), recording(2), **options)
    again = scaled_anew(made)
    np.testing.assert_array_equal(again.mean, made.mean)
    np.testing.assert_array_equal(again.std, made.std)


def test_no_window_is_incomplete_for_it() -> None:
    gap = recording(2)
    gap.signal("eeg").data[15:45, 0] = np.nan  # the trials at 2 and 4 s
    with pytest.raises(ValueError, match=r"windows of recording m/2 hold NaN .*\['Fz'\]"):
        windows(recording(0), recording(1, "Pz"), gap)
    made = windows(recording(0), recording(1, "Pz"), gap, incomplete="drop")
    assert np.bincount(made.group).tolist() == [20, 20, 18]
    assert made.present.tolist() == one_lacks().present.tolist()
    assert np.isfinite(made.x).all()


def test_what_pads_a_window_hides_no_absent_channel() -> None:
    stops = np.where(np.arange(20) % 3 == 0, 0.4, 1.0)
    varied = [recording(0), recording(1, "Pz"), recording(2)]
    trials = [replace(each.require_trials(), stop=each.require_trials().start + stops) for each in varied]
    made = windows(*(replace(each, trials=own) for each, own in zip(varied, trials, strict=True)), pad=True)
    assert made.present.tolist() == one_lacks().present.tolist()
    assert set(made.length.tolist()) == {4, 10}
    has = made.recorded(np.arange(60)) & (made.split[0] == TRAIN)[:, None]
    expected = made.x[has & (made.group != 1)[:, None]][:, 2]
    np.testing.assert_allclose(made.mean[0, 2], expected.mean(dtype=float), rtol=1e-5)
    asked = made.scaled(0, np.arange(60), absent=np.nan)
    assert not asked[~made.recorded(np.arange(60))].any()


def test_a_channel_that_nobody_has_is_no_channel_and_a_recording_without_any_is_refused() -> None:
    made = windows(*(recording(session, "Cz") for session in range(3)))
    assert not made.present[:, 1].any()
    assert not made.mean[:, 1].any()
    assert (made.std[:, 1] == 1).all()
    assert not made.scaled(0, np.arange(60))[..., 1].any()
    for options in ({}, {"incomplete": "drop"}):
        with pytest.raises(ValueError, match=r"recording m/1: no channel has a value in any window"):
            windows(recording(0), recording(1, *NAMES), recording(2), **options)


def test_a_channel_that_a_fold_only_meets_in_its_test_is_refused() -> None:
    recordings = [recording(0), recording(1, "Pz"), recording(2, "Pz")]
    with pytest.raises(ValueError, match=r"made: channels \['Pz'\] are in no training window of fold 0, .* has"):
        windows(*recordings)
    made = windows(*recordings, split=BLOCKS)  # each fold trains on a part of the one recording that has it
    train = (made.split[0] == TRAIN) & (made.group == 0)
    np.testing.assert_allclose(made.mean[0, 2], made.x[train][..., 2].mean(dtype=float), rtol=1e-5)


def test_the_log_names_what_is_absent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        one_lacks()
    assert caplog.messages == ["made: recording m/1 is cut without 1 channels: Pz"]


def test_all_of_it_is_saved_and_given_to_networks(tmp_path: Path) -> None:
    made = one_lacks()
    made.save(tmp_path / "w.h5")
    read = load_windows(tmp_path / "w.h5")
    np.testing.assert_array_equal(read.present, made.present)
    sample = Sample.of(read, 0, np.array([0, 20, 40]))
    assert sample.present is not None
    assert sample.present.tolist() == made.present.tolist()
    assert not sample.x[1, :, 2].any()
    torch.testing.assert_close(sample.cleared(), sample.x)


def test_noise_does_not_make_it_present() -> None:
    made = one_lacks()
    test = made.fold(1).test
    assert set(made.group[test]) == {1}
    harmed = noisy(made, 1.0).scaled(1, test)
    assert harmed[..., :2].any()
    assert not harmed[..., 2].any()


def test_a_recording_with_channels_of_its_own_is_read_without() -> None:
    made = one_lacks(montage="own", split=BLOCKS)
    assert made.present.tolist() == one_lacks().present.tolist()
    fitted = fit_decoder(LinearDecoder, made, 0, LinearConfig(features="flat"))
    assert isinstance(fitted, PerRecording)
    assert [len(each.readout.weight) for each in fitted.decoders] == [30, 20, 30]
    assert np.isfinite(fitted.answer(made, 0, made.fold(0).test)).all()
