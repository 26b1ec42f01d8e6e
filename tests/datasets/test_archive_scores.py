"""Each of the archives that are no dandiset, from its server to a score, with its block of params.yaml."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from nibabel import nifti1
from tests.datasets import test_mat_archives as mats
from tests.datasets import test_nilearn_haxby as haxby
from tests.datasets import test_openneuro as openneuro
from tests.datasets.bucket import Buckets
from tests.datasets.scored import block_of, score
from tests.datasets.server import Server

from neurofmx.datasets import capgmyo, ninapro
from neurofmx.datasets.capgmyo import Capgmyo
from neurofmx.datasets.miller_ecog import MillerEcog
from neurofmx.datasets.nilearn_haxby import CATEGORIES, NilearnHaxby
from neurofmx.datasets.ninapro import Ninapro
from neurofmx.datasets.openneuro_fmri import OpenneuroFmri
from neurofmx.datasets.openneuro_ieeg import OpenneuroIeeg
from neurofmx.preprocessing.steps.atlas import load_atlas

_here, serve = mats._here, haxby.serve  # fixtures: addresses moved to this machine
RNG = np.random.default_rng(0)


def test_gestures_from_128_electrodes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capgmyo, "GESTURES", 3)  # of eight, for the time it takes
    level, files = RNG.uniform(0.1, 1, (9, 128)), {}
    for gesture in range(1, 4):
        for trial in range(1, 11):
            data = level[gesture] * RNG.standard_normal((1000, 128)) / 10
            held = {"data": data.astype(np.float32), "gesture": gesture, "subject": 1, "trial": trial}
            files[f"001-{gesture:03d}-{trial:03d}.mat"] = mats.mat(**held)
    server.files[f"/{capgmyo.__name__}/dba-preprocessed-001.zip"] = mats.zipped(files)
    dataset = Capgmyo(**block_of("capgmyo")["options"])
    assert score(dataset, mats.read(dataset, tmp_path)) > 0.9


def test_movements_from_two_armbands(server: Server, tmp_path: Path) -> None:
    held = mats.session(rate=200)
    level = RNG.uniform(1, 10, (18, 16))
    held["emg"] = np.round(level[held["restimulus"][:, 0]] * RNG.standard_normal(held["emg"].shape))
    files = {"s1/S1_E2_A1.mat": mats.mat(**held)}
    server.files[f"/{ninapro.__name__}/DB5_Preproc/s1.zip"] = mats.zipped(files)
    dataset = Ninapro(**block_of("ninapro")["options"])
    assert score(dataset, mats.read(dataset, tmp_path)) > 0.9


def test_faces_from_a_cortical_grid(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.repeat(RNG.permutation(np.arange(1, 101)), 2)
    codes[1::2] = 101
    stim = np.r_[np.zeros(1000), np.repeat(codes, 400), np.zeros(1000)]
    face = ((stim > 50) & (stim <= 100))[:, None]
    data = np.round(1000 * (1 + face * [2, 0, 0, 1]) * RNG.standard_normal((len(stim), 4)))
    files = {"data/ja/ja_faceshouses.mat": mats.mat(data=data, stim=stim[:, None], srate=1000)}
    mats.serve_miller(server, monkeypatch, "faces_basic", files)
    dataset = MillerEcog(**block_of("miller_ecog")["options"])
    assert score(dataset, mats.read(dataset, tmp_path)) > 0.95


def test_categories_from_voxels(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = 300 * RNG.standard_normal((9, *haxby.GRID))
    shown = np.array([["rest", *CATEGORIES].index(name) for name, _ in haxby.labels()])
    bold = 5000 + np.moveaxis(pattern[shown], 0, -1) + 100 * RNG.standard_normal((*haxby.GRID, haxby.VOLUMES))
    monkeypatch.setattr(haxby, "BOLD", bold.astype(np.int16))
    serve(haxby.tarred())
    options = block_of("nilearn_haxby")["options"]
    assert score(NilearnHaxby(**options), haxby.read(tmp_path, **options)) > 0.9


def test_conditions_from_parcels(buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "atlases"))
    if not os.environ.get("NEUROFMX_MIRROR"):
        pytest.skip("the real atlas: set NEUROFMX_MIRROR to a folder with schaefer400")
    try:
        atlas = load_atlas("schaefer400")
    except ConnectionError as error:
        pytest.skip(f"the atlas is real: {error}")
    affine = np.asarray(atlas.image.affine) @ np.diag([5.0, 5.0, 5.0, 1.0])  # the atlas's space, in steps of 10 mm
    grid, derived = (19, 22, 19), tmp_path / "site/openneuro-derivatives/fmriprep/ds000102-fmriprep"
    pattern = RNG.standard_normal((2, *grid))
    for person in ("01", "02", "03"):
        for run in ("1", "2"):
            stem = f"sub-{person}/func/sub-{person}_task-flanker_run-{run}"
            moved = RNG.standard_normal((100, 3)).cumsum(axis=0)
            rows = [(20.0 * i + 4, 2.0, openneuro.CONGRUENT if i % 2 else openneuro.OTHER) for i in range(9)]
            bold = 1000 + 3 * RNG.standard_normal((*grid, 100)) + 5 * moved[:, 0]
            for onset, _, kind in rows:
                bold[..., int(onset / 2) + 1 : int(onset / 2) + 5] += (
                    3 * pattern[int(kind == openneuro.CONGRUENT), ..., None]
                )
            image = nifti1.Nifti1Image(bold.astype(np.float32), affine)
            image.header.set_zooms((10.0, 10.0, 10.0, 2.0))
            (derived / stem).parent.mkdir(parents=True, exist_ok=True)
            nifti1.save(image, derived / f"{stem}_space-{openneuro.SPACE}_desc-preproc_bold.nii.gz")
            table = "\n".join("\t".join(f"{v:.6f}" for v in (row[0], row[1], row[2], -row[2])) for row in moved)
            openneuro.write(
                derived / f"{stem}_desc-confounds_timeseries.tsv", f"trans_x\trot_x\tcsf\twhite_matter\n{table}\n"
            )
            openneuro.write(tmp_path / f"site/openneuro.org/ds000102/{stem}_events.tsv", openneuro.events(rows))
    openneuro.write(
        tmp_path / "site/openneuro.org/ds000102/task-flanker_bold.json", json.dumps({"RepetitionTime": 2.0})
    )
    openneuro.write(derived / "dataset_description.json", {"Name": "fMRIPrep"})
    openneuro.serve(buckets, openneuro.packed(tmp_path / "site"))
    dataset = OpenneuroFmri(**block_of("openneuro_fmri")["options"] | {"subjects": ("01", "02", "03")})
    dataset.download(tmp_path / "raw", mirror=None, cache=tmp_path / "cache")
    assert score(dataset, dataset.stream(tmp_path / "raw")) > 0.9


def test_speech_from_electrodes(buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openneuro, "RATE", 1024.0)
    loud = np.repeat([2, 1] * 2, 30 * 1024)[None]
    openneuro.write_ieeg(tmp_path / "site", runs=("1",), envelope=loud)
    openneuro.serve(buckets, openneuro.packed(tmp_path / "site"))
    dataset = OpenneuroIeeg(**block_of("openneuro_ieeg")["options"])
    recordings = openneuro.read(dataset, tmp_path)
    assert score(dataset, recordings, modality="ieeg") > 0.9
    assert score(dataset, recordings, modality="ecog") > 0.9
