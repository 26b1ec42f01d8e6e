"""Human fMRI while looking at faces, houses and six kinds of objects (Haxby et al. 2001)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.distribution import fetch_distribution_members
from neurofmx.datasets.formats.volumes import blocks
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

REPETITION_TIME = 2.5  # s
CATEGORIES = ("bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe")
CHECKSUMS = {
    "bold.nii.gz": "cbbd4d07803caaa9f77381af24e790cf77058664a128bd514a4c1668eefb92d7",
    "mask.nii.gz": "8d879d35aaeee3afddfb69a7e1b8dd2b3be446671452d7e841dc6588845f2877",
    "attributes_literal.txt": "7769f235e93d3157ef7bd1102abfaf3bc058ad9ca28e89dc60b8e47f473207c3",
}


@final
class Haxby2001(Dataset):
    """Posterior half of one axial slice of subject 1: 12 runs of 121 volumes, each with 8 blocks of 22.5 s.

    A recording is a run. Its signal `bold` is `(volumes, x, y, z)` on the image grid, its arrays are `mask`
    `(x, y, z)`, the voxels of the brain, and `affine` `(4, 4)`, from voxel index to mm. A trial is a block with
    a picture category as `label`; rest is no trial.

    Source: Haxby et al., Distributed and overlapping representations of faces and objects in ventral temporal
    cortex, Science 293 (2001).
    """

    name: ClassVar[str] = "haxby2001"
    modalities: ClassVar[tuple[Modality, ...]] = ("fmri",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "MIT (PyMVPA package); the data set itself is published as CC BY-SA 3.0"
    citation: ClassVar[str] = "Haxby et al. 2001, Science 293:2425-2430; Hanke et al. 2009, Neuroinformatics 7:37-53"
    homepage: ClassVar[str] = "http://www.pymvpa.org/datadb/haxby2001.html"
    source: ClassVar[str] = "source distribution pymvpa2-2.6.5.tar.gz, mvpa2/data"

    @property
    def task(self) -> Task:
        """Which of the 8 categories was shown."""
        return Task("classification", "label", CATEGORIES)

    @property
    def split(self) -> Split:
        """Two runs are left out at a time."""
        return Split("runs-6fold-v1", kind="groups", folds=6, validation="groups")

    @property
    def expected(self) -> Expected:
        """12 runs of the 40 by 20 by 1 grid."""
        return Expected("bold", recordings=12, channels=800, rate=1 / REPETITION_TIME)

    def checksums(self) -> dict[str, str]:
        """Image, mask and labels."""
        return CHECKSUMS

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the files out of PyMVPA's source distribution."""
        fetch_distribution_members(
            "pymvpa2",
            "pymvpa2-2.6.5.tar.gz",
            sha256="f98b18e15d012aaa68c0ef6ccf420662df05657673843ab368e7f0adfdda0758",
            members={f"pymvpa2-2.6.5/mvpa2/data/{name}": CHECKSUMS[name] for name in names},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a run."""
        volumes, arrays = _read_images(folder)
        labels, runs = np.loadtxt(folder / "attributes_literal.txt", dtype=str, unpack=True)
        if len(labels) != len(volumes):
            raise ValueError(f"{folder}: {len(labels)} labels for {len(volumes)} volumes; delete it and download again")
        return [
            Recording(
                subject="sub-1",
                session=f"run-{int(run) + 1:02d}",
                signals={"bold": Signal(volumes[runs == run], 1 / REPETITION_TIME, "a.u.", ())},
                trials=blocks(labels[runs == run], interval=REPETITION_TIME, rest="rest"),
                sources=tuple(sources.values()),
                arrays=arrays,
            )
            for run in sorted(set(runs), key=int)
        ]


def _read_images(folder: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Volumes `(time, x, y, z)`, and the mask and affine of their grid."""
    from nibabel import nifti1  # imported here: half a second that only this reader needs

    bold = nifti1.load(folder / "bold.nii.gz")
    mask = nifti1.load(folder / "mask.nii.gz")
    volumes = np.moveaxis(np.asarray(bold.dataobj, dtype=np.float32), -1, 0)
    return np.ascontiguousarray(volumes), {"mask": np.asarray(mask.dataobj) > 0, "affine": np.asarray(bold.affine)}
