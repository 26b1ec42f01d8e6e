"""Recordings: what they refuse, how they are cut, and that their file gives back what went in."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofmx.recordings.recording import Events, Recording, Signal, Source, Trials, load, save, stream


def _recording(session: str = "1") -> Recording:
    rng = np.random.default_rng(0)
    return Recording(
        "monkey",
        session,
        {
            "lfp": Signal(rng.normal(size=(40, 2)).astype(np.float32), 20.0, "V", ("süd", "nord"), 1.0),
            "angle": Signal(rng.normal(size=20), 10.0, "rad", ("angle",), 1.0),
            "bold": Signal(rng.integers(0, 9, (4, 2, 3, 1), dtype=np.int16), 2.0, "a.u.", (), 1.0),
        },
        {"spikes": Events.from_trains({"u1": np.array([1.5, 1.1]), "u0": np.array([2.9]), "silent": np.zeros(0)})},
        Trials(np.array([1.0, 2.0]), np.array([2.0, 3.0]), {"label": np.array(["face", "Straße"]), "n": np.arange(2)}),
        (Source("a.nwb", "00ff"), Source("b.nwb", "11")),
        {"mask": np.array([[True], [False]]), "zero": np.zeros(0)},
    )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype.kind == b.dtype.kind and a.shape == b.shape and bool((a == b).all())


def test_the_file_gives_back_what_went_in(tmp_path: Path) -> None:
    before = [_recording("1"), _recording("2")]
    save(tmp_path / "a.h5", before)
    after = load(tmp_path / "a.h5")
    assert [r.name for r in after] == ["monkey/1", "monkey/2"]
    a, b = before[0], after[0]
    assert (a.sources, list(a.signals), list(a.events)) == (b.sources, list(b.signals), list(b.events))
    for name, signal in a.signals.items():
        read = b.signal(name)
        assert _same(signal.data, read.data)
        assert signal.data.dtype == read.data.dtype
        assert (signal.rate, signal.unit, signal.channels, signal.start) == (
            read.rate,
            read.unit,
            read.channels,
            read.start,
        )
    assert _same(a.event("spikes").times, b.event("spikes").times)
    assert _same(a.event("spikes").sources, b.event("spikes").sources)
    assert b.event("spikes").names == ("u1", "u0", "silent")
    assert _same(a.require_trials().column("label"), b.require_trials().column("label"))
    assert _same(a.array("mask"), b.array("mask"))


def test_no_trials_and_empty_trials_are_not_the_same(tmp_path: Path) -> None:
    none = replace(_recording(), trials=None)
    empty = replace(_recording(), trials=Trials(np.zeros(0), np.zeros(0), {"label": np.zeros(0, str)}))
    save(tmp_path / "a.h5", [none, empty])
    first, second = load(tmp_path / "a.h5")
    assert first.trials is None
    assert len(second.require_trials()) == 0
    with pytest.raises(ValueError, match=r"monkey/1 has no trials"):
        first.require_trials()


def test_equal_recordings_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.h5", [_recording()])
    monkeypatch.setattr("time.time", lambda: 0.0)
    save(tmp_path / "elsewhere" / "b.h5", iter([_recording()]))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "elsewhere" / "b.h5").read_bytes()


def test_streaming_holds_one_recording_at_a_time(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", (_recording(str(i)) for i in range(3)))
    assert next(stream(tmp_path / "a.h5")).session == "0"


def test_a_failing_save_leaves_the_old_file(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", [_recording("old")])

    def interrupted():
        yield _recording("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "a.h5", interrupted())
    assert [r.session for r in load(tmp_path / "a.h5")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", [_recording("old")])
    script = """
import resource, signal, sys
import numpy as np
from neurofmx.recordings.recording import Recording, Signal, save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # no file may grow beyond 1 MiB
save(sys.argv[1], [Recording("s", "new", {"x": Signal(np.arange(1.0, 1e6), 1.0, "V", ("x",))})])
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.h5")], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "OSError: cannot write" in ended.stderr
    assert "is the disk full?" in ended.stderr
    assert [r.session for r in load(tmp_path / "a.h5")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_truncated_foreign_and_missing_files_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", [_recording()])
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file.attrs["format"] = "else"
    for name, message in (("cut", "truncated"), ("text", "no HDF5 file"), ("foreign", "found 'else'")):
        with pytest.raises(ValueError, match=rf"{name}\.h5.*{message}"):
            load(tmp_path / f"{name}.h5")
    with pytest.raises(FileNotFoundError, match=r"run the stage"):
        load(tmp_path / "none.h5")


@given(st.floats(0.5, 1000), st.floats(-5, 5), st.floats(0, 1), st.floats(0, 1))
def test_a_slice_keeps_exactly_the_samples_inside(rate: float, start: float, a: float, b: float) -> None:
    signal = Signal(np.arange(50.0), rate, "V", ("x",), start)
    low, high = (start + min(a, b) * signal.duration, start + max(a, b) * signal.duration)
    inside = (signal.times >= low - 1e-6 / rate) & (signal.times < high - 1e-6 / rate)
    if not inside.any():
        with pytest.raises(ValueError, match=r"no sample"):
            signal.slice(low, high)
        return
    part = signal.slice(low, high)
    assert part.data.tolist() == signal.data[inside].tolist()
    np.testing.assert_allclose(part.times, signal.times[inside], atol=1e-9)


def test_neighbouring_slices_share_nothing_and_lose_nothing() -> None:
    signal = Signal(np.arange(1000.0), 30.0, "V", ("x",), 0.1)
    cuts = np.arange(0.1, 33.4, 0.7)
    parts = [signal.slice(a, b).data for a, b in pairwise(cuts)]
    assert np.concatenate(parts).tolist() == signal.slice(cuts[0], cuts[-1]).data.tolist()


def test_a_recording_slice_cuts_everything_alike() -> None:
    part = _recording().slice(1.5, 3.0)
    assert {name: signal.start for name, signal in part.signals.items()} == dict.fromkeys(part.signals, 1.5)
    assert part.event("spikes").times.tolist() == [1.5, 2.9]
    assert part.event("spikes").of("silent").tolist() == []
    assert part.require_trials().column("label").tolist() == ["Straße"]  # the first trial is cut, so it is gone
    early = _recording().slice(1.0, 2.5)
    assert early.require_trials().column("label").tolist() == ["face"]  # and here the second


def test_the_span_of_a_recording_covers_every_part() -> None:
    recording = _recording()
    assert (recording.start, recording.stop, recording.duration) == (1.0, 3.0, 2.0)
    only = Recording("s", "1", events={"spikes": Events(np.array([0.25, 4.0]), np.zeros(2, int), ("u",))})
    assert (only.start, only.stop) == (0.25, 4.0)
    assert Recording("s", "1").duration == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Signal(np.zeros((3, 2)), 0.0, "V", ("a", "b")), "rate must be finite and above 0"),
        (lambda: Signal(np.zeros((3, 2)), np.nan, "V", ("a", "b")), "rate must be finite"),
        (lambda: Signal(np.zeros((3, 2)), 1.0, "V", ("a",)), r"channels must hold 2 names for data \(3, 2\), got 1"),
        (lambda: Signal(np.zeros(3), 1.0, "V", ()), "channels must hold 1 names"),
        (lambda: Signal(np.zeros((3, 2, 2)), 1.0, "V", ("a", "b")), "channels must hold 0 names"),
        (lambda: Signal(np.zeros((3, 2)), 1.0, "V", ("a", "a")), "more than once: a"),
        (lambda: Signal(np.zeros((0, 1)), 1.0, "V", ("a",)), "at least one sample"),
        (lambda: Signal(np.zeros(3), 1.0, "V", ("a",), np.inf), "start must be a finite time"),
        (lambda: Events(np.array([2.0, 1.0]), np.zeros(2, int), ("u",)), "finite and sorted"),
        (lambda: Events(np.array([np.nan]), np.zeros(1, int), ("u",)), "finite and sorted"),
        (lambda: Events(np.zeros(2), np.zeros(1, int), ("u",)), "equally long"),
        (lambda: Events(np.zeros(1), np.array([1]), ("u",)), r"sources must lie in 0\.\.0"),
        (lambda: Trials(np.zeros(2), np.zeros(1)), "stop must have 2 entries"),
        (lambda: Trials(np.ones(1), np.zeros(1)), "stop not before start"),
        (lambda: Trials(np.zeros(2), np.ones(2), {"label": np.zeros(3)}), "label must have 2 entries"),
        (lambda: Recording("s", "1", arrays={"a/b": np.zeros(1)}), "must not be empty or hold '/'"),
    ],
)
def test_what_breaks_a_rule_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    recording = _recording()
    with pytest.raises(ValueError, match=r"signal of recording monkey/1 'lpf'; did you mean 'lfp'\? known: angle"):
        recording.signal("lpf")
    with pytest.raises(ValueError, match=r"did you mean 'spikes'"):
        recording.event("spike")
    with pytest.raises(ValueError, match=r"did you mean 'u1'"):
        recording.event("spikes").of("u11")
    with pytest.raises(ValueError, match=r"known: none"):
        Recording("s", "1").signal("eeg")
