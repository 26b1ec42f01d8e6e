"""Small recordings with a real effect, written by the libraries of their formats: edfio, pynwb, mne-bids, numpy, av."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RATE = 128.0
CHANNELS = ("C3", "Cz", "C4", "Pz")


class Session(NamedTuple):
    """Noise in which channel C3 swings at 12 Hz while `left` is asked for, and C4 while `right` is; and an angle."""

    volts: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    labels: np.ndarray
    angle: np.ndarray


def session(seed: int = 0, *, trials: int = 24) -> Session:
    """Trials of 2 s every 3 s; the angle turns at varying speed."""
    rng = np.random.default_rng(seed)
    samples = int((3 * trials + 1) * RATE)
    time = np.arange(samples) / RATE
    volts = 1e-5 * rng.normal(size=(samples, len(CHANNELS)))
    start = 1.0 + 3 * np.arange(trials)
    labels = np.array(["left", "right"])[rng.permutation(trials) % 2]
    for onset, label in zip(start, labels, strict=True):
        inside = (time >= onset) & (time < onset + 2)
        volts[inside, 0 if label == "left" else 2] += 3e-5 * np.sin(2 * np.pi * 12 * time[inside] + rng.uniform(0, 6))
    angle = (np.cumsum(rng.normal(1.0, 2.0, samples)) / RATE) % (2 * np.pi)
    return Session(volts, start, start + 2, labels, angle)


def spike_trains(angle: np.ndarray, *, units: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Poisson units tuned to the angle."""
    rng = np.random.default_rng(seed)
    chosen = np.arange(units) * 2 * np.pi / units
    rate = 30 * np.exp(2 * (np.cos(angle[:, None] - chosen) - 1))
    counts = rng.poisson(rate / RATE)
    clock = np.arange(len(angle)) / RATE
    return [np.sort(np.repeat(clock, c) + rng.uniform(0, 1 / RATE, c.sum())) for c in counts.T]


def write_edf(
    path: Path,
    made: Session,
    *,
    duration: float = 2.0,
    extra: dict[str, np.ndarray] | None = None,
    without: tuple[str, ...] = (),
) -> None:
    """EDF+ in uV with the trials as annotations."""
    from edfio import Edf, EdfAnnotation, EdfSignal

    columns = dict(zip(CHANNELS, made.volts.T * 1e6, strict=True)) | (extra or {})
    columns = {label: column for label, column in columns.items() if label not in without}
    signals = [
        EdfSignal(column, sampling_frequency=RATE, label=label, physical_dimension="uV")
        for label, column in columns.items()
    ]
    marks = [
        EdfAnnotation(round(float(onset), 4), duration or None, str(label))
        for onset, label in zip(made.start, made.labels, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    Edf(signals, annotations=[*marks, EdfAnnotation(0.0, None, "start of recording")]).write(path)


def write_nwb(path: Path, made: Session, *, subject: str | None = "mouse7", jitter: float = 0.0) -> None:
    """Units, a compass with time stamps, an ElectricalSeries, and a trials table."""
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    from pynwb.behavior import CompassDirection, SpatialSeries
    from pynwb.ecephys import ElectricalSeries
    from pynwb.file import Subject

    file = NWBFile(
        session_description="a session", identifier=path.stem, session_start_time=datetime(2024, 1, 1, tzinfo=UTC)
    )
    if subject is not None:
        file.subject = Subject(subject_id=subject, species="Mus musculus", age="P90D", sex="M")
    probe = file.create_electrode_group(
        name="probe", description="four contacts", location="cortex", device=file.create_device(name="probe")
    )
    for index in range(len(CHANNELS)):
        file.add_electrode(x=float(index), y=0.0, z=10.0, location="M1" if index < 2 else "S1", group=probe)
    region = file.create_electrode_table_region(region=[0, 1, 2, 3], description="all")
    stored = np.round(made.volts / 1e-8).astype(np.int16)
    file.add_acquisition(
        ElectricalSeries(name="Field", data=stored, electrodes=region, rate=RATE, starting_time=0.5, conversion=1e-8)
    )
    stamps = np.arange(len(made.angle)) / RATE + jitter * np.random.default_rng(1).uniform(-1, 1, len(made.angle))
    compass = SpatialSeries(name="heading", data=made.angle, reference_frame="north", unit="radians", timestamps=stamps)
    behaviour = file.create_processing_module(name="behavior", description="where it looks")
    behaviour.add(CompassDirection(spatial_series=compass))
    behaviour.add(TimeSeries(name="speed", data=made.volts[:, :2], unit="m/s", rate=RATE))
    file.add_unit_column(name="quality", description="of the sorting")
    for index, train in enumerate(spike_trains(made.angle)):
        file.add_unit(spike_times=train, quality="noise" if index == 7 else "good")
    file.add_trial_column(name="side", description="which way")
    for start, stop, label in zip(made.start, made.stop, made.labels, strict=True):
        file.add_trial(start_time=float(start), stop_time=float(stop), side=str(label))
    path.parent.mkdir(parents=True, exist_ok=True)
    with NWBHDF5IO(path, "w") as io:
        io.write(file)


def write_bids(
    root: Path,
    made: Session,
    *,
    subject: str = "01",
    run: str = "1",
    datatype: str = "eeg",
    form: str = "EDF",
    bad: tuple[str, ...] = ("Pz",),
) -> None:
    """One run of a BIDS data set, by mne-bids; its last channel holds the angle."""
    import mne
    from mne_bids import BIDSPath, write_raw_bids

    kind = {"eeg": "eeg", "ieeg": "ecog", "meg": "mag"}[datatype]
    data = np.column_stack([made.volts * (1e-7 if kind == "mag" else 1), made.angle]).T
    info = mne.create_info([*CHANNELS, "angle"], RATE, [kind] * 4 + ["misc"])
    if kind == "mag":
        for channel in info["chs"][:4]:
            channel["coil_type"] = mne.io.constants.FIFF.FIFFV_COIL_VV_MAG_T1
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.info["line_freq"] = 50
    raw.info["bads"] = list(bad)
    if datatype == "ieeg":
        places = {name: np.array([0.01 * i, 0.0, 0.02]) for i, name in enumerate(CHANNELS)}
        raw.set_montage(mne.channels.make_dig_montage(places, coord_frame="mni_tal"), verbose="ERROR")
    raw.set_annotations(mne.Annotations(made.start, made.stop - made.start, made.labels), verbose="ERROR")
    path = BIDSPath(subject=subject, task="imagery", run=run, datatype=datatype, root=root)
    write_raw_bids(raw, path, format=form, allow_preload=True, overwrite=True, verbose="ERROR")


def write_fmri(root: Path, *, subject: str = "01", run: str = "1", seed: int = 0, mask: bool = True) -> None:
    """Volumes every 2 s, blocks of 16 s: one half of the brain answers faces, the other houses.

    With a mask the grid is 6 x 5 x 4; without, it is wide enough for a brain to stand out.
    """
    import json

    from nibabel import nifti1

    rng = np.random.default_rng(seed)
    volumes = 64
    grid = (6, 5, 4) if mask else (16, 15, 14)
    data = 500 + 2 * rng.normal(size=(*grid, volumes))
    if not mask:
        data -= 480 * (np.abs(np.indices(grid).T - 7).max(-1).T > 4)[..., None]
    rows = ["onset\tduration\ttrial_type"]
    for block in range(8):
        name = ("face", "house")[block % 2]
        first = 8 * block
        data[slice(0, 3) if name == "face" else slice(3, 6), 1:4, 1:3, first + 2 : first + 8] += 4
        rows.append(f"{first * 2.0}\t12.0\t{name}")
    folder = root / f"sub-{subject}" / "func"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{subject}_task-look_run-{run}"
    image = nifti1.Nifti1Image(data.astype(np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))
    nifti1.save(image, folder / f"{stem}_bold.nii.gz")
    (folder / f"{stem}_events.tsv").write_text("\n".join(rows) + "\n")
    (root / "task-look_bold.json").write_text(json.dumps({"RepetitionTime": 2.0, "TaskName": "look"}))
    (root / "dataset_description.json").write_text(json.dumps({"Name": "own", "BIDSVersion": "1.10.0"}))
    if mask:
        inside = np.zeros((6, 5, 4), np.uint8)
        inside[:, 1:4, 1:3] = 1
        inside[int(run) - 1, 1, 1] = 0  # each run misses another voxel
        nifti1.save(nifti1.Nifti1Image(inside, image.affine), folder / f"{stem}_desc-brain_mask.nii.gz")


def write_npz(path: Path, made: Session, **more: Any) -> None:
    """Samples, rate, trials and the angle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "volts": made.volts,
        "fs": np.array(RATE),
        "names": np.array(CHANNELS),
        "start": made.start,
        "stop": made.stop,
        "label": made.labels,
        "angle": made.angle,
    }
    np.savez(path, **(arrays | more))


def write_visit(path: Path, made: Session) -> None:
    """A film whose left half is bright and which hums low while `left` is asked for, for `right` the other half and
    high; with the table of its trials."""
    from tests.films import write_talkie

    rng, seconds = np.random.default_rng(len(made.start)), int(made.stop[-1]) + 1
    clock = np.arange(8000 * seconds) / 8000
    sound, pictures = 0.05 * rng.normal(size=len(clock)), rng.integers(0, 100, (10 * seconds, 12, 16), np.uint8)
    for start, stop, label in zip(made.start, made.stop, made.labels, strict=True):
        heard, side = (clock >= start) & (clock < stop), slice(0, 8) if label == "left" else slice(8, 16)
        sound[heard] += 0.3 * np.sin(2 * np.pi * (600 if label == "left" else 1200) * clock[heard])
        pictures[round(10 * start) : round(10 * stop), :, side] += 80
    path.parent.mkdir(parents=True, exist_ok=True)
    write_talkie(path, pictures, sound)
    rows = zip(made.start, made.stop, made.labels, strict=True)
    table = ["start,stop,label", *(f"{start},{stop},{label}" for start, stop, label in rows)]
    path.with_suffix(".csv").write_text("\n".join(table) + "\n")


def example(kind: str, folder: Path) -> dict[str, Any]:
    """Write a small recording of a kind and return the options that read it."""
    made = session()
    sides = {"kind": "classification", "classes": ["left", "right"]}
    if kind == "nwb":
        write_nwb(folder / "sub-7_session.nwb", made)
        return {"path": str(folder), "series": "Field", "target": sides | {"column": "side"}, "modality": "eeg"}
    if kind == "bids":
        write_bids(folder, made)
        return {"path": str(folder), "target": sides, "modality": "eeg", "use_bad": True}
    if kind == "edf":
        write_edf(folder / "sub-7_run1.edf", made)
        return {"path": str(folder), "target": sides, "modality": "eeg"}
    if kind == "film":
        write_visit(folder / "sub-7_visit.mkv", made)
        return {"path": str(folder), "target": sides, "modality": "audio"}
    write_npz(folder / "sub-7_run1.npz", made)
    return {"path": str(folder), "series": "volts", "rate": "fs", "stop": "stop", "target": sides, "modality": "eeg"}
