"""Damaged files of every format that the archives' readers open: each ends in our error or in the right numbers."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest
from nibabel import nifti1
from scipy.io import savemat

from neurofmx.datasets.formats.bids_tree import named, sidecar, trials
from neurofmx.datasets.formats.matfile import read_mat
from neurofmx.datasets.formats.volumes import read_volumes, repetition_time
from neurofmx.datasets.openneuro_ieeg import _open

RNG = np.random.default_rng(0)


def _mat(*, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"emg": RNG.normal(size=(40, 4)), "restimulus": np.arange(40)[:, None]}, do_compression=compressed)
    return buffer.getvalue()


def _nifti() -> bytes:
    image = nifti1.Nifti1Image(RNG.integers(0, 99, (4, 3, 2, 6)).astype(np.int16), np.eye(4))
    image.header.set_zooms((1.0, 1.0, 1.0, 2.0))
    return image.to_bytes()


def _brainvision(folder: Path) -> bytes:
    header = folder / "ds1/sub-01/ieeg/sub-01_task-film_ieeg.vhdr"
    header.parent.mkdir(parents=True, exist_ok=True)
    raw = mne.io.RawArray(RNG.normal(0, 1e-5, (2, 400)), mne.create_info(["A1", "A2"], 200.0, "ecog"), verbose="ERROR")
    mne.export.export_raw(header, raw, overwrite=True, verbose="ERROR")
    (folder / "ds1/dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.7.0"}')
    return header.read_bytes()


EVENTS = b"onset\tduration\ttrial_type\n1.0\t2.0\tcat\n4.5\tn/a\tshoe\n9\t1\tcat\n"
SIDECAR = b'{"RepetitionTime": 2.0, "StartTime": 0.5, "TaskName": "film"}'


def _read_events(path: Path) -> None:
    trials(path, column="trial_type", conditions=("cat", "shoe"))


def _read_sidecar(path: Path) -> None:
    path.rename(path.parent / "task-film_bold.json")
    image = named("sub-01/func/sub-01_task-film_bold.nii.gz")
    fields = sidecar(path.parent, ["task-film_bold.json"], image)
    series = read_volumes(path.parent / "bold.nii")
    repetition_time(series, fields, path=path)


def _read_volumes(path: Path) -> None:
    repetition_time(read_volumes(path), {}, path=path)


def _read_mat(path: Path) -> None:
    read_mat(path, "emg", "restimulus")


@pytest.mark.parametrize(
    ("content", "read", "name"),
    [
        (_mat(compressed=True), _read_mat, "a.mat"),
        (_mat(compressed=False), _read_mat, "a.mat"),
        (_nifti(), _read_volumes, "a.nii"),
        (EVENTS, _read_events, "events.tsv"),
        (SIDECAR, _read_sidecar, "a.json"),
    ],
    ids=["mat", "mat-plain", "nifti", "events", "sidecar"],
)
def test_damaged_files_end_in_our_error(tmp_path: Path, content: bytes, read: Callable, name: str) -> None:
    rng, refused = np.random.default_rng(1), 0
    (tmp_path / "bold.nii").write_bytes(_nifti())
    for kind in range(120):
        body = bytearray(content)
        for _ in range(1 + kind % 4):
            where = int(rng.integers(len(body)))
            body[where] = int(rng.integers(256))
        body = body[: int(rng.integers(len(body)))] if kind % 3 == 0 else body
        (tmp_path / name).write_bytes(body)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(tmp_path / name)
        except ValueError as error:
            refused += bool(str(error))
    assert refused > 20


def test_damaged_recordings_end_in_our_error(tmp_path: Path) -> None:
    content, rng, refused = _brainvision(tmp_path), np.random.default_rng(2), 0
    (header,) = tmp_path.rglob("*.vhdr")
    name = named("ds1/sub-01/ieeg/sub-01_task-film_ieeg.vhdr")
    for kind in range(40):
        body = bytearray(content)
        where = int(rng.integers(len(body)))
        body[where] = int(rng.integers(256))
        header.write_bytes(body[:where] if kind % 2 else body)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _open(tmp_path / "ds1", name)
        except ValueError:
            refused += 1
    assert refused > 10
