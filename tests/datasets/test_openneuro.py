"""OpenNeuro's buckets on this machine, filled with BIDS written by mne-bids, pybv and nibabel."""

import json
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest
from nibabel import nifti1
from pydantic import ValidationError
from tests.datasets.bucket import Buckets, Fault

from neurofmx.datasets.access import s3
from neurofmx.datasets.openneuro_fmri import OpenneuroFmri
from neurofmx.datasets.openneuro_ieeg import OpenneuroIeeg
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import CutOptions, cut

RNG = np.random.default_rng(0)
GRID, VOLUMES, INTERVAL = (5, 4, 3), 60, 2.0
SPACE = "MNI152NLin2009cAsym"
CONGRUENT, OTHER = "congruent_correct", "incongruent_correct"


def write(path: Path, content: str | dict | np.ndarray, *, interval: float = INTERVAL) -> None:
    """A table, a sidecar or an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        image = nifti1.Nifti1Image(content, np.diag([2.0, 2.0, 2.0, 1.0]))
        if content.ndim == 4:
            image.header.set_zooms((2.0, 2.0, 2.0, interval))
            image.header.set_xyzt_units("mm", "sec")
        nifti1.save(image, path)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def events(rows: list[tuple[float, float | str, str]]) -> str:
    return "onset\tduration\ttrial_type\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)


def flanker() -> list[tuple[float, float | str, str]]:
    kinds = [CONGRUENT, OTHER, "congruent_incorrect"]
    return [(10.0 + 10 * i, 2.0 if i else "n/a", kinds[i % 3]) for i in range(9)]


def write_fmri(root: Path) -> dict[str, np.ndarray]:
    """A task with fMRIPrep's derivatives; returns the images by person and run."""
    images = {}
    write(root / "openneuro.org/ds000102/task-flanker_bold.json", {"RepetitionTime": INTERVAL, "TaskName": "Flanker"})
    write(root / "openneuro.org/ds000102/participants.tsv", "participant_id\n")
    derived = root / "openneuro-derivatives/fmriprep/ds000102-fmriprep"
    write(derived / "dataset_description.json", {"Name": "fMRIPrep"})
    for person in ("01", "02", "03"):
        for run in ("1", "2"):
            stem = f"sub-{person}/func/sub-{person}_task-flanker_run-{run}"
            bold = RNG.normal(1000, 10, (*GRID, VOLUMES)).astype(np.float32)
            confounds = RNG.normal(size=(VOLUMES, 3))
            bold += 30 * confounds[:, 0]
            images[f"{person}-{run}"] = bold
            rows = ["\t".join("n/a" if (i, j) == (0, 2) else repr(float(v)) for j, v in enumerate(row)) for i, row in enumerate(confounds)]  # fmt: skip # noqa: E501
            write(root / f"openneuro.org/ds000102/{stem}_events.tsv", events(flanker()))
            write(root / f"openneuro.org/ds000102/{stem}_bold.nii.gz", bold[..., :3])  # the scanner's own: not wanted
            write(derived / f"{stem}_space-{SPACE}_desc-preproc_bold.nii.gz", bold)
            write(derived / f"{stem}_space-{SPACE}_desc-preproc_bold.json", {"RepetitionTime": 2.0, "StartTime": 0.96})
            write(derived / f"{stem}_space-T1w_desc-preproc_bold.nii.gz", bold[..., :2])
            write(derived / f"{stem}_space-{SPACE}_desc-brain_mask.nii.gz", (bold[..., 0] > 990).astype(np.uint8))
            write(
                derived / f"{stem}_desc-confounds_timeseries.tsv",
                "trans_x\tcsf\ttrans_x_derivative1\n" + "\n".join(rows) + "\n",
            )
    return images


Site = dict[str, dict[str, bytes]]  # files by bucket and key


def packed(root: Path) -> Site:
    """What was written, as buckets."""
    return {
        bucket.name: {path.relative_to(bucket).as_posix(): path.read_bytes() for path in bucket.rglob("*.*")}
        for bucket in root.iterdir()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, dict[str, np.ndarray]]:
    """A task with derivatives, written once, and its images."""
    root = tmp_path_factory.mktemp("fmri")
    images = write_fmri(root)
    return packed(root), images


@pytest.fixture
def images(written: tuple[Site, dict[str, np.ndarray]], buckets: Buckets) -> dict[str, np.ndarray]:
    """The task on a server, and its images by person and run."""
    serve(buckets, written[0])
    return written[1]


def serve(buckets: Buckets, site: Site) -> None:
    for bucket, files in site.items():
        buckets.fill(bucket, files)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished downloads, for tests that do not look at the requests themselves."""
    return tmp_path_factory.mktemp("cache")


def read(dataset: OpenneuroFmri | OpenneuroIeeg, folder: Path, cache: Path | None = None) -> list[Recording]:
    dataset.download(folder / "raw", mirror=None, cache=cache or folder / "cache")
    return dataset.read(folder / "raw")


FMRI = OpenneuroFmri(subjects=("01", "02", "03"))


def test_derivatives_become_recordings_with_time_mask_confounds_and_trials(
    images: dict[str, np.ndarray], buckets: Buckets, tmp_path: Path, cache: Path
) -> None:
    recordings = read(FMRI, tmp_path, cache)
    assert [one.name for one in recordings] == [f"ds000102-sub-0{s}/run-{r}" for r in (1, 2) for s in (1, 2, 3)]
    for one in recordings:
        bold, mask = one.signal("bold"), one.array("mask")
        image = images[f"{one.subject[-2:]}-{one.session[-1]}"]
        np.testing.assert_array_equal(np.moveaxis(bold.data, 0, -1), image)
        np.testing.assert_array_equal(mask, image[..., 0] > 990)
        assert (bold.rate, bold.start) == (0.5, 0.96)
        assert one.signal("confounds").channels == ("trans_x", "csf", "trans_x_derivative1")
        assert np.isnan(one.signal("confounds").data).sum() == 1
        trials = one.require_trials()
        assert trials.column("label").tolist() == [CONGRUENT, OTHER] * 3
        assert trials.start.tolist() == [10, 20, 40, 50, 70, 80]
        assert trials.stop.tolist() == [10, 22, 42, 52, 72, 82]
    held = {path.relative_to(tmp_path / "raw").as_posix() for path in (tmp_path / "raw").rglob("*.nii.gz")}
    assert all(f"_space-{SPACE}_" in name for name in held), "neither other spaces nor the scanner's images are fetched"
    assert not buckets.signed


def test_cleaning_takes_the_confounds_out_and_folds_leave_people_out(images, tmp_path: Path, cache: Path) -> None:
    fmri = PREPROCESS["fmri"]
    raw = read(FMRI, tmp_path, cache)
    clean = fmri.preprocess(raw, fmri.options(mask=False, confounds=("trans_*", "csf")))
    for before, one in zip(raw, clean, strict=True):
        moved = before.signal("confounds").data[:, 0]
        data = one.signal("bold").data
        assert np.abs(np.corrcoef(data[:, 7], moved)[0, 1]) < 1e-3
        assert np.abs(np.corrcoef(before.signal("bold").data[:, 1, 1, 1], moved)[0, 1]) > 0.9
    windows = cut(
        clean,
        signal="bold",
        task=FMRI.task,
        split=FMRI.split,
        options=CutOptions(anchor="trial", start=2.0, stop=8.0),
        modality="fmri",
        dataset="o",
    )
    people = np.array([one.subject for one in clean])[windows.group]
    for fold in range(windows.folds):
        train, validation, test = (set(people[part]) for part in windows.fold(fold))
        assert len(test) == 1
        assert not test & (train | validation)
        assert not validation & train


def test_runs_are_left_out_of_everyone(images, tmp_path: Path, cache: Path) -> None:
    dataset = OpenneuroFmri(subjects=("01", "02"), leave_out="runs")
    recordings = read(dataset, tmp_path, cache)
    options = CutOptions(anchor="trial", start=0.0, stop=4.0, validation_fraction=0.3)
    fmri = PREPROCESS["fmri"]
    clean = fmri.preprocess(recordings, fmri.options(mask=False))
    windows = cut(
        clean, signal="bold", task=dataset.task, split=dataset.split, options=options, modality="fmri", dataset="o"
    )
    sessions = np.array([one.session for one in clean])[windows.group]
    assert [set(sessions[windows.fold(k).test]) for k in range(2)] == [{"run-1"}, {"run-2"}]


def test_only_the_chosen_people_are_asked_for(images, buckets: Buckets, tmp_path: Path) -> None:
    buckets.faults[f"sub-02_task-flanker_run-1_space-{SPACE}_desc-preproc_bold.nii.gz"] = [Fault(stop_after=500)]
    dataset = OpenneuroFmri(subjects=("02",), leave_out="runs")
    assert [one.name for one in read(dataset, tmp_path)] == ["ds000102-sub-02/run-1", "ds000102-sub-02/run-2"]
    assert not [name for name, _ in buckets.asked if name.startswith(("sub-01", "sub-03"))]


def test_the_scanners_images_take_their_time_from_an_inherited_sidecar(images, tmp_path: Path, cache: Path) -> None:
    dataset = OpenneuroFmri(subjects=("01",), space=None, leave_out="runs")
    (first, _) = read(dataset, tmp_path, cache)
    assert first.signal("bold").data.shape == (3, *GRID)
    assert (first.signal("bold").rate, first.signal("bold").start) == (0.5, 0.0)
    assert "mask" not in first.arrays


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "fsaverage"}, r"expected one image of sub-01 run-1 in space fsaverage.*correct options\.space"),
        ({"runs": ("1", "7")}, r"expected one image of sub-01 run-7"),
        ({"conditions": ("house", "face")}, r"none of \['house', 'face'\] occurs in trial_type \(congruent_correct"),
        ({"column": "stimulus"}, r"has no column stimulus; it has onset, duration, trial_type"),
        ({"dataset": "ds000999"}, r"s3://openneuro\.org/ds000999 is empty; correct options\.dataset"),
    ],
)
def test_what_the_archive_does_not_hold_is_named(
    images, tmp_path: Path, cache: Path, options: dict, message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(OpenneuroFmri(**{"subjects": ("01",), "leave_out": "runs"} | options), tmp_path, cache)


@pytest.mark.parametrize(
    ("stem", "content", "message"),
    [
        ("desc-preproc_bold.json", '{"RepetitionTime": 1.5}', "a repetition time of 1.5 s, the header 2 s"),
        ("desc-preproc_bold.json", '{"RepetitionTime": "2"}', "RepetitionTime must be a number above 0 s, got '2'"),
        ("desc-preproc_bold.json", "{", "is no JSON object"),
        ("desc-preproc_bold.nii.gz", b"\x1f\x8b\x08\x00broken", "is no sound NIfTI file"),
        ("desc-brain_mask.nii.gz", b"", "is no sound NIfTI file"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(
    written, buckets: Buckets, tmp_path: Path, cache: Path, stem: str, content, message: str
) -> None:
    body = content if isinstance(content, bytes) else content.encode()
    key = f"fmriprep/ds000102-fmriprep/sub-01/func/sub-01_task-flanker_run-1_space-{SPACE}_{stem}"
    site = written[0]
    serve(buckets, site | {"openneuro-derivatives": site["openneuro-derivatives"] | {key: body}})
    with pytest.raises(ValueError, match=message):
        read(OpenneuroFmri(subjects=("01",), leave_out="runs"), tmp_path, cache)


def test_divisions_that_cannot_be_are_refused_before_any_work() -> None:
    with pytest.raises(ValidationError, match="leave_out='subjects' needs 3 subjects"):
        OpenneuroFmri(subjects=("01", "02"))
    with pytest.raises(ValidationError, match="leave_out='runs' needs 2 runs"):
        OpenneuroFmri(runs=("1",), leave_out="runs")
    with pytest.raises(ValidationError, match="patients have different electrodes"):
        OpenneuroIeeg(leave_out="subjects")
    with pytest.raises(ValidationError, match="dataset"):
        OpenneuroFmri(dataset="../secret")
    assert OpenneuroFmri(runs=("1",), leave_out="blocks").split.gap == 12.0


# iEEG

NAMES = ("G1", "G2", "G3", "D1", "D2", "EKG")
TYPES = ("ecog", "ecog", "ecog", "seeg", "seeg", "ecg")
RATE = 200.0


def write_ieeg(root: Path, *, runs: tuple[str, ...], envelope: np.ndarray | float = 1.0) -> np.ndarray:
    """Runs of a film in BrainVision files with positions, by mne-bids; returns the samples in V."""
    data = envelope * RNG.normal(0, 5e-5, (len(NAMES), int(RATE * 120)))
    for run in runs:
        raw = mne.io.RawArray(data, mne.create_info(list(NAMES), RATE, list(TYPES), verbose="ERROR"), verbose="ERROR")
        raw.info["line_freq"] = 50
        raw.info["bads"] = ["G2"]
        places = {name: np.array([0.01 * i, -0.02, 0.03]) for i, name in enumerate(NAMES[:5])}
        raw.set_montage(
            mne.channels.make_dig_montage(places, coord_frame="mni_tal"), on_missing="ignore", verbose="ERROR"
        )
        onsets = np.arange(4) * 30.0
        raw.set_annotations(mne.Annotations(onsets, 25.0, ["speech", "music"] * 2))
        path = mne_bids.BIDSPath(
            root=root / "openneuro.org/ds003688",
            subject="01",
            session="iemu",
            task="film",
            acquisition="clinical",
            run=run,
            datatype="ieeg",
        )
        mne_bids.write_raw_bids(
            raw, path, format="BrainVision", allow_preload=True, acpc_aligned=True, overwrite=True, verbose="ERROR"
        )
    return data


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, np.ndarray]:
    """Three runs, written once, and the samples of each."""
    root = tmp_path_factory.mktemp("ieeg")
    data = write_ieeg(root, runs=("1", "2", "3"))
    return packed(root), data


@pytest.fixture
def film(filmed: tuple[Site, np.ndarray], buckets: Buckets) -> np.ndarray:
    """The film on a server, and its samples."""
    serve(buckets, filmed[0])
    return filmed[1]


def test_ieeg_has_types_units_positions_and_trials(
    film: np.ndarray, buckets: Buckets, tmp_path: Path, cache: Path
) -> None:
    (one,) = read(OpenneuroIeeg(), tmp_path, cache)
    assert one.name == "ds003688-sub-01/ses-iemu_run-1"
    assert one.signal("ecog").channels == ("G1", "G3"), "G2 is marked bad"
    assert one.signal("ieeg").channels == ("G1", "G3", "D1", "D2"), "EKG is no brain"
    np.testing.assert_allclose(one.signal("ieeg").data.T, film[[0, 2, 3, 4]], atol=1e-7)
    np.testing.assert_allclose(one.array("ecog_positions"), [[0, -0.02, 0.03], [0.02, -0.02, 0.03]], atol=1e-6)
    trials = one.require_trials()
    assert trials.column("label").tolist() == ["speech", "music"] * 2
    np.testing.assert_allclose(trials.start, [0, 30, 60, 90])
    np.testing.assert_allclose(trials.stop - trials.start, 25)
    assert not buckets.signed


@pytest.mark.parametrize("modality", ["ecog", "ieeg"])
def test_ieeg_is_cleaned_and_cut_into_blocks(film: np.ndarray, tmp_path: Path, cache: Path, modality: str) -> None:
    dataset, kind = OpenneuroIeeg(), PREPROCESS[modality]
    clean = kind.preprocess(read(dataset, tmp_path, cache), kind.options(high=90.0, notch=50.0))
    windows = cut(
        clean,
        signal=kind.signal,
        task=dataset.task,
        split=dataset.split,
        options=CutOptions(anchor="sample", start=0.0, stop=0.5, stride=100),
        modality=modality,
        dataset="i",
    )
    assert windows.folds == 5
    assert len(film) == len(NAMES)


def test_runs_of_ieeg_are_chosen_and_left_out(film: np.ndarray, buckets: Buckets, tmp_path: Path) -> None:
    dataset = OpenneuroIeeg(runs=("1", "3"), leave_out="runs")
    assert [one.session for one in read(dataset, tmp_path)] == ["ses-iemu_run-1", "ses-iemu_run-3"]
    assert dataset.split.folds == 2
    assert not [name for name, _ in buckets.asked if "run-2" in name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subject": "77"}, r"has no iEEG of sub-77, ses-iemu, task-film, runs \['1'\]; correct options\.subject"),
        ({"task_name": "rest"}, "has no iEEG of sub-01"),
        ({"runs": ("1", "9"), "leave_out": "runs"}, r"expected one recording of sub-01 run 9, found \[\]"),
        ({"conditions": ("a", "b")}, r"none of \['a', 'b'\] occurs in trial_type \(music, speech\)"),
    ],
)
def test_ieeg_that_is_not_there_is_named(film, tmp_path: Path, cache: Path, options: dict, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(OpenneuroIeeg(**options), tmp_path, cache)


def test_ieeg_whose_parts_do_not_fit_is_refused(filmed, buckets: Buckets, tmp_path: Path) -> None:
    files = filmed[0]["openneuro.org"]
    broken = {
        key: b"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n" if key.endswith(".vhdr") else body
        for key, body in files.items()
    }
    serve(buckets, {"openneuro.org": broken})
    with pytest.raises(ValueError, match="is no sound iEEG in BIDS"):
        read(OpenneuroIeeg(), tmp_path)


def test_without_boto3_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    s3._client.cache_clear()
    with pytest.raises(ImportError, match=r"S3 needs boto3: pip install -c constraints\.txt -e '\.\[data\]'"):
        s3.client()
