"""Own files read back, beside what the libraries that wrote them say; and every wrong option, with what there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import mne
import numpy as np
import pynwb
import pytest
from nibabel import nifti1
from pydantic import ValidationError
from tests.datasets.own_files import (
    CHANNELS,
    RATE,
    Session,
    session,
    spike_trains,
    write_bids,
    write_edf,
    write_fmri,
    write_npz,
    write_nwb,
    write_visit,
)

from neurofmx.datasets import DATASETS
from neurofmx.datasets.own.base import OwnRecordings
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.film import frames
from neurofmx.recordings.lazy import is_lazy
from neurofmx.recordings.recording import Recording

SIDES = {"kind": "classification", "classes": ["left", "right"]}
KINDS = [name for name, kind in DATASETS.items() if issubclass(kind, OwnRecordings)]


@pytest.fixture(scope="module")
def made() -> Session:
    return session(11)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, made: Session) -> Path:
    """One small file of each format, and BIDS sets of each datatype."""
    root = tmp_path_factory.mktemp("own")
    write_edf(root / "edf/sub-03_night.edf", made)
    write_nwb(root / "nwb/monday.nwb", made, jitter=2e-4)
    write_npz(root / "npz/monday.npz", made)
    write_visit(root / "film/sub-03_visit.mkv", made)
    for datatype, form in (("eeg", "EDF"), ("ieeg", "EDF"), ("meg", "FIF")):
        write_bids(root / datatype, made, datatype=datatype, form=form)
    write_fmri(root / "fmri")
    write_fmri(root / "fmri", run="2", seed=1)
    write_fmri(root / "bare", mask=False)
    return root


DEFAULTS: dict[str, dict[str, Any]] = {
    "edf": {"modality": "eeg", "target": SIDES},
    "nwb": {"modality": "eeg", "series": "Field", "target": SIDES | {"column": "side"}},
    "npz": {"modality": "eeg", "series": "volts", "rate": "fs", "stop": "stop", "target": SIDES},
    "film": {"modality": "video", "target": SIDES},
    "eeg": {"modality": "eeg", "target": SIDES},
    "ieeg": {"modality": "ieeg", "target": SIDES},
    "meg": {"modality": "eeg", "datatype": "meg", "target": SIDES},
    "fmri": {"modality": "fmri", "target": {"kind": "classification", "classes": ["face", "house"]}},
}


def dataset(files: Path, which: str, **changes: Any) -> OwnRecordings:
    kind = DATASETS["bids" if which in ("eeg", "ieeg", "meg", "fmri", "bare") else which]
    options = {"path": str(files / which)} | DEFAULTS.get(which, DEFAULTS["fmri"]) | changes
    return kind(**options)  # type: ignore[return-value]


def read(files: Path, folder: Path, which: str, **changes: Any) -> list[Recording]:
    chosen = dataset(files, which, **changes)
    chosen.download(folder / "raw", mirror=None, cache=folder / "cache")
    return chosen.read(folder / "raw")


@pytest.mark.parametrize("name", KINDS)
def test_signals_are_named_as_their_cleaning_reads_them(name: str) -> None:
    for modality in DATASETS[name].modalities:
        kind = DATASETS[name]
        options = DEFAULTS.get(name, DEFAULTS["eeg"]) | {"path": "x", "modality": modality}
        assert kind(**options).signal == PREPROCESS[modality].signal  # type: ignore[attr-defined]


def test_edf_is_what_mne_reads(files: Path, tmp_path: Path, made: Session) -> None:
    (recording,) = read(files, tmp_path, "edf", channels=["C?", "Pz"])
    raw = mne.io.read_raw_edf(files / "edf/sub-03_night.edf", verbose="ERROR")
    eeg, trials = recording.signal("eeg"), recording.require_trials()
    assert (recording.name, eeg.unit, eeg.rate) == ("03/sub-03_night", "V", RATE)
    assert eeg.channels == CHANNELS, "patterns keep the file's order"
    np.testing.assert_array_equal(np.asarray(eeg.data).T, raw.get_data(["C3", "Cz", "C4", "Pz"]))
    assert is_lazy(eeg.data), "samples stay in the file"
    np.testing.assert_allclose(trials.start, made.start, atol=1e-4)
    np.testing.assert_allclose(trials.stop, made.stop, atol=1e-4)
    assert trials.column("label").tolist() == made.labels.tolist()


def test_edf_channels_of_another_rate_are_refused_or_left_out(tmp_path: Path, made: Session) -> None:
    from edfio import Edf, EdfAnnotation, EdfSignal

    slow = EdfSignal(np.arange(32.0), sampling_frequency=1, label="temperature", physical_dimension="C")
    fast = EdfSignal(np.arange(32.0 * 128), sampling_frequency=128, label="C3", physical_dimension="uV")
    marks = [EdfAnnotation(2.0, 1.0, "left"), EdfAnnotation(8.0, 1.0, "right")]
    (tmp_path / "edf").mkdir()
    Edf([fast, slow], annotations=marks).write(tmp_path / "edf/a.edf")
    with pytest.raises(ValueError, match=r"channels: must have one rate, there are 1 Hz: temperature; 128 Hz: C3"):
        read(tmp_path, tmp_path, "edf")
    (recording,) = read(tmp_path, tmp_path, "edf", channels=["C3"])
    assert recording.signal("eeg").rate == 128
    (recording,) = read(
        tmp_path,
        tmp_path / "again",
        "edf",
        channels=["C3"],
        target={"kind": "regression", "series": "temperature", "max_gap": 2},
    )
    target = recording.signal("target")
    np.testing.assert_allclose(target.data[:, 0], target.times, atol=1e-3)  # by construction, 1 degree a second


def test_bdf_is_read_like_edf(tmp_path: Path, made: Session) -> None:
    from edfio import Bdf, BdfSignal, EdfAnnotation

    columns = zip(CHANNELS, 1e6 * made.volts.T, strict=True)
    signals = [BdfSignal(column, RATE, label=label, physical_dimension="uV") for label, column in columns]
    shown = zip(made.start, made.labels, strict=True)
    marks = [EdfAnnotation(round(float(onset), 4), 2.0, str(label)) for onset, label in shown]
    (tmp_path / "edf").mkdir()
    Bdf(signals, annotations=marks).write(tmp_path / "edf/a.bdf")
    (recording,) = read(tmp_path, tmp_path, "edf")
    np.testing.assert_allclose(np.asarray(recording.signal("eeg").data), made.volts, atol=1e-10)  # 24 bits
    assert recording.require_trials().column("label").tolist() == made.labels.tolist()


def test_edf_with_holes_in_time_or_cut_off_is_refused(files: Path, tmp_path: Path) -> None:
    whole, copy = (files / "edf/sub-03_night.edf").read_bytes(), tmp_path / "edf/a.edf"
    copy.parent.mkdir()
    copy.write_bytes(whole[:192] + b"EDF+D" + whole[197:])  # where the header says how records follow one another
    with pytest.raises(ValueError, match=r"a\.edf: is a discontinuous EDF\+D file; save its parts as EDF\+C"):
        read(tmp_path, tmp_path, "edf")
    copy.write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match=rf"a\.edf: is cut off: {len(whole) - 1000} of {len(whole)} bytes"):
        read(tmp_path, tmp_path, "edf")


def test_nwb_series_are_what_pynwb_says(files: Path, tmp_path: Path, made: Session) -> None:
    (recording,) = read(files, tmp_path, "nwb", where={"location": ["S1"]})
    with pynwb.NWBHDF5IO(files / "nwb/monday.nwb", "r") as io:
        field = io.read().acquisition["Field"]
        oracle = field.get_data_in_units()[:, 2:]
    eeg = recording.signal("eeg")
    np.testing.assert_allclose(np.asarray(eeg.data), oracle, rtol=1e-6)
    assert (recording.name, eeg.start, eeg.rate, eeg.unit) == ("mouse7/monday", 0.5, RATE, "V")
    np.testing.assert_allclose(recording.array("eeg_positions"), [[2e-6, 0, 1e-5], [3e-6, 0, 1e-5]])
    assert recording.require_trials().column("label").tolist() == made.labels.tolist()
    np.testing.assert_array_equal(recording.require_trials().start, made.start)


def test_nwb_units_are_those_of_the_table(files: Path, tmp_path: Path, made: Session) -> None:
    (recording,) = read(
        files,
        tmp_path,
        "nwb",
        modality="spikes",
        series="units",
        where={"quality": ["good"]},
        target={"kind": "circular", "series": ["CompassDirection/heading"]},
    )
    spikes, heading = recording.event("spikes"), recording.signal("target")
    assert spikes.names == tuple(f"unit-{i}" for i in range(7)), "the unit called noise is left out"
    for index, train in enumerate(spike_trains(made.angle)[:7]):
        inside = train[(train >= heading.start) & (train < heading.stop)]
        np.testing.assert_array_equal(spikes.of(f"unit-{index}"), inside)
    off = np.angle(np.exp(1j * (heading.data[:9000] - made.angle[:9000])))
    assert (heading.unit, np.abs(off).max() < 0.2) == ("rad", True)


@pytest.mark.filterwarnings("ignore:The linked table for DynamicTableRegion:UserWarning")  # of a series not yet added
def test_nwb_regions_of_interest_are_cells(tmp_path: Path) -> None:
    """Fluorescence of cells, chosen by a column of the plane's table."""
    from pynwb.ophys import Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

    when = datetime(2024, 1, 1, tzinfo=UTC)
    file = pynwb.NWBFile(session_description="cells", identifier="x", session_start_time=when)
    channel = OpticalChannel(name="green", description="green", emission_lambda=510.0)
    plane = file.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="one",
        device=file.create_device(name="microscope"),
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="V1",
    )
    segmentation = ImageSegmentation()
    cells = segmentation.create_plane_segmentation(name="cells", description="cells", imaging_plane=plane)
    cells.add_column(name="iscell", description="by hand")
    for index in range(4):
        cells.add_roi(image_mask=np.eye(4), iscell=int(index != 2))
    module = file.create_processing_module(name="ophys", description="cells")
    module.add(segmentation)
    rois = cells.create_roi_table_region(region=[0, 1, 2, 3], description="all")
    data = np.random.default_rng(0).normal(size=(50, 4))
    series = RoiResponseSeries(name="Raw", data=data, unit="a.u.", rois=rois, rate=10.0)
    module.add(Fluorescence(roi_response_series=series))
    file.add_acquisition(pynwb.TimeSeries(name="running", data=data[:, 0], unit="m/s", rate=10.0))
    (tmp_path / "nwb").mkdir()
    with pynwb.NWBHDF5IO(tmp_path / "nwb/a.nwb", "w") as io:
        io.write(file)
    target = {"kind": "regression", "series": "running"}
    options = {"modality": "calcium", "series": "Fluorescence/Raw", "where": {"iscell": [1]}, "target": target}
    (recording,) = read(tmp_path, tmp_path, "nwb", **options)
    np.testing.assert_array_equal(np.asarray(recording.signal("calcium").data), data[:, [0, 1, 3]])
    assert recording.signal("calcium").channels == ("row-0", "row-1", "row-3")


def test_nwb_values_beside_a_series_lie_on_its_samples(files: Path, tmp_path: Path, made: Session) -> None:
    target = {"kind": "regression", "series": "speed", "variables": ["vx", "vy"]}
    (recording,) = read(files, tmp_path, "nwb", target=target)
    eeg, speed = recording.signal("eeg"), recording.signal("target")
    assert (eeg.start, len(eeg.data), eeg.rate) == (speed.start, len(speed.data), speed.rate)
    first = round(0.5 * RATE)  # the field begins half a second later
    np.testing.assert_allclose(speed.data, made.volts[first:, :2], atol=1e-12)
    assert speed.channels == ("vx", "vy")


def test_nwb_samples_with_a_hole_in_time_are_refused(tmp_path: Path) -> None:
    when = datetime(2024, 1, 1, tzinfo=UTC)
    file = pynwb.NWBFile(session_description="a hole", identifier="x", session_start_time=when)
    times = np.r_[0:100, 200:300] / RATE
    file.add_acquisition(pynwb.TimeSeries(name="Field", data=np.ones((200, 2)), unit="V", timestamps=times))
    (tmp_path / "nwb").mkdir()
    with pynwb.NWBHDF5IO(tmp_path / "nwb/a.nwb", "w") as io:
        io.write(file)
    with pytest.raises(ValueError, match=r"acquisition/Field: its samples are not regular in time \(0\.789\d* s after"):
        read(tmp_path, tmp_path, "nwb", target=SIDES | {"column": "side"})


def test_bids_eeg_is_what_was_written(files: Path, tmp_path: Path, made: Session) -> None:
    (recording,) = read(files, tmp_path, "eeg")
    eeg, trials = recording.signal("eeg"), recording.require_trials()
    data = np.asarray(eeg.data)
    assert (recording.name, eeg.channels) == ("01/task-imagery_run-1", CHANNELS)
    assert np.isnan(data[:, 3]).all(), "Pz is bad in channels.tsv"
    np.testing.assert_allclose(data[:, :3], made.volts[:, :3], atol=2e-8)  # 16 bits of EDF
    assert trials.column("label").tolist() == made.labels.tolist()
    np.testing.assert_allclose(trials.start, made.start, atol=1 / RATE)
    assert "sub-01/eeg/sub-01_task-imagery_run-1_events.tsv" in [source.name for source in recording.sources]


def test_bids_ieeg_has_positions_and_values_to_decode(files: Path, tmp_path: Path, made: Session) -> None:
    target = {"kind": "circular", "series": ["angle"]}
    (recording,) = read(files, tmp_path, "ieeg", channels=["ecog"], use_bad=True, target=target)
    assert recording.signal("ieeg").channels == CHANNELS
    assert np.isfinite(np.asarray(recording.signal("ieeg").data)).all()
    off = np.angle(np.exp(1j * (recording.signal("target").data - made.angle)))
    assert np.abs(off).max() < 1e-3
    wide = recording.array("ieeg_positions")
    np.testing.assert_allclose(np.diff(wide, axis=0), [[0.01, 0, 0]] * 3, atol=1e-6)  # contacts 10 mm apart


def test_bids_meg_is_tesla_and_one_kind_of_sensor(files: Path, tmp_path: Path, made: Session) -> None:
    (recording,) = read(files, tmp_path, "meg", use_bad=True)
    meg = recording.signal("eeg")
    assert (meg.unit, meg.channels) == ("T", CHANNELS)
    np.testing.assert_allclose(np.asarray(meg.data), made.volts * 1e-7, rtol=1e-5, atol=1e-18)
    with pytest.raises(ValueError, match=r"channels=grad: there is no such channel of the types .*MEGMAG"):
        read(files, tmp_path / "again", "meg", channels=["grad"])


def test_bids_fmri_runs_share_voxels(files: Path, tmp_path: Path) -> None:
    one, two = read(files, tmp_path, "fmri")
    image = nifti1.load(files / "fmri/sub-01/func/sub-01_task-look_run-2_bold.nii.gz")
    np.testing.assert_array_equal(np.moveaxis(two.signal("bold").data, 0, -1), np.asarray(image.dataobj, np.float32))
    assert two.signal("bold").rate == 0.5
    assert one.array("mask").sum() == 6 * 3 * 2 - 2, "each run's mask misses another voxel"
    np.testing.assert_array_equal(one.array("mask"), two.array("mask"))
    assert one.require_trials().column("label").tolist() == ["face", "house"] * 4
    np.testing.assert_array_equal(one.require_trials().stop - one.require_trials().start, 12.0)


def test_bids_fmri_without_a_mask_gets_one(files: Path, tmp_path: Path) -> None:
    (recording,) = read(files, tmp_path, "bare")
    bright = np.abs(np.indices((16, 15, 14)).T - 7).max(-1).T <= 4
    mask = recording.array("mask")
    assert not (mask & ~bright).any()
    assert mask.sum() > 0.5 * bright.sum(), "nilearn rounds the corners off"


def test_npz_arrays_are_those_of_numpy(files: Path, tmp_path: Path, made: Session) -> None:
    target = {"kind": "regression", "series": "volts", "variables": CHANNELS}
    (recording,) = read(files, tmp_path, "npz", channels="names", target=target)
    np.testing.assert_array_equal(recording.signal("eeg").data, made.volts)
    np.testing.assert_allclose(recording.signal("target").data, made.volts, atol=1e-15)
    assert recording.signal("eeg").channels == CHANNELS


def test_npz_never_unpickles(tmp_path: Path, made: Session) -> None:
    labels = np.array([{"label": label} for label in made.labels], dtype=object)
    write_npz(tmp_path / "npz/a.npz", made, label=labels)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded when allow_pickle=False"):
        read(tmp_path, tmp_path, "npz")


def test_npz_spikes_and_images(tmp_path: Path, made: Session) -> None:
    trains = spike_trains(made.angle)
    spikes = {"times": np.concatenate(trains), "who": np.repeat(np.arange(8), [len(t) for t in trains])}
    write_npz(tmp_path / "npz/a.npz", made, **spikes, frames=np.ones((20, 3, 2), np.uint8))
    options = {"series": "times", "units": "who", "rate": RATE, "modality": "spikes"}
    (recording,) = read(tmp_path, tmp_path, "npz", **options, target={"kind": "circular", "series": "angle"})
    assert len(recording.event("spikes").names) == 8
    (recording,) = read(tmp_path, tmp_path / "b", "npz", series="frames", rate=1.0, modality="image")
    assert recording.signal("image").data.shape == (20, 3, 2)
    assert recording.array("range").tolist() == [0, 255]


def test_a_film_is_its_pictures_or_its_sound(files: Path, tmp_path: Path, made: Session) -> None:
    (seen,) = read(files, tmp_path, "film")
    (heard,) = read(files, tmp_path / "again", "film", modality="audio")
    assert seen.name == heard.name == "03/sub-03_visit"
    assert [source.name for source in seen.sources] == ["sub-03_visit.mkv", "sub-03_visit.csv"]
    assert {each.sha256 for each in seen.sources} == {each.sha256 for each in heard.sources}
    pictures = list(frames(str(seen.array("film")), grey=True))
    assert (len(pictures), pictures[0].picture.shape) == (10 * (int(made.stop[-1]) + 1), (12, 16))
    sound = heard.signal("audio")
    assert (sound.rate, sound.start, sound.duration) == (8000, 0, len(pictures) / 10)
    for recording in (seen, heard):
        np.testing.assert_array_equal(recording.require_trials().start, made.start)
        assert recording.require_trials().column("label").tolist() == made.labels.tolist()
    first = made.labels[0] == "left"
    within = sound.slice(made.start[0], made.stop[0]).data[:, 0]
    loudest = np.fft.rfftfreq(len(within), 1 / 8000)[np.abs(np.fft.rfft(within)).argmax()]
    assert loudest == pytest.approx(600 if first else 1200, abs=1)


def test_a_film_has_values_at_their_own_times(tmp_path: Path, made: Session) -> None:
    write_visit(tmp_path / "film/a.mkv", made)
    times = np.arange(0, made.stop[-1], 0.2)
    rows = [f"{time:.3f},{np.sin(time):.6f}" for time in times]
    (tmp_path / "film/a.csv").unlink()
    (tmp_path / "film/a.tsv").write_text("time\tspeed\n" + "\n".join(rows).replace(",", "\t") + "\n")
    target = {"kind": "regression", "series": "speed"}
    (seen,) = read(tmp_path, tmp_path, "film", target=target)
    (heard,) = read(tmp_path, tmp_path / "b", "film", target=target, modality="audio")
    speed = heard.signal("target")
    assert (speed.rate, len(speed.data)) == (8000, len(heard.signal("audio").data))
    np.testing.assert_allclose(speed.data[:, 0], np.sin(speed.times), atol=0.01)
    np.testing.assert_allclose(seen.signal("target").data[:, 0], np.sin(seen.signal("target").times), atol=1e-5)


def test_a_film_without_its_table_is_refused(tmp_path: Path, made: Session) -> None:
    write_visit(tmp_path / "film/a.mkv", made)
    (tmp_path / "film/a.tsv").write_text("start\tstop\tlabel\n1\t2\tleft\n")
    with pytest.raises(ValueError, match=r"2 tables stand beside it; there must be one, a.csv or a.tsv"):
        read(tmp_path, tmp_path, "film")
    for end in ("csv", "tsv"):
        (tmp_path / f"film/a.{end}").unlink()
    with pytest.raises(ValueError, match=r"a.mkv: 0 tables stand beside it"):
        read(tmp_path, tmp_path, "film")


def test_stretches_marked_bad_and_labels_not_asked_for_are_left_out(tmp_path: Path, made: Session) -> None:
    spoilt = made._replace(
        start=np.r_[made.start, made.start[0] + 0.5],
        stop=np.r_[made.stop, made.start[0] + 0.7],
        labels=np.append(made.labels.astype("<U20"), "BAD_movement"),
    )
    write_npz(tmp_path / "npz/a.npz", spoilt)
    (recording,) = read(tmp_path, tmp_path, "npz")
    np.testing.assert_array_equal(recording.require_trials().start, made.start[1:])
    asked = SIDES | {"classes": ["left", "BAD_movement"]}
    (recording,) = read(tmp_path, tmp_path / "b", "npz", target=asked)
    assert (recording.require_trials().column("label") == "BAD_movement").sum() == 1, "a class may have that name"


def test_an_angle_in_degrees_is_taken_to_rad(tmp_path: Path, made: Session) -> None:
    write_npz(tmp_path / "npz/a.npz", made, angle=np.rad2deg(made.angle))
    target = {"kind": "circular", "series": "angle", "degrees": True}
    (recording,) = read(tmp_path, tmp_path, "npz", target=target)
    np.testing.assert_allclose(recording.signal("target").data, made.angle, atol=1e-9)


def test_a_gap_in_the_values_is_interpolated_or_refused(tmp_path: Path, made: Session) -> None:
    lost = np.linspace(0, 1, len(made.volts))
    lost[1000:1030] = np.nan  # 0.24 s
    write_npz(tmp_path / "npz/a.npz", made, lost=lost)
    target = {"kind": "regression", "series": "lost"}
    (recording,) = read(tmp_path, tmp_path, "npz", target=target)
    np.testing.assert_allclose(recording.signal("target").data[:, 0], np.linspace(0, 1, len(lost)), atol=1e-9)
    with pytest.raises(ValueError, match=r"no value for 0\.2421\d* s from 7\.80\d* s on; raise target.max_gap=0.1"):
        read(tmp_path, tmp_path / "b", "npz", target=target | {"max_gap": 0.1})


@pytest.mark.parametrize(
    ("which", "changes", "message"),
    [
        ("edf", {"channels": ["C5"]}, r"channels=C5: there is no such channel; did you mean 'C.'\? there is .*Pz"),
        ("edf", {"target": SIDES | {"classes": ["left", "rigth"]}}, r"\['rigth'\]: .*holds left, right, start of rec"),
        (
            "edf",
            {"target": {"kind": "regression", "series": "force"}},
            r"target.series=force: there is no such channel",
        ),
        ("edf", {"naming": r"(?P<subject>p\d+)"}, r"naming=.*does not fit the path sub-03_night.edf"),
        ("nwb", {"series": "Feild"}, r"series=Feild: .*did you mean 'acquisition/Field'\?.*speed; and units"),
        (
            "nwb",
            {"where": {"locaton": ["M1"]}},
            r"where=locaton: there is no such column of .*did you mean 'location'\?",
        ),
        ("nwb", {"where": {"location": ["V1"]}}, r"where.location=\['V1'\]: no row has that; there is M1, S1"),
        (
            "nwb",
            {"target": SIDES},
            r"target.column: which column of intervals/trials holds the labels\? there is .*side",
        ),
        ("nwb", {"intervals": "epochs"}, r"intervals=epochs: there is no such table .*there is intervals/trials"),
        ("nwb", {"target": SIDES | {"column": "sid"}}, r"target.column=sid: .*did you mean 'side'\?"),
        ("nwb", {"series": "units"}, r"series=units: modality eeg reads a series"),
        ("nwb", {"target": {"kind": "regression", "series": "speed"}}, r"so 2 variables, named are speed; name each"),
        ("npz", {"series": "volt"}, r"series=volt: there is no such array; did you mean 'volts'\?"),
        ("npz", {"rate": "start"}, r"rate=start: must hold one number, got shape \(24,\)"),
        ("npz", {"series": "label"}, r"series=label: must hold numbers, holds <U5"),
        ("npz", {"target": {"kind": "regression", "series": "start"}}, r"has 24 values, the series 9344 samples"),
        ("film", {"target": SIDES | {"column": "side"}}, r"target.column=side: there is no such column of the film"),
        ("film", {"target": {"kind": "regression", "series": "speed"}}, r"target.series=speed: .* there is label, sta"),
        ("film", {"target": {"kind": "regression", "series": "label"}}, r"target.series=label: must hold numbers"),
        ("film", {"modality": "eeg"}, r"modality=eeg: film holds audio, video"),
        ("eeg", {"entities": {"task": ["rest"]}}, r"entities.task=\['rest'\]: no recording has that; there is imagery"),
        ("eeg", {"channels": ["MEGMAG"]}, r"channels=MEGMAG: there is no such channel of the types EEG, MISC"),
        (
            "eeg",
            {"target": SIDES | {"column": "response"}},
            r"target.column=response: .*column of events.tsv.*trial_type",
        ),
        ("eeg", {"datatype": "ieeg"}, r"holds nothing to be read as a BIDS recording; it holds .*imagery"),
        ("fmri", {"target": {"kind": "regression", "series": "x"}}, r"fMRI is asked for classes"),
        ("edf", {"division": {"by": "subject", "kind": "groups"}, "naming": "(?P<session>sub)"}, r"do not say who"),
        ("edf", {"modality": "fmri"}, r"modality=fmri: edf holds ecog, eeg"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_copied(
    files: Path, tmp_path: Path, which: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        read(files, tmp_path, which, **changes)
    assert not list((tmp_path / "raw").iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": {"kind": "classification", "classes": ["left"]}}, "two or more, all different"),
        ({"target": {"kind": "circular"}}, "series: a circular needs the name"),
        ({"target": {"kind": "circular", "series": ["a", "b"]}}, "an angle is one series"),
        ({"target": {"kind": "regression", "series": "a", "classes": ["x", "y"]}}, "classes: has no meaning in"),
        ({"target": SIDES | {"column": "x"}}, "EDF labels are the annotations"),
        ({"division": {"kind": "given"}}, "`given` names its test sessions"),
        ({"division": {"folds": 1}}, "greater than or equal to 2"),
        ({"naming": "(?P<who>x)"}, r"must have the groups \(\?P<subject>"),
        ({"naming": "("}, "is no regular expression"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DATASETS["edf"](**({"path": "x", "modality": "eeg", "target": SIDES} | changes))


def test_a_path_that_leads_nowhere_names_the_nearest_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"nearest folder that exists is {tmp_path}"):
        read(tmp_path, tmp_path / "x", "edf", path=str(tmp_path / "no/where/*.edf"))
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"holds nothing to be read as an EDF or BDF file; it holds notes.txt"):
        read(tmp_path, tmp_path / "x", "edf", path=str(tmp_path))


def test_labels_of_numbers_and_truth_values_are_texts(tmp_path: Path, made: Session) -> None:
    write_npz(tmp_path / "npz/a.npz", made, label=(made.labels == "left").astype(np.float64))
    (recording,) = read(tmp_path, tmp_path, "npz", target={"kind": "classification", "classes": [0, 1]})
    assert set(recording.require_trials().column("label")) == {"0", "1"}


def test_copies_are_files_of_their_own(files: Path, tmp_path: Path) -> None:
    read(files, tmp_path, "edf")
    copy, original = tmp_path / "raw/sub-03_night.edf", files / "edf/sub-03_night.edf"
    assert copy.stat().st_ino != original.stat().st_ino
    assert not copy.is_symlink()
    assert copy.read_bytes() == original.read_bytes()


def test_real_files_of_each_format(raw: Any, tmp_path: Path) -> None:
    """A compass of a mouse, a seizure, a grip: read by options what their own readers read by code."""
    (mouse,) = read(
        raw("peyrache_a2929"),
        tmp_path / "nwb",
        "nwb",
        path=str(raw("peyrache_a2929") / "*.nwb"),
        modality="spikes",
        series="units",
        where={"location": ["adn"]},
        target={"kind": "circular", "series": "ry"},
    )
    (known,) = DATASETS["peyrache_a2929"]().read(raw("peyrache_a2929"))  # type: ignore[call-arg]
    assert len(mouse.event("spikes").names) == 7
    with h5py.File(raw("peyrache_a2929") / "A2929-200711.nwb") as file:
        stamps = file["acquisition/CompassDirection/ry/timestamps"][:]
    head = mouse.signal("target")
    assert (head.start, abs(head.stop - stamps[-1]) < 0.01) == (stamps[0], True)
    np.testing.assert_array_equal(mouse.event("spikes").of("unit-0")[:100], known.event("spikes").of("adn-0")[:100])


def test_a_real_seizure_and_a_real_grip(raw: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"classes=\['stop'\]: .*holds eeg sz start"):
        read(
            tmp_path,
            tmp_path / "edf",
            "edf",
            path=str(raw("mne_misc_ieeg")),
            modality="ieeg",
            channels=["C*", "BT*"],
            duration=5.0,
            target=SIDES | {"classes": ["eeg sz start", "stop"]},
        )
    (grip,) = read(
        tmp_path,
        tmp_path / "bids",
        "ieeg",
        path=str(raw("gripforce_ieeg")),
        target={"kind": "regression", "series": "MOV_RIGHT"},
    )
    (known,) = DATASETS["gripforce_ieeg"]().read(raw("gripforce_ieeg"))
    np.testing.assert_allclose(np.asarray(grip.signal("ieeg").data), known.signal("ieeg").data)
    np.testing.assert_allclose(grip.signal("target").data[:, 0], known.signal("grip_force").data)
