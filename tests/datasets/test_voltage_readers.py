"""Readers of voltages: real files against MNE and numpy, and small files of the same formats written here."""

from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest
from edfio import Edf, EdfAnnotation, EdfSignal
from pydantic import ValidationError

from neurofmx.datasets import gripforce_ieeg as grip
from neurofmx.datasets import mne_misc_ieeg as seizure
from neurofmx.datasets.bycycle_lfp import BycycleLfp
from neurofmx.datasets.gripforce_ieeg import GripforceIeeg
from neurofmx.datasets.mne_misc_ieeg import MneMiscIeeg
from neurofmx.datasets.myo_armband import GESTURES, MyoArmband
from neurofmx.datasets.shared.manifest import write_manifest
from neurofmx.recordings.recording import Recording, Source

Raw = Callable[[str], Path]
RNG = np.random.default_rng(0)


def read(dataset, folder: Path) -> list[Recording]:
    """Read files that were written here, whose checksums are not those of the archive."""
    files = tuple(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    write_manifest(folder, files, dataset=dataset.name, source="test", licence="none", options={})
    return dataset.read(folder)


def test_the_seizure_is_cut_where_it_is_marked(raw: Raw) -> None:
    before, after = MneMiscIeeg().read(raw("mne_misc_ieeg"))
    edf = mne.io.read_raw_edf(raw("mne_misc_ieeg") / seizure.EDF, verbose="ERROR")
    onset = edf.annotations[0]["onset"]
    whole = edf.get_data([name for name in edf.ch_names if not name.startswith("EKG")])
    parts = [recording.signal("ecog") for recording in (before, after)]
    np.testing.assert_array_equal(np.concatenate([part.data for part in parts]), whole.T)
    assert parts[0].stop <= parts[1].start + 1e-9
    assert 0 <= parts[1].start - onset < 1 / parts[1].rate
    assert [recording.session for recording in (before, after)] == ["pre-ictal", "ictal"]
    places = after.array("ecog_positions")
    assert np.isfinite(places[:64]).all()
    spacing = np.linalg.norm(places[0] - places[1])
    assert 0.005 < spacing < 0.02  # a grid of about 1 cm, in m


def written_seizure(folder: Path, *, marks: tuple[float, ...] = (2.0,)) -> np.ndarray:
    """An EDF of 6 s at 200 Hz with an onset, and its electrodes."""
    volts = RNG.normal(size=(3, 1200)) * 1e-4
    signals = [
        EdfSignal(v * 1e6, 200, label=name, physical_dimension="uV", physical_range=(-1000, 1000))
        for v, name in zip(volts, ("C1", "BTM1", "EKGL"), strict=True)
    ]
    edf = Edf(signals, annotations=[EdfAnnotation(mark, None, seizure.ONSET) for mark in marks])
    edf.write(folder / seizure.EDF)
    (folder / seizure.ELECTRODES).write_text("name\tx\ty\tz\nC1\t0.01\t0.02\t0.03\n")
    return volts


def test_a_written_seizure_comes_back_in_volts(tmp_path: Path) -> None:
    volts = written_seizure(tmp_path)
    before, after = read(MneMiscIeeg(), tmp_path)
    assert before.signal("ecog").channels == ("C1", "BTM1")  # not the heart
    got = np.concatenate([r.signal("ecog").data for r in (before, after)])
    np.testing.assert_allclose(got, volts[:2].T, atol=2e-8)  # half a step of 16 bits over 2 mV
    assert (before.stop, after.start, after.stop) == (2.0, 2.0, 6.0)
    assert after.require_trials().start.tolist() == [2.0, 3.0, 4.0, 5.0]
    assert set(before.require_trials().column("state")) == {"pre-ictal"}
    np.testing.assert_array_equal(before.array("ecog_positions"), [[0.01, 0.02, 0.03], [np.nan] * 3])


@pytest.mark.parametrize("marks", [(), (1.0, 2.0)])
def test_a_seizure_without_one_onset_is_refused(tmp_path: Path, marks: tuple[float, ...]) -> None:
    written_seizure(tmp_path, marks=marks)
    with pytest.raises(ValueError, match=rf"must hold one annotation 'eeg sz start', found {len(marks)}"):
        read(MneMiscIeeg(), tmp_path)


def test_the_grip_is_what_mne_reads(raw: Raw) -> None:
    (run,) = GripforceIeeg().read(raw("gripforce_ieeg"))
    theirs = mne.io.read_raw_brainvision(raw("gripforce_ieeg") / f"{grip.RUN}_ieeg.vhdr", verbose="ERROR")
    np.testing.assert_array_equal(run.signal("ieeg").data, theirs.get_data()[:9].T)
    np.testing.assert_array_equal(run.signal("grip_force").data, theirs.get_data()[9])
    assert run.signal("ieeg").channels[:4] == ("LFP_RIGHT_0", "LFP_RIGHT_1", "LFP_RIGHT_2", "ECOG_RIGHT_0")
    places = run.array("ieeg_positions")
    assert 0.008 < np.linalg.norm(places[3] - places[4]) < 0.013  # a strip of 1 cm
    assert places[:3, 2].max() < 0 < places[3:, 2].min()  # the nucleus lies deep, the strip on the cortex


def test_a_written_bids_run_keeps_the_contacts_alone(tmp_path: Path) -> None:
    stem, names = tmp_path / grip.RUN, ("LFP_1", "ECOG_1", "EMG_1", "MOV_RIGHT")
    stem.parent.mkdir(parents=True)
    microvolts = RNG.normal(size=(500, 4)).astype("<f4")
    Path(f"{stem}_ieeg.eeg").write_bytes(microvolts.tobytes())
    channels = "".join(f"Ch{k + 1}={name},,0.1,µV\n" for k, name in enumerate(names))
    Path(f"{stem}_ieeg.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem.name}_ieeg.eeg\nMarkerFile={stem.name}_ieeg.vmrk\nDataFormat=BINARY\n"
        "DataOrientation=MULTIPLEXED\nNumberOfChannels=4\nSamplingInterval=1000.0\n\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n[Channel Infos]\n{channels}",
        encoding="utf-8",
    )
    Path(f"{stem}_ieeg.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem.name}_ieeg.eeg\n\n[Marker Infos]\n"
    )
    types = ("DBS", "ECOG", "EMG", "MISC")
    table = "".join(f"{name}\t{kind}\n" for name, kind in zip(names, types, strict=True))
    Path(f"{stem}_channels.tsv").write_text(f"\ufeffname\ttype\n{table}", encoding="utf-8")
    (tmp_path / grip.ELECTRODES).write_text(
        "name\tx\ty\tz\nLFP_1\t1\t2\t3\nECOG_1\t4\t5\t6\nMOV_RIGHT\tn/a\tn/a\tn/a\n"
    )
    (run,) = read(GripforceIeeg(), tmp_path)
    assert run.signal("ieeg").channels == ("LFP_1", "ECOG_1")
    np.testing.assert_allclose(run.signal("ieeg").data, microvolts[:, :2] * 0.1e-6, rtol=1e-6)
    assert run.array("ieeg_positions").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_regions_are_the_files(raw: Raw) -> None:
    for recording in BycycleLfp().read(raw("bycycle_lfp")):
        vector = np.load(raw("bycycle_lfp") / f"{recording.session}.npy")
        np.testing.assert_array_equal(recording.signal("lfp").data[:, 0], vector)
        assert recording.duration == 60.0


def test_a_region_of_another_length_is_refused(tmp_path: Path) -> None:
    for region in ("ca1", "ec3"):
        np.save(tmp_path / f"{region}.npy", np.zeros(10))
    with pytest.raises(ValueError, match=r"ca1\.npy: must hold 75000 samples, got shape \(10,\)"):
        read(BycycleLfp(), tmp_path)


def test_a_gesture_is_its_file(raw: Raw) -> None:
    recordings = {r.name: r for r in MyoArmband().read(raw("myo_armband"))}
    file = raw("myo_armband") / "EvaluationDataset/Male0/training0/classe_5.dat"
    expected = np.fromfile(file, dtype=np.int16).reshape(-1, 8)
    found = recordings["Male0/training0-05"]
    np.testing.assert_array_equal(found.signal("emg").data, expected)
    assert (expected.min(), expected.max()) == (-98, 112)  # as its SOURCE says
    assert found.require_trials().column("gesture").tolist() == ["close"]
    assert recordings["Female0/Test1-27"].require_trials().column("gesture").tolist() == ["open"]


def test_a_written_session_has_gestures_in_turn_and_a_cut_file_is_refused(tmp_path: Path) -> None:
    dataset = MyoArmband(people=("Male1",))
    sources = {name: Source(name, "0") for name in dataset.checksums()}
    for k, name in enumerate(sources):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        RNG.integers(-128, 128, (3 + k, 8)).astype("<i2").tofile(tmp_path / name)
    recordings = dataset.parse(tmp_path, sources)
    labels = [str(r.require_trials().column("gesture")[0]) for r in recordings]
    assert labels == [*GESTURES] * 12
    assert [len(r.signal("emg").data) for r in recordings] == list(range(3, 87))
    (tmp_path / "EvaluationDataset/Male1/Test0/classe_3.dat").write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"classe_3\.dat: must hold samples of 8 channels, got 2 values"):
        dataset.parse(tmp_path, sources)


def test_gestures_are_tested_in_later_sessions_or_on_other_people() -> None:
    sessions, people = MyoArmband().split, MyoArmband(unseen="person").split
    assert (sessions.kind, sessions.by, sessions.folds, len(sessions.test), len(sessions.held)) == (
        "given",
        "subject",
        4,
        56,
        7,
    )
    assert not {name for name in (*sessions.test, *sessions.held) if name.startswith("training0-0")}
    assert (people.kind, people.by, people.folds) == ("groups", "subject", 4)
    with pytest.raises(ValidationError, match="people must differ"):
        MyoArmband(people=("Male0", "Male0"))
    with pytest.raises(ValidationError, match="Male7"):
        MyoArmband(people=("Male7",))
