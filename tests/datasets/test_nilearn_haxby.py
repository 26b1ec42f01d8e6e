"""nilearn's own fetcher against a server on this machine, with archives in the layout of the real ones."""

import gzip
import hashlib
import io
import logging
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nibabel import nifti1
from nilearn.datasets import func
from pydantic import ValidationError
from tests.datasets.server import Fault, Server

from neurofmx.datasets.nilearn_haxby import CATEGORIES, NilearnHaxby
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import CutOptions, cut

GRID, VOLUMES = (4, 3, 2), 19 * 12
ARCHIVE = "/haxby/subj1-2010.01.14.tar.gz"


def nifti(data: np.ndarray) -> bytes:
    image = nifti1.Nifti1Image(data, np.diag([3.5, 3.75, 3.75, 1.0]))
    if data.ndim == 4:
        image.header.set_zooms((3.5, 3.75, 3.75, 2.5))
        image.header.set_xyzt_units("mm", "sec")
    return gzip.compress(image.to_bytes(), 1)


def labels(unlabelled: int | None = None) -> list[tuple[str, int]]:
    """Three volumes of rest, then two of each category, in each of 12 runs."""
    shown = [("rest", 0)] * 3 + [(name, 0) for name in CATEGORIES for _ in range(2)]
    return [("rest" if run == unlabelled else name, run) for run in range(12) for name, _ in shown]


BOLD = np.random.default_rng(0).integers(0, 2000, (*GRID, VOLUMES)).astype(np.int16)
MASK = (np.arange(np.prod(GRID)).reshape(GRID) % 3 == 0).astype(np.uint8)


def tarred(
    *, unlabelled: int | None = None, drop: int = 0, extra: Callable[[tarfile.TarFile], None] | None = None
) -> bytes:
    """A person's archive."""
    table = "labels chunks\n" + "".join(f"{name} {run}\n" for name, run in labels(unlabelled)[drop:])
    masks = ("mask4_vt", "mask8b_face_vt", "mask8b_house_vt", "mask8_face_vt", "mask8_house_vt")
    files = {"bold.nii.gz": nifti(BOLD), "labels.txt": table.encode(), "anat.nii.gz": nifti(MASK)}
    files |= {f"{name}.nii.gz": nifti(MASK) for name in masks}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        if extra:
            extra(bundle)
        for name, content in files.items():
            info = tarfile.TarInfo(f"subj1/{name}")
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def serve(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Serve an archive where nilearn looks for it: its addresses are moved to this machine, all else is its own."""
    fetch_files = func.fetch_files
    moves = {
        "http://data.pymvpa.org/datasets/haxby2001": "haxby",
        "https://www.nitrc.org/frs/download.php/7868": "mask",
    }

    def moved(data_dir, files, **options):
        def here(url: str) -> str:
            base, _, name = url.rpartition("/")
            return f"{server.url}/{moves[base]}/{name}"

        return fetch_files(data_dir, [(name, here(url), rest) for name, url, rest in files], **options)

    monkeypatch.setattr(func, "fetch_files", moved)

    def put(body: bytes, *, stated: bytes | None = None) -> None:
        md5 = hashlib.md5(stated or body).hexdigest()
        sums = f"{md5}  {ARCHIVE.rpartition('/')[2]}\n".encode()
        server.files = {"/mask/mask.nii.gz": nifti(MASK * 0 + 1), "/haxby/MD5SUMS": sums, ARCHIVE: body}

    return put


def read(folder: Path, **options) -> list[Recording]:
    dataset = NilearnHaxby(**options)
    dataset.download(folder / "raw", mirror=None, cache=folder / "cache")
    return dataset.read(folder / "raw")


def test_runs_join_to_the_image_and_blocks_to_the_labels(serve, tmp_path: Path) -> None:
    serve(tarred())
    runs = read(tmp_path)
    assert [one.name for one in runs] == [f"subj1/run-{run:02d}" for run in range(1, 13)]
    joined = np.concatenate([one.signal("bold").data for one in runs])
    np.testing.assert_array_equal(joined, np.moveaxis(BOLD, -1, 0))
    assert joined.dtype == np.int16, "half the memory of floats"
    for one in runs:
        assert one.signal("bold").rate == 0.4
        assert one.require_trials().column("label").tolist() == list(CATEGORIES)
        np.testing.assert_allclose(one.require_trials().start, 7.5 + 5 * np.arange(8))
        np.testing.assert_array_equal(one.array("mask"), MASK > 0)
    assert sorted(path.name for path in (tmp_path / "raw/subj1").iterdir()) == [
        "bold.nii.gz",
        "labels.txt",
        "mask.nii.gz",
    ]


def test_a_second_download_asks_nothing(serve, server: Server, tmp_path: Path) -> None:
    serve(tarred())
    read(tmp_path)
    asked = len(server.answers)
    (tmp_path / "raw/subj1/bold.nii.gz").unlink()
    assert len(read(tmp_path)) == 12
    assert len(server.answers) == asked == 3


def test_options_choose_runs_and_voxels(serve, tmp_path: Path) -> None:
    serve(tarred())
    runs = read(tmp_path, runs=(2, 5, 7), mask="brain")
    assert [one.session for one in runs] == ["run-02", "run-05", "run-07"]
    assert runs[0].array("mask").all()
    with pytest.raises(ValidationError, match="runs"):
        NilearnHaxby(runs=(1, 2))
    with pytest.raises(ValidationError, match="subject"):
        NilearnHaxby(subject=7)


def test_a_person_is_cleaned_and_cut_by_runs(serve, tmp_path: Path) -> None:
    serve(tarred())
    dataset, fmri = NilearnHaxby(), PREPROCESS["fmri"]
    clean = fmri.preprocess(read(tmp_path), fmri.options())
    assert len(clean[0].signal("bold").channels) == MASK.sum()
    options = CutOptions(anchor="trial", start=0.0, stop=5.0)
    windows = cut(
        clean, signal="bold", task=dataset.task, split=dataset.split, options=options, modality="fmri", dataset="h"
    )
    assert [sorted(set(windows.group[windows.fold(k).test])) for k in range(6)] == [
        [2 * k, 2 * k + 1] for k in range(6)
    ]


def test_a_run_without_labels_is_left_out_and_said(serve, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    serve(tarred(unlabelled=8))
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path)) == 11
    assert "subject 1, run 9 has no labels: left out" in caplog.text


def test_labels_that_do_not_fit_are_refused(serve, tmp_path: Path) -> None:
    serve(tarred(drop=2))
    with pytest.raises(ValueError, match=f"{VOLUMES} volumes of .* need as many labels .* got {VOLUMES - 2}"):
        read(tmp_path)


def test_an_archive_of_another_sum_is_refused_and_not_trusted_later(serve, tmp_path: Path) -> None:
    serve(tarred(unlabelled=1), stated=(right := tarred()))
    with pytest.raises(ValueError, match=r"nilearn refuses person 1 of haxby2001: .*checksum verification has failed"):
        read(tmp_path)
    assert not (tmp_path / "raw/MANIFEST.json").exists()
    serve(right)
    assert len(read(tmp_path)) == 12


def _ballast(bundle: tarfile.TarFile) -> None:
    """Makes an archive larger than the 8 KiB that nilearn writes at a time."""
    info = tarfile.TarInfo("ballast.bin")
    info.size = 200_000
    bundle.addfile(info, io.BytesIO(np.random.default_rng(1).bytes(info.size)))


def test_a_broken_line_is_continued_by_the_next_call(serve, server: Server, tmp_path: Path) -> None:
    serve(body := tarred(extra=_ballast))
    server.faults[ARCHIVE] = [Fault(stop_after=len(body) // 2)]
    with pytest.raises(ConnectionError, match=r"nilearn cannot download person 1 of haxby2001.*NEUROFMX_MIRROR"):
        read(tmp_path)
    assert len(read(tmp_path)) == 12
    _, second = (answer for answer in server.answers if answer.path == ARCHIVE)
    assert second.range is not None
    begin = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= len(body) // 2
    assert second.sent == len(body) - begin


@pytest.mark.parametrize("status", [429, 500])
def test_a_busy_server_is_a_connection_error(serve, server: Server, tmp_path: Path, status: int) -> None:
    serve(tarred())
    server.faults[ARCHIVE] = [Fault(status=status)]
    with pytest.raises(ConnectionError, match=f"{status}"):
        read(tmp_path)
    assert len(read(tmp_path)) == 12


def _leading_out(bundle: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("../../../evil.txt")
    info.size = 4
    bundle.addfile(info, io.BytesIO(b"evil"))


def _through_a_link(bundle: tarfile.TarFile) -> None:
    link = tarfile.TarInfo("way")
    link.type, link.linkname = tarfile.SYMTYPE, "../../../.."
    bundle.addfile(link)
    info = tarfile.TarInfo("way/evil.txt")
    info.size = 4
    bundle.addfile(info, io.BytesIO(b"evil"))


@pytest.mark.parametrize("extra", [_leading_out, _through_a_link])
def test_a_hostile_archive_writes_nothing_outside(serve, tmp_path: Path, extra) -> None:
    serve(tarred(extra=extra))
    inner = tmp_path / "inner"
    with pytest.raises(ValueError, match="nilearn refuses person 1"):
        read(inner)
    assert not list(tmp_path.rglob("evil.txt"))
    serve(tarred())
    assert len(read(inner)) == 12
