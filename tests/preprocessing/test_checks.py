"""Bad channels are named, or dropped from all recordings alike."""

import logging

import numpy as np
import pytest

from neurofmx.preprocessing.steps.checks import bad_channels, drop_channels, screen
from neurofmx.recordings.recording import Recording, Signal


def _recording(session: str, data: np.ndarray) -> Recording:
    return Recording("s", session, {"eeg": Signal(data, 10.0, "V", ("Fz", "Cz", "Pz"))})


@pytest.fixture
def recordings() -> list[Recording]:
    """Cz is flat in run 2, Pz holds a gap in run 3."""
    runs = np.random.default_rng(0).normal(size=(3, 20, 3))
    runs[1, :, 1] = 7.0
    runs[2, 4:6, 2] = np.nan
    return [_recording(f"run-{i + 1}", data) for i, data in enumerate(runs)]


def test_the_reasons_are_told_apart(recordings: list[Recording]) -> None:
    found = [bad_channels(recording.signal("eeg")) for recording in recordings]
    assert found == [{}, {"Cz": "constant at 7"}, {"Pz": "2 of 20 samples are not finite"}]


def test_an_error_names_recording_channel_rule_and_way_out(recordings: list[Recording]) -> None:
    rule = r"recording s/run-2, signal eeg: every channel must be finite and vary, 1 do not \(Cz constant at 7\)"
    with pytest.raises(ValueError, match=rule + r"; repair the raw data, or set preprocess.bad=drop"):
        screen(recordings, "eeg", bad="error", option="preprocess.bad")


def test_dropping_keeps_the_recordings_alike(recordings: list[Recording], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        kept = screen(recordings, "eeg", bad="drop", option="x")
    assert [recording.signal("eeg").channels for recording in kept] == [("Fz",)] * 3
    for before, after in zip(recordings, kept, strict=True):
        np.testing.assert_array_equal(after.signal("eeg").data[:, 0], before.signal("eeg").data[:, 0])
    assert caplog.messages == ["dropped 2 channels of eeg: Cz, Pz"]


def test_good_recordings_pass_untouched(recordings: list[Recording]) -> None:
    assert screen(recordings[:1], "eeg", bad="error", option="x")[0] is recordings[0]


def test_no_channel_left_is_an_error(recordings: list[Recording]) -> None:
    with pytest.raises(ValueError, match=r"recording s/run-1, signal eeg: no usable channel is left"):
        drop_channels(recordings[0], "eeg", ("Fz", "Cz", "Pz"))


def test_positions_go_with_their_channels() -> None:
    signal = Signal(np.arange(6.0).reshape(2, 3), 1.0, "V", ("a", "b", "c"))
    places = np.arange(9.0).reshape(3, 3)
    made = Recording("s", "1", {"eeg": signal}, arrays={"eeg_positions": places, "other": places})
    kept = drop_channels(made, "eeg", ["b"])
    np.testing.assert_array_equal(kept.array("eeg_positions"), places[[0, 2]])
    np.testing.assert_array_equal(kept.array("other"), places)
