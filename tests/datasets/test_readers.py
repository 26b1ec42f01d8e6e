"""What the readers make of real files, compared with what other code or the archive says about them."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest
from edfio import Edf, EdfAnnotation, EdfSignal
from nibabel import nifti1
from pydantic import ValidationError
from sklearn.datasets import load_digits
from tests.datasets.server import Fault, Server

from neurofmx.datasets.digits import Digits
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.shared.manifest import write_manifest
from neurofmx.datasets.tiny_shakespeare import TinyShakespeare
from neurofmx.datasets.wikitext2 import Wikitext2
from neurofmx.tokenizers.cutting.cut import CutOptions, cut

Raw = Callable[[str], Path]


def test_haxby_runs_join_to_the_whole_image(raw: Raw) -> None:
    runs = Haxby2001().read(raw("haxby2001"))
    image = np.asanyarray(nifti1.load(raw("haxby2001") / "bold.nii.gz").dataobj)
    joined = np.concatenate([run.signal("bold").data for run in runs])
    np.testing.assert_array_equal(joined, np.moveaxis(image, -1, 0))
    assert runs[0].array("mask").sum() == 530


def test_haxby_blocks_cover_the_labels_volume_by_volume(raw: Raw) -> None:
    rows = [line.split() for line in (raw("haxby2001") / "attributes_literal.txt").read_text().splitlines()]
    for index, run in enumerate(Haxby2001().read(raw("haxby2001"))):
        labels = np.array([label for label, chunk in rows if int(chunk) == index])
        rebuilt = np.full(len(labels), "rest", dtype=labels.dtype)
        trials = run.require_trials()
        for start, stop, label in zip(trials.start, trials.stop, trials.column("label"), strict=True):
            rebuilt[round(start / 2.5) : round(stop / 2.5)] = label
        assert rebuilt.tolist() == labels.tolist()
        np.testing.assert_allclose(trials.stop - trials.start, 22.5)  # 9 volumes of 2.5 s


def test_haxby_refuses_labels_that_do_not_fit_the_image(tmp_path: Path) -> None:
    for name, shape in (("bold.nii.gz", (2, 2, 1, 4)), ("mask.nii.gz", (2, 2, 1))):
        nifti1.save(nifti1.Nifti1Image(np.ones(shape, np.int16), np.eye(4)), tmp_path / name)
    (tmp_path / "attributes_literal.txt").write_text("rest 0\nface 0\nface 0\n")
    write_manifest(
        tmp_path,
        ("bold.nii.gz", "mask.nii.gz", "attributes_literal.txt"),
        dataset="haxby2001",
        source="test",
        licence="none",
        options={},
    )
    with pytest.raises(ValueError, match=r"3 labels for 4 volumes"):
        Haxby2001().read(tmp_path)


def test_peyrache_spikes_are_those_of_the_file_within_tracking(raw: Raw) -> None:
    (session,) = PeyracheA2929().read(raw("peyrache_a2929"))
    with h5py.File(raw("peyrache_a2929") / "A2929-200711.nwb") as file:  # past pynwb
        times, ends = file["units/spike_times"][:], file["units/spike_times_index"][:]
    spikes = session.event("spikes")
    head = session.signal("head_direction")
    assert (head.start, round(head.stop, 1)) == (670.6407, 1200.0)
    for unit, train in enumerate(np.split(times, ends[:-1])):
        inside = train[(train >= head.start) & (train < head.stop)]
        np.testing.assert_array_equal(spikes.times[spikes.sources == unit], inside)
    assert [name.split("-")[0] for name in spikes.names] == ["adn"] * 7 + ["ca1"] * 8


def test_peyrache_regular_grid_stays_with_the_time_stamps(raw: Raw) -> None:
    (session,) = PeyracheA2929().read(raw("peyrache_a2929"))
    with h5py.File(raw("peyrache_a2929") / "A2929-200711.nwb") as file:
        stamps = file["acquisition/CompassDirection/ry/timestamps"][:]
        angle = file["acquisition/CompassDirection/ry/data"][:]
    head = session.signal("head_direction")
    nearest = np.searchsorted(stamps, head.times).clip(0, len(stamps) - 1)
    off = np.abs(np.angle(np.exp(1j * (head.data - angle[nearest]))))
    step = np.abs(np.angle(np.exp(1j * np.diff(angle))))
    assert off.max() <= step.max() + 1e-9  # never further than one step of the head
    assert head.times[-1] <= stamps[-1]


def test_digits_are_those_of_scikit_learn(raw: Raw) -> None:
    (recording,) = Digits().read(raw("digits"))
    oracle = load_digits()
    np.testing.assert_array_equal(recording.signal("image").data, oracle.images)
    assert recording.require_trials().column("label").astype(int).tolist() == oracle.target.tolist()


def test_eegbci_is_what_mne_reads(raw: Raw) -> None:
    runs = Eegbci().read(raw("eegbci"))
    assert [run.name for run in runs] == ["S001/run-06", "S001/run-10", "S001/run-14"]
    oracle = mne.io.read_raw_edf(raw("eegbci") / "S001/S001R06.edf", preload=True, verbose="ERROR")
    events, ids = mne.events_from_annotations(oracle, verbose="ERROR")
    cues = events[np.isin(events[:, 2], [ids["T1"], ids["T2"]])]
    eeg, trials = runs[0].signal("eeg"), runs[0].require_trials()
    np.testing.assert_array_equal(eeg.data.T, oracle.get_data())
    np.testing.assert_allclose(trials.start * eeg.rate, cues[:, 0], atol=0.5)
    assert [label == "fists" for label in trials.column("label")] == (cues[:, 2] == ids["T1"]).tolist()
    assert {"C3", "Cz", "C4"} <= set(eeg.channels)
    assert [source.name for source in runs[1].sources] == ["S001/S001R10.edf"]


def eegbci_server(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the runs under the address that MNE's loader knows, moved to this machine."""
    base = "/files/eegmmidb/1.0.0"
    server.files = {f"{base}/{p.parent.name}/{p.name}": p.read_bytes() for p in folder.glob("S001/*.edf")}
    monkeypatch.setattr("mne.datasets.eegbci.eegbci.EEGMI_URL", f"{server.url}{base}/")


def test_eegbci_downloads_through_mne(server: Server, tmp_path: Path, monkeypatch, raw: Raw) -> None:
    folder = raw("eegbci")
    eegbci_server(server, folder, monkeypatch)
    for target in ("first", "second"):
        Eegbci().download(tmp_path / target, mirror=None, cache=tmp_path / "cache")
        assert (tmp_path / target / "MANIFEST.json").read_bytes() == (folder / "MANIFEST.json").read_bytes()
    assert len(server.answers) == 3, "the second download takes what is in the cache"


def test_eegbci_replaces_a_damaged_file_of_the_cache(server: Server, tmp_path: Path, monkeypatch, raw: Raw) -> None:
    eegbci_server(server, raw("eegbci"), monkeypatch)
    Eegbci().download(tmp_path / "first", mirror=None, cache=tmp_path / "cache")
    (damaged,) = (tmp_path / "cache").rglob("S001R06.edf")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    Eegbci().download(tmp_path / "second", mirror=None, cache=tmp_path / "cache")
    assert Eegbci().read(tmp_path / "second")


def test_eegbci_from_a_wrong_or_absent_server_is_refused(server: Server, tmp_path: Path, monkeypatch) -> None:
    base = "/files/eegmmidb/1.0.0"
    monkeypatch.setattr("mne.datasets.eegbci.eegbci.EEGMI_URL", f"{server.url}{base}/")
    server.files = {f"{base}/S001/S001R06.edf": b"not the recording"}
    with pytest.raises(ValueError, match="hash"):
        Eegbci().download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    server.files = {}
    with pytest.raises(ConnectionError, match=r"MNE cannot download S001/S001R06.edf .* NEUROFMX_MIRROR"):
        Eegbci().download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    assert not (tmp_path / "raw" / "MANIFEST.json").exists()


@pytest.mark.parametrize(
    ("options", "names", "runs"),
    [
        ({}, ("fists", "feet"), ["06", "10", "14"]),
        ({"paradigm": "left_right"}, ("left", "right"), ["04", "08", "12"]),
        ({"paradigm": "executed_left_right", "subjects": (2,)}, ("left", "right"), ["03", "07", "11"]),
    ],
)
def test_eegbci_options_choose_runs_and_classes(options: dict, names: tuple[str, ...], runs: list[str]) -> None:
    dataset = Eegbci(**options)
    assert dataset.task.names == names
    assert [name[-6:-4] for name in dataset.checksums()] == runs
    assert dataset.split.folds == 3


@pytest.mark.parametrize("subjects", [(), (0,), (110,), (1, 1)])
def test_eegbci_refuses_people_it_does_not_have(subjects: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="subjects"):
        Eegbci(subjects=subjects)


def test_eegbci_refuses_people_of_another_rate_unless_they_are_resampled() -> None:
    with pytest.raises(ValidationError, match=r"subjects \[88, 100\] were sampled at 128 Hz.*other_rate='resample'"):
        Eegbci(subjects=(1, 100, 88))
    everyone = Eegbci(subjects=tuple(range(1, 110)), other_rate="resample", leave_out="subjects")
    assert len(everyone.checksums()) == everyone.expected.recordings == 327
    assert (everyone.split.name, everyone.split.by) == ("subjects-10fold-v1", "subject")
    assert Eegbci(subjects=tuple(range(1, 88))).split.name == "runs-3fold-v1"
    with pytest.raises(ValidationError, match="leave_out='subjects' needs 3 subjects"):
        Eegbci(subjects=(1, 2), leave_out="subjects")


def write_eegbci(folder: Path, subjects: tuple[int, ...], *, rate: int = 160) -> None:
    """Three runs of 40 s a person with ten cues, as EDF+ with the archive's names, and a manifest, by edfio."""
    montage = mne.channels.make_standard_montage("colin27_1005").ch_names
    labels = [name.ljust(4, ".") for name in montage if len(name) <= 4][:64]
    names = []
    for subject in subjects:
        for run in (6, 10, 14):
            names.append(f"S{subject:03d}/S{subject:03d}R{run:02d}.edf")
            (folder / names[-1]).parent.mkdir(parents=True, exist_ok=True)
            time = np.arange(40 * rate) / rate
            wave = 50 * np.sin(2 * np.pi * (5 + subject % 7) * time)
            signals = [EdfSignal(wave * (1 + i), rate, label=x, physical_dimension="uV") for i, x in enumerate(labels)]
            cues = [EdfAnnotation(4.0 * i, 4.0, f"T{i % 3}") for i in range(10)]
            Edf(signals, annotations=cues).write(folder / names[-1])
    write_manifest(folder, names, dataset="eegbci", source="test", licence="none", options={})


def test_eegbci_resamples_people_of_another_rate_in_time(tmp_path: Path) -> None:
    write_eegbci(tmp_path, (88,), rate=128)
    (first, *_) = Eegbci(subjects=(88,), other_rate="resample").read(tmp_path)
    eeg = first.signal("eeg")
    assert (eeg.rate, eeg.data.shape) == (160.0, (6400, 64))
    wave = 50e-6 * np.sin(2 * np.pi * 9 * eeg.times)
    np.testing.assert_allclose(eeg.data[800:-800, 0], wave[800:-800], atol=2e-6)
    np.testing.assert_allclose(first.require_trials().start, [4, 8, 16, 20, 28, 32])
    assert first.require_trials().column("label").tolist() == ["fists", "feet"] * 3


@pytest.mark.parametrize("leave_out", ["runs", "subjects"])
def test_eegbci_folds_leave_out_what_is_asked(tmp_path: Path, leave_out: str) -> None:
    write_eegbci(tmp_path, (1, 2, 3, 4))
    dataset = Eegbci(subjects=(1, 2, 3, 4), leave_out=leave_out)
    recordings = dataset.read(tmp_path)
    windows = cut(
        recordings,
        signal="eeg",
        task=dataset.task,
        split=dataset.split,
        options=CutOptions(anchor="trial", start=0.5, stop=1.0, validation_fraction=0.3),
        modality="eeg",
        dataset="eegbci",
    )
    units = [one.subject if leave_out == "subjects" else one.session for one in recordings]
    tested = [{units[i] for i in windows.group[windows.fold(k).test]} for k in range(windows.folds)]
    assert tested == [{name} for name in dict.fromkeys(units)]
    for k in range(windows.folds):
        train, _, test = windows.fold(k)
        assert not {units[i] for i in windows.group[train]} & {units[i] for i in windows.group[test]}


def test_eegbci_refuses_a_file_of_another_rate(tmp_path: Path) -> None:
    write_eegbci(tmp_path, (5,), rate=128)
    with pytest.raises(ValueError, match=r"S005R06\.edf: rate must be 160\.0 Hz, got 128\.0; leave this subject out"):
        Eegbci(subjects=(5,)).read(tmp_path)


def test_eegbci_of_many_people_comes_through_mne_from_one_server(server: Server, tmp_path: Path, monkeypatch) -> None:
    write_eegbci(tmp_path / "site", (2, 3))
    base = "/files/eegmmidb/1.0.0"
    files = {p.relative_to(tmp_path / "site").as_posix(): p.read_bytes() for p in (tmp_path / "site").rglob("*.edf")}
    server.files = {f"{base}/{name}": body for name, body in files.items()}
    server.faults[f"{base}/S003/S003R10.edf"] = [Fault(status=500)]
    monkeypatch.setattr("mne.datasets.eegbci.eegbci.EEGMI_URL", f"{server.url}{base}/")
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    monkeypatch.setattr(Eegbci, "checksums", lambda self: sums)
    monkeypatch.setattr("pooch.Pooch.load_registry", lambda self, file: self.registry.update(sums))
    dataset = Eegbci(subjects=(2, 3))
    dataset.download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    assert len(dataset.read(tmp_path / "raw")) == 6
    assert len(server.answers) == 7, "six runs, one of them asked for twice"


def test_wikitext_keeps_every_character(raw: Raw) -> None:
    for part in Wikitext2().read(raw("wikitext2")):
        text = "".join(map(chr, part.signal("text").data))
        assert text == (raw("wikitext2") / f"{part.session}.txt").read_bytes().decode("utf-8")


def test_shakespeare_is_divided_in_its_order(tmp_path: Path) -> None:
    content = "".join(f"{line}: naïve\n" for line in range(50))
    (tmp_path / "input.txt").write_text(content, encoding="utf-8")
    write_manifest(tmp_path, ("input.txt",), dataset="tiny_shakespeare", source="test", licence="none", options={})
    parts = TinyShakespeare().read(tmp_path)
    texts = ["".join(map(chr, part.signal("text").data)) for part in parts]
    assert "".join(texts) == content
    assert [round(len(text) / len(content), 2) for text in texts] == [0.8, 0.1, 0.1]
    assert parts[1].start == parts[0].stop
    assert [part.session for part in parts] == ["train", *TinyShakespeare().split.held, *TinyShakespeare().split.test]


def test_a_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    for name in ("train.txt", "valid.txt", "test.txt"):
        (tmp_path / name).write_bytes(b"caf\xe9\n")
    files = ("train.txt", "valid.txt", "test.txt")
    write_manifest(tmp_path, files, dataset="wikitext2", source="test", licence="none", options={})
    with pytest.raises(ValueError, match=r"train.txt: is no UTF-8 \(byte 3\)"):
        Wikitext2().read(tmp_path)
