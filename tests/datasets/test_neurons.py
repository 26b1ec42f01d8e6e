"""Readers of small sets of units and cells: files written by MATLAB's and R's own writers, and the real ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rdata
from pydantic import ValidationError
from scipy.io import loadmat, savemat
from tests.datasets.server import Server

from neurofmx.datasets import DATASETS
from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.cao2021 import FILE as CAO
from neurofmx.datasets.cao2021 import Cao2021
from neurofmx.datasets.dyer2017 import Dyer2017
from neurofmx.datasets.shared.manifest import write_manifest
from neurofmx.datasets.sheintuch2022 import Sheintuch2022
from neurofmx.datasets.steinmetz2019 import Steinmetz2019
from neurofmx.datasets.tu2020 import Tu2020
from neurofmx.recordings.recording import Recording

Raw = Callable[[str], Path]
RNG = np.random.default_rng(0)


def read(folder: Path, dataset) -> list[Recording]:
    """Read a folder as it is found now."""
    files = set(dataset.checksums())
    write_manifest(folder, files, dataset=dataset.name, source="test", licence="none", options={})
    return dataset.read(folder)


# what each reader is given, by file, and the dataset that reads it


def chewie() -> dict[str, dict[str, np.ndarray]]:
    parts = {}
    for half, bins in (("te", 12), ("tr", 7)):
        parts |= {f"Y{half}": RNG.integers(0, 9, (bins, 5)).astype(np.uint8), f"X{half}": RNG.normal(size=(bins, 2))}
        parts |= {f"T{half}": RNG.integers(0, 4, (bins, 1)).astype(np.uint8)}
    return {"chewie_demo.mat": parts}


def rat() -> dict[str, dict[str, np.ndarray]]:
    speed = np.array([[0.3], [0.05], [np.nan], [-0.2], [0.06], [0.9]])
    position = np.array([[0.0], [0.8], [1.6], [2.4], [3.2], [1.0]])
    counts, amplitude = RNG.integers(0, 9, (6, 4)).astype(np.uint8), RNG.random((6, 3))
    length = np.array([[320]], np.uint16)
    return {CAO: {"Spikes": counts, "FPAuhf": amplitude, "Position": position, "Speed": speed, "trackLen": length}}


def belt() -> dict[str, dict[str, np.ndarray]]:
    place = {"position": np.linspace(0, 108, 8)[:, None], "trackLen": np.array([[108]], np.uint8)}
    return {"Raw_DF_F_Two_Photon.mat": {"RawDF_F": RNG.normal(size=(3, 8))}, "Position4DecodingOLE.mat": place}


def track() -> dict[str, dict[str, np.ndarray]]:
    events, places = np.empty((2, 4, 2), object), np.empty((2, 4, 2), object)
    for cell in np.ndindex(2, 4, 2):
        bins, width = 5 + cell[1], 2 + cell[1]
        events[cell] = np.maximum(RNG.normal(size=(bins, width)), 0)
        places[cell] = RNG.integers(3, 23, (bins, 1)).astype(np.uint8)
    return {"C5M1_spike_train.mat": {"spike_train": events}, "C5M1_stimulus_trace.mat": {"stimulus_trace": places}}


MADE = {
    "dyer2017": (chewie, Dyer2017()),
    "cao2021": (rat, Cao2021()),
    "tu2020": (belt, Tu2020()),
    "sheintuch2022": (track, Sheintuch2022(mice=("C5M1",))),
}


def write(folder: Path, files: dict[str, dict[str, np.ndarray]]) -> None:
    for name, variables in files.items():
        savemat(folder / name, variables)


def test_dyer_parts_are_two_recordings_with_units_of_their_own(tmp_path: Path) -> None:
    files = chewie()
    write(tmp_path, files)
    recordings = read(tmp_path, Dyer2017())
    for half, recording in zip(("te", "tr"), recordings, strict=True):
        given = files["chewie_demo.mat"]
        np.testing.assert_array_equal(recording.signal("spikes").data, given[f"Y{half}"])
        np.testing.assert_array_equal(recording.signal("velocity").data, given[f"X{half}"])
        np.testing.assert_array_equal(recording.signal("target").data, given[f"T{half}"].ravel())
    assert not set(recordings[0].signal("spikes").channels) & set(recordings[1].signal("spikes").channels)


def test_cao_asks_for_a_place_where_the_rat_runs(tmp_path: Path) -> None:
    files = rat()
    write(tmp_path, files)
    (session,) = read(tmp_path, Cao2021())
    angle = session.signal("position").data
    assert np.isnan(angle).tolist() == [False, True, False, True, False, False], "speed above 0.05 m/s, or unknown"
    np.testing.assert_allclose(angle[[0, 2, 4]], [0, np.pi, 2 * np.pi])
    for signal, variable in (("spikes", "Spikes"), ("lfp", "FPAuhf")):
        np.testing.assert_allclose(session.signal(signal).data, files[CAO][variable], rtol=1e-6)
    assert len({(s.rate, s.start, len(s.data)) for s in session.signals.values()}) == 1, "one clock"


def test_tu_is_time_by_cells_and_an_angle(tmp_path: Path) -> None:
    files = belt()
    write(tmp_path, files)
    (session,) = read(tmp_path, Tu2020())
    np.testing.assert_array_equal(session.signal("calcium").data, files["Raw_DF_F_Two_Photon.mat"]["RawDF_F"].T)
    np.testing.assert_allclose(session.signal("position").data, np.linspace(0, 2 * np.pi, 8))


def test_sheintuch_takes_the_chosen_entries(tmp_path: Path) -> None:
    files = track()
    write(tmp_path, files)
    chosen = Sheintuch2022(mice=("C5M1",), tracks=(1, 0), sessions=(2,), directions=(1,))
    recordings = read(tmp_path, chosen)
    assert [r.session for r in recordings] == [f"track-{t}-session-2-direction-1" for t in (1, 0)]
    for entry, recording in zip(((1, 2, 1), (0, 2, 1)), recordings, strict=True):
        events = files["C5M1_spike_train.mat"]["spike_train"][entry]
        places = files["C5M1_stimulus_trace.mat"]["stimulus_trace"][entry]
        np.testing.assert_array_equal(recording.signal("calcium").data, events.astype(np.float32))
        np.testing.assert_array_equal(recording.signal("position").data, places.ravel())
    names = [set(recording.signal("calcium").channels) for recording in recordings]
    assert not names[0] & names[1], "cells are found anew on each track"
    assert chosen.expected.channels == (435, 502)
    assert set(chosen.checksums()) == set(files)


@pytest.mark.parametrize("name", MADE)
def test_a_missing_variable_and_a_damaged_file_are_named(name: str, tmp_path: Path) -> None:
    make, dataset = MADE[name]
    files = make()
    file, variables = next(iter(files.items()))
    for gone in variables:
        write(tmp_path, files | {file: {key: value for key, value in variables.items() if key != gone} or {"x": 1.0}})
        with pytest.raises(ValueError, match=rf"{file}: no variable {gone}"):
            read(tmp_path, dataset)
    write(tmp_path, files)
    whole = (tmp_path / file).read_bytes()
    for damaged in (b"", b"not a MATLAB file" * 20, whole[: len(whole) // 2], whole[:140] + b"\xff" * 80 + whole[220:]):
        (tmp_path / file).write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{file}(:| is no sound)"):
            read(tmp_path, dataset)


@pytest.mark.parametrize(
    ("name", "file", "variable", "short"),
    [
        ("dyer2017", "chewie_demo.mat", "Xte", np.zeros((11, 2))),
        ("cao2021", CAO, "Speed", np.zeros((5, 1))),
        ("tu2020", "Position4DecodingOLE.mat", "position", np.zeros((7, 1))),
    ],
)
def test_parts_of_unequal_length_are_refused(name: str, file: str, variable: str, short, tmp_path: Path) -> None:
    make, dataset = MADE[name]
    files = make()
    files[file][variable] = short
    write(tmp_path, files)
    with pytest.raises(ValueError, match=r"must be equally long, got "):
        read(tmp_path, dataset)


def session(*, trials: int = 6, units: int = 3) -> dict[str, object]:
    """A session as R's list; left contrasts fall, right ones rise."""
    contrast = np.array([0.0, 0.25, 0.5, 1.0, 0.5, 0.25])[:trials]
    onset = 10.0 * np.arange(trials) + 3.5
    return {
        "contrast_left": contrast[::-1].copy(),
        "contrast_right": contrast,
        "feedback_type": np.array([1.0, -1.0] * (trials // 2)),
        "mouse_name": np.array(["Cori"]),
        "brain_area": np.array(["VISp", "CA1", "VISp"][:units]),
        "date_exp": np.array(["2016-12-14"]),
        "spks": [RNG.poisson(0.3, (units, 40)).astype(float) for _ in range(trials)],
        "time": [start + np.arange(40) / 100 for start in onset],
    }


def test_steinmetz_trials_are_laid_end_to_end(tmp_path: Path) -> None:
    made = session()
    rdata.write_rds(tmp_path / "session1.rds", made)
    (recording,) = read(tmp_path, Steinmetz2019(sessions=(1,)))
    spikes, trials = recording.signal("spikes"), recording.require_trials()
    assert recording.name == "Cori/01-2016-12-14"
    assert spikes.channels == ("s1-VISp-0", "s1-CA1-1", "s1-VISp-2")
    for i, counts in enumerate(made["spks"]):
        np.testing.assert_array_equal(spikes.slice(0.4 * i, 0.4 * (i + 1)).data, counts.T)
    # contrasts 0.25 0.5 1 0.5 0.25 0 on the left, 0 0.25 0.5 1 0.5 0.25 on the right: all trials have a stronger side
    assert trials.column("side").tolist() == ["left"] * 3 + ["right"] * 3
    np.testing.assert_allclose(trials.column("onset"), 10.0 * np.arange(6) + 3.5)


def test_steinmetz_leaves_trials_of_equal_contrast_unasked(tmp_path: Path) -> None:
    made = session()
    made["contrast_left"] = made["contrast_right"].copy()
    made["contrast_left"][[1, 4]] = 1.0
    rdata.write_rds(tmp_path / "session1.rds", made)
    (recording,) = read(tmp_path, Steinmetz2019(sessions=(1,)))
    trials = recording.require_trials()
    np.testing.assert_allclose(trials.start, [0.4, 1.6])
    assert trials.column("side").tolist() == ["left", "left"]
    assert recording.signal("spikes").duration == pytest.approx(2.4), "the signal keeps all trials"


def test_steinmetz_last_sessions_are_taken_or_left_out() -> None:
    """The mice of the description: Cori 1-3, Forssmann 4-7, Hench 8-11, Lederberg 12-18, by date."""
    chosen = {last: Steinmetz2019(last=last) for last in ("with", "without", "only")}
    assert chosen["only"].chosen == (3, 7, 11, 17)
    assert chosen["without"].chosen == (1, 5, 9, 13, 15)
    assert len({dataset.split.name for dataset in chosen.values()}) == 3
    assert set(chosen["only"].checksums()) == {f"session{n}.rds" for n in (3, 7, 11, 17)}
    assert Steinmetz2019(sessions=(15, 13, 9), last="only").chosen == (15, 9)
    with pytest.raises(ValueError, match=r"last=without: none of the sessions \[9, 17\] is left"):
        Steinmetz2019(sessions=(9, 17), last="without")


def test_steinmetz_refuses_other_files(tmp_path: Path) -> None:
    dataset, path = Steinmetz2019(sessions=(1,)), tmp_path / "session1.rds"
    made = session()
    for gone in made:
        rdata.write_rds(path, {name: value for name, value in made.items() if name != gone})
        with pytest.raises(ValueError, match=rf"session1.rds: holds no {gone}"):
            read(tmp_path, dataset)
    rdata.write_rds(path, made | {"brain_area": np.array(["VISp"])})
    with pytest.raises(ValueError, match=r"counts \(6, 3, 40\) must be 6 trials of 1 units in 40 bins"):
        read(tmp_path, dataset)
    rdata.write_rds(path, made)
    whole = path.read_bytes()
    for damaged in (b"", b"no R", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"session1.rds: no file of R that can be read"):
            read(tmp_path, dataset)


# the origins that the descriptions of the sets state
ORIGINS = {
    "cao2021": "lcaopcn/Spatiotemporal-patterns-of-rodent-hippocampal-field-potentials-uncover-spatial-representations/"
    "d784869853640587c6dc46ae31f115f19947bd2c/Figure2_source_data/Figure_supplement_5_source_data_wake.mat",
    "dyer2017": "KordingLab/DAD/2f2059798cf599df5839a704682a18958811e13b/data/demo/chewie_demo.mat",
    "sheintuch2022": "zivlab/unbiased_information_estimation/35695a1a9b189f12596299190396f30a2b4c855c/Real%20data/"
    "Full%20data%20set/CA1/C5M1_spike_train.mat",
    "steinmetz2019": "zenman88/STA141Final/a9206d43a0cc8a20922d80b9b23cb768164db3e0/sessions/session1.rds",
    "tu2020": "Mengyu-TU/Position-Decoding-Methods-Based-on-Fluorescence-Calcium-Imaging/"
    "ce93633440cec2f09e2e7fded1ca70e2f36f4993/Calcium_Demo/data/Position4DecodingOLE.mat",
}


@pytest.mark.parametrize("name", ORIGINS)
def test_files_are_asked_for_at_their_origin(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetch_repository_files.__kwdefaults__, "host", server.url)
    server.files = {f"/{ORIGINS[name]}": b"another file"}
    with pytest.raises(ValueError, match=r"sha256|checksum|hash"):
        DATASETS[name]().download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    assert {answer.path for answer in server.answers} == {f"/{ORIGINS[name]}"}


def test_a_real_file_comes_from_its_origin(server: Server, tmp_path: Path, monkeypatch, raw: Raw) -> None:
    folder = raw("dyer2017")
    monkeypatch.setitem(fetch_repository_files.__kwdefaults__, "host", server.url)
    server.files = {f"/{ORIGINS['dyer2017']}": (folder / "chewie_demo.mat").read_bytes()}
    Dyer2017().download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    assert len(Dyer2017().read(tmp_path / "raw")) == 2


def test_steinmetz_has_the_trials_and_units_of_its_description(raw: Raw) -> None:
    folder = raw("steinmetz2019")
    recordings = Steinmetz2019(sessions=(1, 17)).read(folder)
    assert [(len(r.signal("spikes").data) // 40, r.signal("spikes").data.shape[1]) for r in recordings] == [
        (114, 734),
        (224, 565),
    ]
    assert [r.name for r in recordings] == ["Cori/01-2016-12-14", "Lederberg/17-2017-12-10"]
    onset = recordings[0].require_trials().column("onset")
    assert np.diff(onset).min() > 3.5, "the gap of one trial"


def test_cao_signals_are_of_one_animal_at_one_time(raw: Raw) -> None:
    (session,) = Cao2021().read(raw("cao2021"))
    given = loadmat(raw("cao2021") / CAO)
    np.testing.assert_array_equal(session.signal("spikes").data, given["Spikes"])
    assert np.isfinite(session.signal("position").data).sum() == 2118, "the bins that the description decodes"
    # a bin's width: how far the rat comes in one, over its speed
    moved = np.abs(np.diff(given["Position"].ravel()))
    speed = given["Speed"].ravel()[1:]
    fast = speed > 0.3
    assert 0.09 < np.median(moved[fast] / speed[fast]) < 0.15


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Steinmetz2019, {"sessions": (2,)}, "sessions"),
        (Steinmetz2019, {"sessions": (1, 1)}, "sessions"),
        (Sheintuch2022, {"mice": ("C9",)}, "mice"),
        (Sheintuch2022, {"directions": (0, 0)}, "must differ"),
        (Sheintuch2022, {"sessions": ()}, "sessions"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(kind, options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind(**options)
