"""The dandisets, read out of files that pynwb wrote in their layouts: streamed and whole."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from tests.datasets import nwb_files
from tests.datasets.dandi_server import DandiServer
from tests.datasets.range_server import Trouble

from neurofmx.datasets.ajile12 import Ajile12
from neurofmx.datasets.allen_2p import Allen2p
from neurofmx.datasets.allen_neuropixels_lfp import AllenNeuropixelsLfp
from neurofmx.datasets.formats import nwb_series
from neurofmx.datasets.seizure_ieeg import SeizureIeeg
from neurofmx.datasets.shared.dandiset import Dandiset
from neurofmx.recordings.recording import Recording, Source

# pynwb says so of a region whose series is not yet part of the file
pytestmark = pytest.mark.filterwarnings("ignore:The linked table for DynamicTableRegion:UserWarning")
RNG = np.random.default_rng(0)
PROBE = AllenNeuropixelsLfp().assets[0]
SESSION = "sub-699733573/sub-699733573_ses-715093703.nwb"
RAT = "sub-RatB6/sub-RatB6_ses-RatB6-2023-5-19_ecephys.nwb"


@pytest.fixture
def dandi() -> Iterator[DandiServer]:
    """An empty archive."""
    with DandiServer() as running:
        yield running


def put(server: DandiServer, kind: type[Dandiset], files: dict[str, bytes]) -> None:
    server.dandisets[kind.dandiset, kind.model_fields["version"].default] = files


def read(kind: type[Dandiset], server: DandiServer, folder: Path, **options) -> list[Recording]:
    dataset = kind(api=server.api, **options)
    dataset.download(folder / "raw", mirror=None, cache=folder / "cache")
    return dataset.read(folder / "raw")


def same(one: Recording, other: Recording) -> None:
    """Everything but the files they came from."""
    assert one.name == other.name
    for name, signal in one.signals.items():
        np.testing.assert_array_equal(signal.data, other.signal(name).data)
        assert vars(signal) | {"data": None} == vars(other.signal(name)) | {"data": None}
    np.testing.assert_array_equal(one.require_trials().start, other.require_trials().start)
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.array(name))


# ---- Allen two-photon


def two_photon(folder: Path) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A sine of 0.1 Hz in each cell with its own phase, sampled at jittered frames of 30.01 Hz."""
    times = 4.0 + np.arange(1800) / 30.01 + RNG.uniform(-1e-4, 1e-4, 1800)
    traces = np.sin(2 * np.pi * 0.1 * times[:, None] + np.arange(5))
    gratings = [(10.0 + 3 * k, 12.0 + 3 * k, float(45 * (k % 8)), 0.8) for k in range(10)]
    gratings.append((50.0, 52.0, float("nan"), float("nan")))  # a blank
    file = nwb_files.two_photon(traces, times, 10 * times, gratings)
    return nwb_files.written(file, folder), times, traces


def test_two_photon_traces_running_and_gratings_share_a_clock(dandi: DandiServer, tmp_path: Path) -> None:
    body, times, _ = two_photon(tmp_path)
    put(dandi, Allen2p, {Allen2p().assets[0]: body})
    (recording,) = read(Allen2p, dandi, tmp_path)
    calcium, running = recording.signal("calcium"), recording.signal("running_speed")
    assert (calcium.rate, calcium.start, len(calcium.channels)) == (30.0, times[0], 5)
    assert (running.rate, running.start, running.unit, len(running.data)) == (30.0, times[0], "cm/s", len(calcium.data))
    expected = np.sin(2 * np.pi * 0.1 * calcium.times[:, None] + np.arange(5))
    np.testing.assert_allclose(calcium.data, expected, atol=1e-4)
    np.testing.assert_allclose(running.data[:, 0], 10 * running.times, atol=1e-3)
    trials = recording.require_trials()
    assert trials.column("direction").tolist() == [f"{45 * (k % 8)}" for k in range(10)]  # without the blank
    assert set(trials.column("contrast")) == {"0.8"}
    assert recording.name == "661968859/682746585"


def test_a_pause_of_the_microscope_is_marked(dandi: DandiServer, tmp_path: Path) -> None:
    times = np.concatenate([np.arange(300), np.arange(600, 900)]) / 30.0
    file = nwb_files.two_photon(np.ones((600, 2)), times, times, [(1.0, 2.0, 0.0, 0.8)])
    put(dandi, Allen2p, {Allen2p().assets[0]: nwb_files.written(file, tmp_path)})
    (recording,) = read(Allen2p, dandi, tmp_path)
    lost = np.isnan(recording.signal("calcium").data[:, 0])
    assert np.flatnonzero(lost).tolist() == list(range(300, 600))


# ---- Allen Neuropixels LFP


def neuropixels(folder: Path) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """160 s of 16 electrodes at 1249.99 Hz, beside a session whose speed is ten times the time."""
    times = 1560.0 + np.arange(200_000) / 1249.99
    lfp = RNG.standard_normal((200_000, 16), np.float32)
    clock = 1560.0 + np.arange(7200) / 60.0
    gratings = [(1600.0, 1602.0, "45.0"), (1603.0, 1605.0, "null"), (1606.0, 1608.0, "90.0")]
    session = nwb_files.written(nwb_files.lfp_session(10 * clock, clock, gratings), folder)
    probe = nwb_files.written(nwb_files.lfp_probe(lfp, times, chunk=2_500), folder)
    return {PROBE: probe, SESSION: session}, times, lfp


def test_lfp_is_read_by_ranges_together_with_its_session(dandi: DandiServer, tmp_path: Path) -> None:
    files, times, lfp = neuropixels(tmp_path)
    put(dandi, AllenNeuropixelsLfp, files)
    (recording,) = read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    signal = recording.signal("lfp")
    inside = (times >= 1600.0) & (times < 1610.0)
    assert (signal.rate, signal.unit, signal.start) == (1250.0, "V", times[inside][0])
    expected = [np.interp(signal.times, times[inside], column) for column in 1e-6 * lfp[inside].T.astype(float)]
    np.testing.assert_allclose(signal.data, np.transpose(expected), atol=1e-9)
    np.testing.assert_allclose(recording.array("lfp_positions")[:, 0], np.arange(16) * 1e-6)
    assert recording.array("lfp_location").tolist() == [f"area{k}" for k in range(16)]
    speed = recording.signal("running_speed")
    np.testing.assert_allclose(speed.data[:, 0], 10 * speed.times, rtol=1e-6)
    assert recording.name == "699733573/715093703-810755797"
    assert dandi.sent(dandi.blob(PROBE)) < 0.4 * len(files[PROBE])


def test_older_files_state_begin_and_end_of_each_speed(dandi: DandiServer, tmp_path: Path) -> None:
    files, *_ = neuropixels(tmp_path)
    stamps = "processing/running/running_speed/timestamps"
    files[SESSION] = nwb_files.exchanged(files[SESSION], stamps, lambda t: np.stack([t, t + 1 / 60]), tmp_path)
    put(dandi, AllenNeuropixelsLfp, files)
    (recording,) = read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    speed = recording.signal("running_speed")
    np.testing.assert_allclose(speed.data[:, 0], 10 * speed.times, rtol=1e-6)


def test_streamed_and_whole_files_give_the_same(dandi: DandiServer, tmp_path: Path) -> None:
    put(dandi, AllenNeuropixelsLfp, neuropixels(tmp_path)[0])
    span = {"start": 1600.0, "stop": 1610.0}
    (streamed,) = read(AllenNeuropixelsLfp, dandi, tmp_path / "a", **span)
    (whole,) = read(AllenNeuropixelsLfp, dandi, tmp_path / "b", by_range=False, **span)
    same(streamed, whole)
    assert [source.name for source in whole.sources] == [PROBE, SESSION]


def test_a_stream_that_was_killed_goes_on_with_the_missing_blocks(dandi: DandiServer, tmp_path: Path) -> None:
    files, *_ = neuropixels(tmp_path)
    put(dandi, AllenNeuropixelsLfp, files)
    blob = dandi.blob(PROBE)
    dandi.troubles[blob] = [Trouble(), Trouble(), Trouble(status=404), Trouble(status=404)]
    with pytest.raises(FileNotFoundError, match=r"no such file"):
        read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    assert not (tmp_path / "raw" / "MANIFEST.json").exists()
    before = dandi.sent(blob)
    read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    asked = dandi.ranges(blob)
    assert len(asked) - 2 == len(set(asked))  # the refused one three times, no other twice
    assert before > 0
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix == ".blocks"] == []


def test_a_second_download_reads_nothing_again(dandi: DandiServer, tmp_path: Path) -> None:
    put(dandi, AllenNeuropixelsLfp, neuropixels(tmp_path)[0])
    read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    first = (tmp_path / "raw" / "MANIFEST.json").read_bytes()
    sent = dandi.sent(dandi.blob(PROBE))
    read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    assert dandi.sent(dandi.blob(PROBE)) == sent
    assert (tmp_path / "raw" / "MANIFEST.json").read_bytes() == first


def test_pinned_parts_come_from_a_mirror_without_the_archive(dandi: DandiServer, tmp_path: Path) -> None:
    put(dandi, AllenNeuropixelsLfp, neuropixels(tmp_path)[0])
    span = {"start": 1600.0, "stop": 1610.0}
    (recording,) = read(AllenNeuropixelsLfp, dandi, tmp_path, **span)
    (source,) = recording.sources
    (tmp_path / "raw").rename(tmp_path / AllenNeuropixelsLfp.name)
    pinned = AllenNeuropixelsLfp(api="http://127.0.0.1:1/api", pins={source.name: source.sha256}, **span)
    pinned.download(tmp_path / "again", mirror=str(tmp_path), cache=tmp_path / "other")
    same(pinned.read(tmp_path / "again")[0], recording)


def test_a_server_without_ranges_is_refused_with_the_way_out(dandi: DandiServer, tmp_path: Path) -> None:
    put(dandi, AllenNeuropixelsLfp, neuropixels(tmp_path)[0])
    dandi.troubles[dandi.blob(PROBE)] = [Trouble(ignore_range=True)]
    with pytest.raises(ConnectionError, match=r"does not serve ranges; take whole files \(`by_range: false`\)"):
        read(AllenNeuropixelsLfp, dandi, tmp_path)


def test_a_part_says_which_bytes_it_was_read_from(dandi: DandiServer, tmp_path: Path) -> None:
    files, *_ = neuropixels(tmp_path)
    put(dandi, AllenNeuropixelsLfp, files)
    read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0)
    stated = json.loads((tmp_path / "raw" / f"{PROBE.removesuffix('.nwb')}_part.h5.json").read_text())
    assert {each["path"]: each["sha256"] for each in stated["files"]} == {
        path: hashlib.sha256(body).hexdigest() for path, body in files.items()
    }


def test_a_stretch_that_does_not_fit_in_memory_is_refused(
    dandi: DandiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(dandi, AllenNeuropixelsLfp, neuropixels(tmp_path)[0])
    monkeypatch.setattr(nwb_series, "LARGEST", 1 << 20)
    with pytest.raises(ValueError, match=r"the stretch holds 0.0 GiB, over .*; choose a shorter one"):
        read(AllenNeuropixelsLfp, dandi, tmp_path)


def test_a_stretch_without_samples_and_a_stimulus_that_is_not_there(dandi: DandiServer, tmp_path: Path) -> None:
    put(dandi, AllenNeuropixelsLfp, neuropixels(tmp_path)[0])
    with pytest.raises(ValueError, match=r"lfp_data: no sample from 10.0 to 20.0 s; choose another stretch"):
        read(AllenNeuropixelsLfp, dandi, tmp_path, start=10.0, stop=20.0)
    with pytest.raises(ValueError, match=r"no 'intervals/flashes'; there is drifting_gratings_presentations"):
        read(AllenNeuropixelsLfp, dandi, tmp_path, start=1600.0, stop=1610.0, stimulus="flashes")
    with pytest.raises(ValidationError, match=r"stop must lie after start, got start 5.0 and stop 4.0 s"):
        AllenNeuropixelsLfp(start=5.0, stop=4.0)
    with pytest.raises(ValidationError, match=r"version"):
        AllenNeuropixelsLfp(version="latest")


# ---- seizures of rats


def rat() -> dict[str, np.ndarray]:
    names = ("B6_2023_5_19-ictal1", "B6_2023_5_19-ictal2", "B6_2023_5_19-non1")
    return {name: RNG.standard_normal((4000, 12)).astype(np.float32) for name in names}


@pytest.mark.parametrize("swapped", [False, True])
def test_each_fragment_is_a_recording_with_its_label(dandi: DandiServer, tmp_path: Path, swapped: bool) -> None:
    series = rat()
    body = nwb_files.written(nwb_files.fragments(series, rate=1000.0), tmp_path)
    for name in series if swapped else ():
        body = nwb_files.exchanged(body, f"acquisition/{name}/data", np.transpose, tmp_path)
    put(dandi, SeizureIeeg, {RAT: body})
    recordings = read(SeizureIeeg, dandi, tmp_path, start=1.0, stop=3.0)
    assert [recording.session for recording in recordings] == list(series)
    for k, (recording, data) in enumerate(zip(recordings, series.values(), strict=True)):
        signal = recording.signal("ieeg")
        assert (signal.rate, signal.start, signal.channels[0]) == (1000.0, 1000.0 * k + 1, "L_CA0e")
        np.testing.assert_array_equal(signal.data, data[1000:3000])
        assert recording.require_trials().stop.tolist() == [1000.0 * k + 3]
    labels = [recording.require_trials().column("label")[0] for recording in recordings]
    assert labels == ["ictal", "ictal", "interictal"]


def test_a_fragment_with_an_unknown_name_is_refused(dandi: DandiServer, tmp_path: Path) -> None:
    file = nwb_files.fragments({"B6-sleep1": np.ones((100, 12), np.float32)}, rate=1000.0)
    put(dandi, SeizureIeeg, {RAT: nwb_files.written(file, tmp_path)})
    with pytest.raises(ValueError, match=r"series 'B6-sleep1': expected a name that ends in -ictal or -non"):
        read(SeizureIeeg, dandi, tmp_path)


def test_damaged_files_end_in_our_error(tmp_path: Path) -> None:
    file = nwb_files.fragments({"B6-ictal1": np.ones((200, 3), np.float32)}, rate=1000.0)
    whole = nwb_files.written(file, tmp_path)
    sources, refused = {"x.nwb": Source("x.nwb", "0" * 64)}, 0
    for seed in range(60):
        rng, body = np.random.default_rng(seed), bytearray(whole)
        if seed % 4 == 0:
            del body[rng.integers(len(body)) :]
        for at in rng.integers(len(whole) // 8, size=6 if seed % 4 else 0):  # the first part holds the structure
            body[at : at + 16] = rng.bytes(16)
        (tmp_path / "x.nwb").write_bytes(body)
        try:
            SeizureIeeg(assets=("*",), by_range=False).parse(tmp_path, sources)
        except ValueError:  # any other error is one from the inside
            refused += 1
    assert refused >= 20


# ---- AJILE12


def test_reaches_and_rest_on_good_electrodes(dandi: DandiServer, tmp_path: Path) -> None:
    data = RNG.standard_normal((20_000, 6)).astype(np.float32)
    reaches = [(1.0, 2.0), (10.0, 11.0), (30.0, 31.0), (31.5, 32.0), (39.9, 40.5)]
    file = nwb_files.grid(data, [True, True, False, True, True, True], reaches, rate=500.0)
    put(dandi, Ajile12, {Ajile12().assets[0]: nwb_files.written(file, tmp_path)})
    (recording,) = read(Ajile12, dandi, tmp_path, start=4.0, stop=40.0)
    signal = recording.signal("ecog")
    assert (signal.rate, signal.start, signal.stop) == (500.0, 4.0, 40.0)
    assert signal.channels == ("GRID1", "GRID2", "GRID4", "LAT1", "LAT2")
    np.testing.assert_array_equal(signal.data, data[2000:20_000, [0, 1, 3, 4, 5]])
    np.testing.assert_allclose(recording.array("ecog_positions")[:, 0], np.array([0, 1, 3, 4, 5]) * 1e-3)
    trials = recording.require_trials()
    reach = trials.column("label") == "reach"
    assert trials.start[reach].tolist() == [9.5, 29.5, 31.0]  # the last one is not over at the end
    np.testing.assert_allclose(trials.stop - trials.start, 2.0)
    assert (~reach).sum() == 3
    onsets = np.array([start for start, _ in reaches])
    for start in trials.start[~reach]:
        assert (np.maximum(onsets - (start + 2.0), start - onsets) >= 5.0).all()
