"""NWB files in the layouts of the archives, written by pynwb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
from hdmf.common import DynamicTableRegion
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import BehavioralTimeSeries
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.epoch import TimeIntervals
from pynwb.ophys import Fluorescence, ImageSegmentation, OpticalChannel


def empty(session: str) -> NWBFile:
    """A file without data."""
    return NWBFile(session_description="test", identifier=session, session_start_time=datetime(2020, 1, 1, tzinfo=UTC))


def written(file: NWBFile, folder: Path) -> bytes:
    """The bytes of a file."""
    path = folder / f"{file.identifier}.nwb"
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path.read_bytes()


def electrodes(
    file: NWBFile, groups: Sequence[str], *, columns: Mapping[str, Sequence] | None = None
) -> DynamicTableRegion:
    """A table of electrodes, one row per entry of `groups`, at x = row, and the region of all of them."""
    device = file.create_device("device")
    known = {name: file.create_electrode_group(name, "test", "brain", device) for name in dict.fromkeys(groups)}
    for name in columns or {}:
        file.add_electrode_column(name, "test")
    for row, group in enumerate(groups):
        further = {name: values[row] for name, values in (columns or {}).items()}
        place = {"x": float(row), "y": 1.0, "z": 2.0}
        file.add_electrode(group=known[group], location=f"area{row}", **place, **further)
    return file.create_electrode_table_region(list(range(len(groups))), "all")


def two_photon(
    traces: np.ndarray, times: np.ndarray, running: np.ndarray, gratings: Sequence[tuple[float, float, float, float]]
) -> NWBFile:
    """As Allen's contrast set: dF/F `(frames, cells)`, speed; gratings: start, stop, degrees, contrast."""
    file = empty("682746585")
    device = file.create_device("CAM2P.1")
    light = OpticalChannel(name="light", description="test", emission_lambda=520.0)
    facts = {"description": "test", "device": device, "excitation_lambda": 910.0, "indicator": "GCaMP6f"}
    plane = file.create_imaging_plane(name="imaging_plane_1", optical_channel=light, location="VISp", **facts)
    module = file.create_processing_module("brain_observatory_pipeline", "test")
    segmentation = ImageSegmentation()
    cells = segmentation.create_plane_segmentation("test", plane, name="PlaneSegmentation")
    for _ in range(traces.shape[1]):
        cells.add_roi(image_mask=np.ones((4, 4), np.uint8))
    module.add(segmentation)
    region = cells.create_roi_table_region("all", region=list(range(traces.shape[1])))
    fluorescence = Fluorescence(name="Fluorescence")
    module.add(fluorescence)
    fluorescence.create_roi_response_series(name="DfOverF", data=traces, rois=region, unit="NA", timestamps=times)
    speed = TimeSeries(name="running_speed", data=running, unit="cm/s", timestamps=times)
    module.add(BehavioralTimeSeries(name="RunningBehavior", time_series=[speed]))
    for name in ("direction", "contrast"):
        file.add_epoch_column(name, "test")
    for start, stop, direction, contrast in gratings:
        file.add_epoch(start, stop, direction=direction, contrast=contrast)
    return file


def lfp_probe(data: np.ndarray, times: np.ndarray, *, chunk: int) -> NWBFile:
    """As a probe's file of Allen's Neuropixels set: microvolts as they come, a time stamp each, in a container LFP."""
    from hdmf.backends.hdf5 import H5DataIO

    file = empty("810755797")
    region = electrodes(file, ["probeA"] * data.shape[1])
    series = ElectricalSeries(
        name="probe_810755797_lfp_data",
        data=H5DataIO(data, chunks=(chunk, data.shape[1])),
        electrodes=region,
        timestamps=H5DataIO(times, chunks=(chunk,)),
        conversion=1e-6,
    )
    file.add_acquisition(LFP(electrical_series=series, name="probe_810755797_lfp"))
    return file


def lfp_session(running: np.ndarray, times: np.ndarray, gratings: Sequence[tuple[float, float, str]]) -> NWBFile:
    """As a session's file of that set: running speed with time stamps, and a table of presentations."""
    file = empty("715093703")
    module = file.create_processing_module("running", "test")
    module.add(TimeSeries(name="running_speed", data=running, unit="cm/s", timestamps=times))
    table = TimeIntervals(name="drifting_gratings_presentations", description="test")
    table.add_column("orientation", "test")
    for start, stop, orientation in gratings:
        table.add_row(start_time=start, stop_time=stop, orientation=orientation)
    file.add_time_intervals(table)
    return file


def fragments(series: Mapping[str, np.ndarray], *, rate: float) -> NWBFile:
    """As the epileptic rats' set: series `(time, electrodes)` by name, each with its own start."""
    file = empty("RatB6_2023_5_19")
    width = next(iter(series.values())).shape[1]
    region = electrodes(
        file, [f"L_CA{k}" for k in range(width)], columns={"label": [f"L_CA{k}e" for k in range(width)]}
    )
    for k, (name, data) in enumerate(series.items()):
        where = DynamicTableRegion(name="electrodes", data=region.data, description="all", table=region.table)
        file.add_acquisition(
            ElectricalSeries(name=name, data=data, electrodes=where, rate=rate, starting_time=1000.0 * k)
        )
    return file


def grid(data: np.ndarray, good: Sequence[bool], reaches: Sequence[tuple[float, float]], *, rate: float) -> NWBFile:
    """As AJILE12: one series from midnight on, electrodes marked good or not, reaches as intervals."""
    file = empty("day3")
    region = electrodes(file, ["GRID"] * (len(good) - 2) + ["LAT"] * 2, columns={"good": list(good)})
    file.add_acquisition(
        ElectricalSeries(name="ElectricalSeries", data=data, electrodes=region, rate=rate, starting_time=0.0)
    )
    table = TimeIntervals(name="reaches", description="test")
    for start, stop in reaches:
        table.add_row(start_time=start, stop_time=stop)
    file.add_time_intervals(table)
    return file


def exchanged(body: bytes, dataset: str, change: Callable[[np.ndarray], np.ndarray], folder: Path) -> bytes:
    """The file with one dataset's values changed, in ways that other writers leave them and pynwb does not write."""
    path = folder / "exchanged.nwb"
    path.write_bytes(body)
    with h5py.File(path, "r+") as file:
        old = file[dataset]
        data, attributes = old[...], dict(old.attrs)
        del file[dataset]
        file.create_dataset(dataset, data=change(data)).attrs.update(attributes)
    return path.read_bytes()
