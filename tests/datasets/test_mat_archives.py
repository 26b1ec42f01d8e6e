"""Archives of MATLAB files in zip archives, from a server on this machine, in the layout that their users describe."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.io import savemat
from tests.datasets.server import Fault, Server

from neurofmx.datasets import capgmyo, miller_ecog, ninapro
from neurofmx.datasets.access import unpinned
from neurofmx.datasets.capgmyo import Capgmyo
from neurofmx.datasets.miller_ecog import MillerEcog
from neurofmx.datasets.ninapro import Ninapro
from neurofmx.datasets.shared.base import Dataset
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import CutOptions, cut

RNG = np.random.default_rng(0)


def mat(**variables) -> bytes:
    """A MATLAB file of version 5, by scipy."""
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=True)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _here(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives' addresses, moved to this machine; no long pauses."""
    for module in (capgmyo, miller_ecog, ninapro):
        monkeypatch.setattr(module, "HOST", f"{server.url}/{module.__name__}")
    patient = unpinned.persist
    monkeypatch.setattr(unpinned, "persist", lambda *args, **rest: patient(*args, **rest | {"backoff": 0.01}))


def read(dataset: Dataset, folder: Path) -> list[Recording]:
    dataset.download(folder / "raw", mirror=None, cache=folder / "cache")
    return dataset.read(folder / "raw")


# Ninapro


def session(*, movements: int = 17, rate: int = 20, first: int = 1, channels: int = 16) -> dict[str, np.ndarray]:
    """Six repetitions of every movement, one after the other, each followed by rest; EMG that counts its samples."""
    moves, rests = np.full(rate * 2, 1), np.zeros(rate, int)
    label, again = [rests], [rests]
    for movement in range(movements):
        for repetition in range(1, 7):
            label += [moves * (first + movement), rests]
            again += [moves * repetition, rests]
    restimulus, rerepetition = np.concatenate(label)[:, None], np.concatenate(again)[:, None]
    emg = np.arange(len(restimulus))[:, None] + np.arange(channels) * 0.01
    return {"emg": emg, "restimulus": restimulus.astype(np.int8), "rerepetition": rerepetition.astype(np.int8)}


def serve_ninapro(server: Server, subjects: tuple[int, ...] = (1,), **options) -> dict[str, np.ndarray]:
    held = session(**options)
    for subject in subjects:
        files = {f"s{subject}/S{subject}_E{e}_A1.mat": mat(**held, stimulus=held["restimulus"]) for e in (1, 2)}
        server.files[f"/{ninapro.__name__}/DB5_Preproc/s{subject}.zip"] = zipped(files)
    return held


@pytest.mark.parametrize("first", [1, 13])  # some files count on from the exercise before
def test_ninapro_is_cut_into_repetitions_that_share_no_sample(server: Server, tmp_path: Path, first: int) -> None:
    held = serve_ninapro(server, first=first)
    recordings = read(Ninapro(), tmp_path)
    assert len(recordings) == len({one.name for one in recordings}) == Ninapro().expected.recordings == 102
    parts = sorted(recordings, key=lambda one: one.signal("emg").start)
    np.testing.assert_array_equal(np.concatenate([one.signal("emg").data for one in parts]), np.float32(held["emg"]))
    for one in recordings:
        trials, emg = one.require_trials(), one.signal("emg")
        inside = emg.slice(trials.start[0], trials.stop[0]).data[:, 0].round().astype(int)
        code, again = trials.column("movement")[0], trials.column("repetition")[0]
        assert set(held["restimulus"][inside, 0]) == {code}
        assert set(held["rerepetition"][inside, 0]) == {again}
        assert trials.column("label")[0] == f"e2-{code - first + 1:02d}"
        assert one.session == f"e2-m{code - first + 1:02d}-r{again}"
    assert {name for one in recordings for name in one.require_trials().column("label")} == set(Ninapro().task.names)


def test_ninapro_folds_leave_whole_repetitions_of_everyone_out(server: Server, tmp_path: Path) -> None:
    serve_ninapro(server, (1, 3))
    dataset = Ninapro(subjects=(1, 3))
    recordings = read(dataset, tmp_path)
    options = CutOptions(anchor="trial", start=0.0, stop=0.1)
    windows = cut(
        recordings, signal="emg", task=dataset.task, split=dataset.split, options=options, modality="emg", dataset="n"
    )
    again = np.array([one.require_trials().column("repetition")[0] for one in recordings])[windows.group]
    for fold in range(windows.folds):
        train, validation, test = windows.fold(fold)
        assert set(again[test]) == {fold + 1}
        assert not set(again[test]) & set(again[np.r_[train, validation]])
        assert {recordings[i].subject for i in windows.group[test]} == {"db5-s01", "db5-s03"}


def test_ninapro_at_200_hz_refuses_the_usual_band_and_says_why(server: Server, tmp_path: Path) -> None:
    serve_ninapro(server, rate=200, movements=2)
    recordings = read(Ninapro(), tmp_path)[:2]
    emg = PREPROCESS["emg"]
    with pytest.raises(ValueError, match=r"high"):
        emg.preprocess(recordings, emg.options())
    (done, _) = emg.preprocess(recordings, emg.options(high=95.0))
    assert done.signal("emg").data.shape[1] == 16


def test_ninapro_refuses_people_and_files_that_do_not_fit(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"subjects must lie in 1\.\.10 of db5, got \(11,\)"):
        Ninapro(subjects=(11,))
    assert Ninapro(subjects=(11,), database="db2").expected.rate == 2000
    with pytest.raises(ValidationError, match=r"must differ from one another"):
        Ninapro(subjects=(1, 1))
    with pytest.raises(ValidationError, match=r"leave_out='subjects' needs 3 subjects"):
        Ninapro(leave_out="subjects", subjects=(1, 2))
    assert Ninapro(leave_out="subjects", subjects=(1, 2, 3)).split.by == "subject"
    serve_ninapro(server, channels=12)
    with pytest.raises(ValueError, match=r"S1_E2_A1\.mat: emg must have 16 channels, got 12"):
        read(Ninapro(), tmp_path)
    server.files[f"/{ninapro.__name__}/DB5_Preproc/s1.zip"] = zipped({"s1/S1_E9_A1.mat": b""})
    with pytest.raises(FileNotFoundError, match=r"s1\.zip has no file /S1_E2_A1\.mat"):
        read(Ninapro(), tmp_path / "other")


def test_lengths_that_differ_are_refused(server: Server, tmp_path: Path) -> None:
    held = session()
    broken = held | {"restimulus": held["restimulus"][:-5]}
    server.files[f"/{ninapro.__name__}/DB5_Preproc/s1.zip"] = zipped({"s1/S1_E2_A1.mat": mat(**broken)})
    with pytest.raises(ValueError, match=r"must be equally long, got \{'emg': 6140, 'restimulus': 6135"):
        read(Ninapro(), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no sound MATLAB file"),
        (b"\0" * 200, "no sound MATLAB file"),
        (mat(**session())[:5000], "no sound MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\0" * 400, r"MATLAB 7\.3 file"),
        (mat(emg=np.ones((4, 16))), r"no variable restimulus, rerepetition, found emg"),
        (mat(emg="text", restimulus=np.ones(4), rerepetition=np.ones(4)), "emg must hold real numbers"),
    ],
)
def test_files_that_are_not_what_they_should_be(server: Server, tmp_path: Path, content: bytes, message: str) -> None:
    server.files[f"/{ninapro.__name__}/DB5_Preproc/s1.zip"] = zipped({"s1/S1_E2_A1.mat": content})
    with pytest.raises(ValueError, match=message):
        read(Ninapro(), tmp_path)


# CapgMyo


def serve_capgmyo(server: Server, subject: int = 1, *, folder: str = "") -> None:
    files = {}
    for gesture in range(1, 9):
        for trial in range(1, 11):
            data = np.full((50, 128), gesture / 10 + trial / 1000) * np.linspace(-1, 1, 128)
            held = {"data": data, "gesture": gesture, "subject": subject, "trial": trial}
            files[f"{folder}{subject:03d}-{gesture:03d}-{trial:03d}.mat"] = mat(**held)
    server.files[f"/{capgmyo.__name__}/dba-preprocessed-{subject:03d}.zip"] = zipped(files)


@pytest.mark.parametrize("folder", ["", "dba-preprocessed-001/"])
def test_capgmyo_trials_come_in_the_order_of_repetitions_in_volts(server: Server, tmp_path: Path, folder: str) -> None:
    serve_capgmyo(server, folder=folder)
    recordings = read(Capgmyo(), tmp_path)
    assert len(recordings) == len({one.name for one in recordings}) == Capgmyo().expected.recordings == 80
    assert [one.session for one in recordings[:9]] == [*(f"g{g}-r01" for g in range(1, 9)), "g1-r02"]
    for one in recordings:
        gesture, trial = int(one.session[1]), int(one.session[-2:])
        level = np.abs(one.signal("emg").data).max()
        assert level == pytest.approx((gesture / 10 + trial / 1000) * 2.5e-3, rel=1e-6)
        assert one.require_trials().column("label").tolist() == [f"gesture-{gesture}"]
    options = CutOptions(anchor="trial", start=0.0, stop=0.05, scale="global")
    windows = cut(
        recordings,
        signal="emg",
        task=Capgmyo().task,
        split=Capgmyo().split,
        options=options,
        modality="emg",
        dataset="c",
    )
    again = np.array([one.require_trials().column("repetition")[0] for one in recordings])[windows.group]
    assert [sorted(set(again[windows.fold(k).test].tolist())) for k in range(5)] == [
        [1, 2], [3, 4], [5, 6], [7, 8], [9, 10],
    ]  # fmt: skip


def test_capgmyo_refuses_a_file_of_another_trial(server: Server, tmp_path: Path) -> None:
    serve_capgmyo(server)
    address = f"/{capgmyo.__name__}/dba-preprocessed-001.zip"
    with zipfile.ZipFile(io.BytesIO(server.files[address])) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    server.files[address] = zipped(files | {"001-001-001.mat": files["001-002-001.mat"]})
    with pytest.raises(ValueError, match=r"must hold trial, subject, gesture \(1, 1, 1\).*got \(1, 1, 2\)"):
        read(Capgmyo(), tmp_path)
    server.files[address] = zipped({name: files[name] for name in list(files)[1:]})
    with pytest.raises(ValueError, match=r"expected one file /001-001-001\.mat, found 0"):
        read(Capgmyo(), tmp_path / "other")


# Miller's library


def serve_miller(server: Server, monkeypatch: pytest.MonkeyPatch, experiment: str, files: dict[str, bytes]) -> None:
    """The archive of an experiment, under the sum that it then has."""
    body = zipped({f"{experiment}/{name}": content for name, content in files.items()})
    server.files[f"/{miller_ecog.__name__}/{experiment}.zip"] = body
    known = miller_ecog.EXPERIMENTS[experiment]
    stated = known.__class__(**vars(known) | {"md5": hashlib.md5(body).hexdigest()})
    monkeypatch.setitem(miller_ecog.EXPERIMENTS, experiment, stated)


def faces(*, patient: str = "ja", channels: int = 4) -> tuple[dict[str, bytes], np.ndarray, list[str]]:
    """Pictures of 0.4 s with pauses of 0.4 s, and one flicker of the marker."""
    codes = RNG.permutation(np.arange(1, 101))
    stim = np.concatenate([np.zeros(1000), *(np.r_[np.full(400, c), np.full(400, 101)] for c in codes)])
    stim[500:503] = 7
    data = RNG.integers(-5000, 5000, (len(stim), channels)).astype(float)
    names = ["house" if code <= 50 else "face" for code in codes]
    return {f"data/{patient}/{patient}_faceshouses.mat": mat(data=data, stim=stim[:, None], srate=1000)}, data, names


def test_miller_faces_are_trials_of_a_session_in_volts(server: Server, tmp_path: Path, monkeypatch) -> None:
    files, data, names = faces()
    serve_miller(server, monkeypatch, "faces_basic", files | {"data/aa/aa_faceshouses.mat": b"another patient's"})
    (one,) = read(MillerEcog(), tmp_path)
    assert [path.name for path in (tmp_path / "raw").rglob("*.mat")] == ["ja_faceshouses.mat"]
    ecog, trials = one.signal("ecog"), one.require_trials()
    np.testing.assert_allclose(ecog.data, data * 0.0298e-6, rtol=1e-6)
    assert (ecog.rate, ecog.unit, one.name) == (1000.0, "V", "ja/faces_basic")
    assert trials.column("label").tolist() == names
    np.testing.assert_allclose(trials.start, 1.0 + 0.8 * np.arange(100))
    np.testing.assert_allclose(trials.stop - trials.start, 0.4)
    assert "ecog_positions" not in one.arrays


def test_miller_positions_lie_beside_the_data_or_in_it(server: Server, tmp_path: Path, monkeypatch) -> None:
    places = RNG.uniform(-60, 60, (4, 3))
    cue = np.repeat([0, 11, 0, 12, 13, 0], 1000)[:, None]
    data = RNG.integers(-9, 9, (6000, 4)).astype(np.int16)
    moved = {"data/bp_mot_t_h.mat": mat(data=data, stim=cue), "locs/bp_electrodes.mat": mat(electrodes=places)}
    serve_miller(server, monkeypatch, "motor_basic", moved)
    (one,) = read(MillerEcog(experiment="motor_basic", patient="bp"), tmp_path / "a")
    assert one.require_trials().column("label").tolist() == ["tongue", "hand"]  # 13 means nothing known
    np.testing.assert_allclose(one.array("ecog_positions"), places / 1000)
    bent = mat(data=data, cue=np.repeat([0, 1, 0, 5, 0, 2], 1000)[:, None].astype(np.uint8), locs=places)
    serve_miller(server, monkeypatch, "fingerflex", {"data/cc/cc_fingerflex.mat": bent})
    (one,) = read(MillerEcog(experiment="fingerflex", patient="cc"), tmp_path / "b")
    assert one.require_trials().column("label").tolist() == ["thumb", "little", "index"]
    np.testing.assert_allclose(one.array("ecog_positions"), places / 1000)


def test_miller_session_is_cleaned_and_cut(server: Server, tmp_path: Path, monkeypatch) -> None:
    files, _, _ = faces()
    serve_miller(server, monkeypatch, "faces_basic", files)
    dataset, ecog = MillerEcog(), PREPROCESS["ecog"]
    clean = ecog.preprocess(read(dataset, tmp_path), ecog.options(notch=60.0))
    windows = cut(
        clean,
        signal=ecog.signal,
        task=dataset.task,
        split=dataset.split,
        options=CutOptions(anchor="trial", start=0.0, stop=0.4),
        modality="ecog",
        dataset="m",
    )
    assert windows.x.shape == (100, 400, 4)
    assert len(windows.tested) == 100


def test_miller_refuses_another_archive_and_an_unknown_patient(server: Server, tmp_path: Path, monkeypatch) -> None:
    files, _, _ = faces()
    serve_miller(server, monkeypatch, "faces_basic", files)
    with pytest.raises(FileNotFoundError, match="has no file of patient 'zz'"):
        read(MillerEcog(patient="zz"), tmp_path)
    server.files[f"/{miller_ecog.__name__}/faces_basic.zip"] += b"more"
    with pytest.raises(ValueError, match="wrong checksum, expected md5"):
        read(MillerEcog(), tmp_path / "other")


# What all three share


def test_a_hostile_archive_puts_nothing_anywhere(server: Server, tmp_path: Path) -> None:
    evil = zipped({"s1/S1_E2_A1.mat": mat(**session()), "../../evil.mat": b"evil"})
    server.files[f"/{ninapro.__name__}/DB5_Preproc/s1.zip"] = evil
    with pytest.raises(ValueError, match=r"a path must lie inside the archive, got '\.\./\.\./evil\.mat'"):
        read(Ninapro(), tmp_path)
    assert not list(tmp_path.rglob("*.mat"))
    assert not (tmp_path / "raw" / "MANIFEST.json").exists()


def test_a_busy_broken_archive_is_fetched_all_the_same_and_once(server: Server, tmp_path: Path) -> None:
    serve_ninapro(server)
    address = f"/{ninapro.__name__}/DB5_Preproc/s1.zip"
    server.faults[address] = [Fault(status=429), Fault(status=500), Fault(stop_after=1000)]
    first = read(Ninapro(), tmp_path)
    asked = len(server.answers)
    (tmp_path / "raw" / first[0].sources[0].name).unlink()
    assert len(read(Ninapro(), tmp_path)) == len(first)
    assert len(server.answers) == asked == 4


def test_pins_are_the_sums_of_the_first_manifest(server: Server, tmp_path: Path) -> None:
    serve_ninapro(server)
    (source,) = {one.sources[0] for one in read(Ninapro(), tmp_path / "first")}
    pinned = Ninapro(pins={source.name: source.sha256})
    pinned.download(tmp_path / "second" / "raw", mirror=None, cache=tmp_path / "cache")
    mirror = tmp_path / "mirror" / "ninapro" / source.name
    mirror.parent.mkdir(parents=True)
    (tmp_path / "second" / "raw" / source.name).rename(mirror)
    server.files = {}
    pinned.download(tmp_path / "third", mirror=str(tmp_path / "mirror"), cache=tmp_path / "none")
    assert pinned.read(tmp_path / "third")[0].sources == (source,)
    wrong = Ninapro(pins={source.name: "0" * 64})
    with pytest.raises(ValueError, match="wrong checksum"):
        wrong.download(tmp_path / "fourth", mirror=str(tmp_path / "mirror"), cache=tmp_path / "none")
