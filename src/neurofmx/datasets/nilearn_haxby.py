"""Whole-brain fMRI while looking at faces, houses and six kinds of objects, one of six people, through nilearn."""

from __future__ import annotations

import logging
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar, Literal, final

import numpy as np
import requests
from pydantic import AfterValidator, Field

from neurofmx.datasets.access.fetch import WAY_OUT
from neurofmx.datasets.access.unpinned import put
from neurofmx.datasets.formats.volumes import Volumes, blocks, read_volumes, repetition_time
from neurofmx.datasets.shared.archive import Archive, distinct
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

CATEGORIES = ("bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe")
REPETITION_TIME = 2.5  # s
RUNS = 12
GRID = (40, 64, 64)
MASKS = {"vt": "mask4_vt", "face": "mask8b_face_vt", "house": "mask8b_house_vt"}  # of nilearn's files, one a person
_log = logging.getLogger(__name__)


@final
class NilearnHaxby(Archive):
    """A recording is a run of 121 volumes with 8 blocks of 22.5 s, each of one category, in the person's own space.

    Signal `bold` is `(volumes, x, y, z)`; arrays are `mask (x, y, z)` and `affine (4, 4)`, from voxel index to mm. A
    trial is a block with its category as `label`. A run without any label (person 5 has one) is left out. People are
    not aligned with each other, so that a run of the pipeline takes one; no atlas fits these images.

    The reader and the client have met files and a server of the same form, never the archive itself.

    Args:
        subject: Which of the six people, default 1.
        runs: Which of the runs 1 to 12, at least 3, default all.
        mask: Voxels to keep: `vt` (ventral temporal cortex, default), `face` or `house` (parts of it that respond to
            those) or `brain`.

    Source: Haxby et al., Distributed and overlapping representations of faces and objects in ventral temporal cortex,
    Science 293 (2001).
    """

    name: ClassVar[str] = "nilearn_haxby"
    modalities: ClassVar[tuple[Modality, ...]] = ("fmri",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "CC BY-SA 3.0"
    citation: ClassVar[str] = "Haxby et al. 2001, Science 293:2425-2430"
    homepage: ClassVar[str] = "http://www.pymvpa.org/datadb/haxby2001.html"
    source: ClassVar[str] = "data.pymvpa.org through nilearn.datasets.fetch_haxby, verified by the archive's MD5 sums"

    subject: Annotated[int, Field(ge=1, le=6)] = 1
    runs: Annotated[tuple[Annotated[int, Field(ge=1, le=RUNS)], ...], Field(min_length=3), AfterValidator(distinct)] = (
        tuple(range(1, RUNS + 1))
    )
    mask: Literal["vt", "face", "house", "brain"] = "vt"

    @property
    def task(self) -> Task:
        """Which of the 8 categories was shown."""
        return Task("classification", "label", CATEGORIES)

    @property
    def split(self) -> Split:
        """Runs are left out, two at a time where there are twelve."""
        folds = min(len(self.runs), 6)
        return Split(f"runs-{folds}fold-v1", kind="groups", folds=folds, validation="groups")

    @property
    def expected(self) -> Expected:
        """The chosen runs of the whole grid."""
        return Expected("bold", recordings=len(self.runs), channels=int(np.prod(GRID)), rate=1 / REPETITION_TIME)

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Let nilearn's own fetcher get the person's archive (300 MB) into the cache, and copy what is read."""
        store = cache / "nilearn"
        found = _fetch(self.subject, store=store)
        wanted = {
            "bold.nii.gz": found.func[0],
            "labels.txt": found.session_target[0],
            "mask.nii.gz": self._mask_of(found),
        }
        kept = tuple(f"subj{self.subject}/{name}" for name in wanted)
        for name, source in zip(kept, wanted.values(), strict=True):
            put(Path(source), folder / name)
        return kept

    def parse(self, folder: Path, sources: dict[str, Source]) -> Iterator[Recording]:
        """One recording a run; runs share the image, which is read once."""
        image, masked, table = (
            folder / self.one(sources, f"/{name}") for name in ("bold.nii.gz", "mask.nii.gz", "labels.txt")
        )
        series, mask = read_volumes(image), read_volumes(masked).data > 0
        rate = 1 / repetition_time(series, {}, path=image)
        labels, runs = _labels(table)
        if len(labels) != len(series.data) or mask.shape != series.data.shape[1:]:
            raise ValueError(
                f"{image}: {len(series.data)} volumes of {series.data.shape[1:]} need as many labels and a mask of "
                f"that grid, got {len(labels)} and {mask.shape}; delete {folder} and download it again"
            )
        for run in self.runs:
            yield from self._run(run, series, labels, runs, rate, {"mask": mask, "affine": series.affine}, sources)

    def _mask_of(self, found) -> str:
        """The mask among nilearn's files."""
        masks = {"vt": found.mask_vt, "face": found.mask_face, "house": found.mask_house, "brain": [found.mask]}
        return masks[self.mask][0]

    def _run(
        self,
        run: int,
        series: Volumes,
        labels: np.ndarray,
        runs: np.ndarray,
        rate: float,
        arrays: dict[str, np.ndarray],
        sources: dict[str, Source],
    ) -> Iterator[Recording]:
        """One run, unless nothing is known about it."""
        inside = np.flatnonzero(runs == run - 1)
        if not len(inside) or (np.diff(inside) != 1).any():
            raise ValueError(
                f"subject {self.subject}, run {run}: its volumes must follow one another, got {len(inside)}"
            )
        if (labels[inside] == "rest").all():
            _log.warning("subject %d, run %d has no labels: left out", self.subject, run)
            return
        yield Recording(
            subject=f"subj{self.subject}",
            session=f"run-{run:02d}",
            signals={"bold": Signal(series.data[inside[0] : inside[-1] + 1], rate, "a.u.", ())},
            trials=blocks(labels[inside], interval=1 / rate, rest="rest"),
            sources=tuple(sources.values()),
            arrays=arrays,
        )


def _labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Label and number of the run of every volume, from a table with a header."""
    try:
        labels, runs = np.loadtxt(path, dtype=str, skiprows=1, unpack=True, ndmin=2)
        return labels, runs.astype(int)
    except ValueError as error:
        raise ValueError(f"{path} must hold a label and a run in every line ({error}); download it again") from error


def _fetch(subject: int, *, store: Path):
    """Call nilearn, and forget what it would trust unseen after a failure."""
    from nilearn.datasets import fetch_haxby  # imported here: a second that only a download needs

    store.mkdir(parents=True, exist_ok=True)
    try:
        with _no_links():
            return fetch_haxby(data_dir=store, subjects=[subject], verbose=0)
    except requests.RequestException as error:
        raise ConnectionError(f"nilearn cannot download person {subject} of haxby2001: {error}; {WAY_OUT}") from error
    except Exception as error:  # a wrong sum is a ValueError, an unsafe archive a bare Exception or an OSError
        for unfinished in (store / "haxby2001").glob("[0-9a-f]" * 32):
            shutil.rmtree(unfinished)
        (store / "haxby2001" / "MD5SUMS").unlink(missing_ok=True)  # the sums may be out of date instead
        raise ValueError(f"nilearn refuses person {subject} of haxby2001: {error}; try again") from error


@contextmanager
def _no_links() -> Iterator[None]:
    """Unpack tar archives by Python's strict rules: nilearn looks at names, a link could still lead out."""
    before = vars(tarfile.TarFile)["extraction_filter"]
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before
