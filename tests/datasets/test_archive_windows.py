"""From an archive's server to a score, with the blocks of params.yaml: what was planted in the files is decoded."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.datasets import nwb_files
from tests.datasets.dandi_server import DandiServer
from tests.datasets.scored import block_of, score

from neurofmx.datasets.ajile12 import Ajile12
from neurofmx.datasets.allen_2p import Allen2p
from neurofmx.datasets.allen_neuropixels_lfp import AllenNeuropixelsLfp
from neurofmx.datasets.seizure_ieeg import SeizureIeeg
from neurofmx.datasets.shared.dandiset import Dandiset

pytestmark = pytest.mark.filterwarnings("ignore:The linked table for DynamicTableRegion:UserWarning")
RNG = np.random.default_rng(0)


@pytest.fixture
def dandi() -> Iterator[DandiServer]:
    """An empty archive."""
    with DandiServer() as running:
        yield running


def scored(kind: type[Dandiset], server: DandiServer, files: dict[str, bytes], folder: Path, **options) -> float:
    """Accuracy or R2 of a linear model on the first fold."""
    dataset = kind(**block_of(kind.name)["options"] | options, api=server.api)
    server.dandisets[dataset.dandiset, dataset.version] = files
    dataset.download(folder / "raw", mirror=None, cache=folder / "cache")
    return score(dataset, dataset.read(folder / "raw"))


def test_running_from_calcium(dandi: DandiServer, tmp_path: Path) -> None:
    times = np.arange(9_000) / 30.0
    running = 10 * np.sin(2 * np.pi * times / 20) + 10
    traces = 0.1 * running[:, None] * np.array([1, -1, 0.5, 0]) + 0.3 * RNG.standard_normal((9_000, 4))
    file = nwb_files.two_photon(traces, times, running, [(10.0, 12.0, 45.0, 0.8)])
    files = {Allen2p().assets[0]: nwb_files.written(file, tmp_path)}
    assert scored(Allen2p, dandi, files, tmp_path) > 0.9


def test_running_from_calcium_in_spite_of_a_pause(dandi: DandiServer, tmp_path: Path) -> None:
    """The microscope stops for 20 s: what is left of the windows is decoded as well."""
    times = np.concatenate([np.arange(4_000), np.arange(4_600, 9_000)]) / 30.0
    running = 10 * np.sin(2 * np.pi * times / 20) + 10
    traces = 0.1 * running[:, None] * np.array([1, -1, 0.5, 0]) + 0.3 * RNG.standard_normal((8_400, 4))
    file = nwb_files.two_photon(traces, times, running, [(10.0, 12.0, 45.0, 0.8)])
    files = {Allen2p().assets[0]: nwb_files.written(file, tmp_path)}
    assert scored(Allen2p, dandi, files, tmp_path) > 0.9


def test_running_from_field_potentials(dandi: DandiServer, tmp_path: Path) -> None:
    times = 1590.0 + np.arange(150_000) / 1249.99
    running = np.sin(2 * np.pi * times / 20) + 1
    lfp = ((1 + running[:, None]) * RNG.standard_normal((150_000, 4))).astype(np.float32)
    clock = 1590.0 + np.arange(7_200) / 60.0
    gratings = [(1600.0, 1602.0, "45.0")]
    session = nwb_files.lfp_session(np.sin(2 * np.pi * clock / 20) + 1, clock, gratings)
    (path,) = AllenNeuropixelsLfp().assets
    files = {
        path: nwb_files.written(nwb_files.lfp_probe(lfp, times, chunk=2_500), tmp_path),
        AllenNeuropixelsLfp().partners(path)[0]: nwb_files.written(session, tmp_path),
    }
    assert scored(AllenNeuropixelsLfp, dandi, files, tmp_path) > 0.8


def test_seizures_from_depth_electrodes(dandi: DandiServer, tmp_path: Path) -> None:
    series = {}
    for k in range(1, 6):
        series[f"B6_2023_5_19-ictal{k}"] = 3 * RNG.standard_normal((15_000, 3)).astype(np.float32)
        series[f"B6_2023_5_19-non{k}"] = RNG.standard_normal((15_000, 3)).astype(np.float32)
    files = {"sub-RatB6/sub-RatB6_ecephys.nwb": nwb_files.written(nwb_files.fragments(series, rate=1000.0), tmp_path)}
    assert scored(SeizureIeeg, dandi, files, tmp_path) == 1.0


def test_reaches_from_a_cortical_grid(dandi: DandiServer, tmp_path: Path) -> None:
    reaches = [(10.0 + 20 * k, 11.0 + 20 * k) for k in range(30)]
    size = np.ones(305_000, np.float32)
    for start, _ in reaches:
        size[round(500 * (start - 0.5)) : round(500 * (start + 1.5))] = 3
    data = size[:, None] * RNG.standard_normal((305_000, 4)).astype(np.float32)
    file = nwb_files.grid(data, [True] * 4, reaches, rate=500.0)
    files = {Ajile12().assets[0]: nwb_files.written(file, tmp_path)}
    assert scored(Ajile12, dandi, files, tmp_path, start=0.0, stop=610.0) == 1.0
