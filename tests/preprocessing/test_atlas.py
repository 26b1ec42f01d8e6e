"""Atlases: the real one from a mirror, nilearn's fetcher against a server on this machine, and what is refused."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nibabel import nifti1
from nilearn.datasets import atlas as nilearn_atlas
from nilearn.maskers import NiftiLabelsMasker
from tests.datasets.server import Server

from neurofmx.preprocessing import fmri
from neurofmx.preprocessing.fmri import FmriOptions
from neurofmx.preprocessing.steps import atlas
from neurofmx.preprocessing.steps.atlas import CHECKSUMS, IMAGE, TABLE, fetch_schaefer, load_atlas
from neurofmx.recordings.recording import Recording, Signal

PARCELS = 6


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def small(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """An atlas of six parcels under the real one's name, on a server; returns its labels."""
    labels = np.random.default_rng(0).integers(0, PARCELS + 1, (7, 6, 5)).astype(np.int32)
    nifti1.save(nifti1.Nifti1Image(labels, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / IMAGE)
    rows = "".join(f"{i}\t7Networks_LH_Vis_{i}\t{i}\t0\t0\t0\n" for i in range(1, PARCELS + 1))
    server.files = {f"/{IMAGE}": (tmp_path / IMAGE).read_bytes(), f"/{TABLE}": rows.encode()}
    for name in CHECKSUMS:
        monkeypatch.setitem(CHECKSUMS, name, hashlib.sha256(server.files[f"/{name}"]).hexdigest())
    fetch_files = nilearn_atlas.fetch_files

    def here(data_dir, files, **options):
        return fetch_files(data_dir, [(name, f"{server.url}/{name}", rest) for name, _, rest in files], **options)

    monkeypatch.setattr(nilearn_atlas, "fetch_files", here)
    monkeypatch.delenv("NEUROFMX_MIRROR", raising=False)
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "store"))
    monkeypatch.delenv("NILEARN_SHARED_DATA", raising=False)
    return labels


def run(labels: np.ndarray, *, seed: int = 0) -> Recording:
    """A run on the grid of an atlas."""
    data = np.random.default_rng(seed).normal(100, 5, (20, *labels.shape)).astype(np.float32)
    bold = Signal(data, 0.5, "a.u.", ())
    return Recording("s", str(seed), {"bold": bold}, arrays={"affine": np.diag([2.0, 2.0, 2.0, 1.0])})


def test_nilearn_fetches_once_and_every_byte_is_checked(small: np.ndarray, server: Server, tmp_path: Path) -> None:
    folder = fetch_schaefer()
    assert folder == tmp_path / "store" / "schaefer_2018"
    assert fetch_schaefer() == folder
    assert len(server.answers) == 2
    (folder / IMAGE).write_bytes(b"damaged")
    fetch_schaefer()
    assert len(server.answers) == 3, "only what is damaged is fetched again"
    server.files[f"/{TABLE}"] += b"more"
    (folder / TABLE).unlink()
    with pytest.raises(ValueError, match=r"schaefer400: .*order\.txt: wrong checksum"):
        fetch_schaefer()


def test_a_mirror_comes_first(small: np.ndarray, server: Server, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mirror" / "schaefer400").mkdir(parents=True)
    for name in CHECKSUMS:
        (tmp_path / "mirror" / "schaefer400" / name).write_bytes(server.files[f"/{name}"])
    monkeypatch.setenv("NEUROFMX_MIRROR", str(tmp_path / "mirror"))
    load_atlas("schaefer400")
    assert server.answers == []


def test_no_network_names_the_ways_out(small: np.ndarray, server: Server) -> None:
    server.files = {}
    with pytest.raises(ConnectionError, match=r"nilearn cannot download the atlas schaefer400.*NEUROFMX_MIRROR"):
        fetch_schaefer()


def test_named_parcels_are_nilearns_means_at_their_centres(small: np.ndarray) -> None:
    one = run(small)
    (clean,) = fmri.preprocess([one], FmriOptions(atlas="schaefer400", detrend=False, standardize=False))
    assert clean.signal("bold").channels == tuple(f"parcel-7Networks_LH_Vis_{i}" for i in range(1, PARCELS + 1))
    image = nifti1.Nifti1Image(np.moveaxis(one.signal("bold").data, 0, -1), one.array("affine"))
    masker = NiftiLabelsMasker(load_atlas("schaefer400").image, resampling_target="data", standardize=None)
    np.testing.assert_allclose(clean.signal("bold").data, masker.fit_transform(image), rtol=1e-5)
    centres = [2.0 * np.argwhere(small == i).mean(axis=0) / 1000 for i in range(1, PARCELS + 1)]
    np.testing.assert_allclose(clean.array("bold_positions"), centres)


def test_a_mask_limits_parcels_and_what_it_leaves_empty_is_bad(small: np.ndarray) -> None:
    first, second = run(small), run(small, seed=1)
    second.arrays["mask"] = small != 3
    options = FmriOptions(atlas="schaefer400")
    with pytest.raises(ValueError, match=r"parcel-7Networks_LH_Vis_3 20 of 20 samples are not finite.*preprocess\.bad"):
        fmri.preprocess([first, second], options)
    clean = fmri.preprocess([first, second], options.model_copy(update={"bad": "drop"}))
    kept = tuple(f"parcel-7Networks_LH_Vis_{i}" for i in (1, 2, 4, 5, 6))
    assert [one.signal("bold").channels for one in clean] == [kept, kept]
    assert clean[0].array("bold_positions").shape == (5, 3)


def test_files_that_are_no_atlas_are_refused(tmp_path: Path) -> None:
    nifti1.save(nifti1.Nifti1Image(np.full((2, 2, 2), 0.5, np.float32), np.eye(4)), tmp_path / "half.nii.gz")
    with pytest.raises(ValueError, match=r"preprocess\.atlas: .*half\.nii\.gz must hold whole numbers"):
        load_atlas(str(tmp_path / "half.nii.gz"))
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(ValueError, match="is no sound NIfTI image"):
        load_atlas(str(tmp_path / "text.nii.gz"))
    with pytest.raises(ValueError, match="give schaefer400, the path of a NIfTI label image, or null"):
        FmriOptions(atlas="schaefer300")


def test_the_real_atlas_has_400_parcels_on_both_sides(tmp_path: Path) -> None:
    mirror = os.environ.get("NEUROFMX_MIRROR", "")
    if not (Path(mirror) / "schaefer400" / IMAGE).is_file():
        pytest.skip("the real atlas: set NEUROFMX_MIRROR to a folder with schaefer400")
    folder = fetch_schaefer(tmp_path)
    names = atlas._names(folder / TABLE)
    assert list(names) == list(range(1, 401))
    assert sum("_LH_" in name for name in names.values()) == 200
    labels = np.asanyarray(nifti1.load(folder / IMAGE).dataobj)
    grid = np.zeros((3, *labels.shape), np.float32)
    grid[:] = labels
    means, found = fmri.parcel_means(grid, labels.astype(int))
    np.testing.assert_allclose(means, np.broadcast_to(found, means.shape), rtol=1e-6)
    left = np.array(["_LH_" in names[int(label)] for label in found])
    affine = np.asarray(nifti1.load(folder / IMAGE).affine)
    sides = [(affine @ [*np.argwhere(labels == label).mean(axis=0), 1])[0] < 0 for label in found[::40]]
    assert sides == left[::40].tolist(), "x is negative on the left"
